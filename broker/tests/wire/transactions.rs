//! Transactions, from the producer's first request to what consumers see.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest,
    OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};

use crate::client::{Batch, Client, Fixture, batch, fetch_request, produce_request, text, topic};
use crate::groups::{committed, group};
use crate::records::values;

pub const FENCED: i16 = ResponseError::ProducerFenced.code();
pub const OLD_EPOCH: i16 = ResponseError::InvalidProducerEpoch.code();

fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// A producer that owns a transactional id.
pub struct Owner<'a> {
    id: &'a str,
    pub producer: (i64, i16),
    version: i16,
}

impl Owner<'_> {
    pub fn add_partition(&self, client: &mut Client, at: (&str, i32)) -> i16 {
        let added = AddPartitionsToTxnTopic::default().with_name(topic(at.0)).with_partitions(vec![at.1]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(self.id))
            .with_v3_and_below_producer_id(ProducerId(self.producer.0))
            .with_v3_and_below_producer_epoch(self.producer.1)
            .with_v3_and_below_topics(vec![added]);
        let answer = client.call(self.version, &request);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    pub fn add_group(&self, client: &mut Client, name: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id(self.id))
            .with_producer_id(ProducerId(self.producer.0))
            .with_producer_epoch(self.producer.1)
            .with_group_id(group(name));
        client.call(self.version, &request).error_code
    }

    pub fn commit_offset(&self, client: &mut Client, name: &str, at: (&str, i32), offset: i64) -> i16 {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(at.1)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")));
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id(self.id))
            .with_group_id(group(name))
            .with_producer_id(ProducerId(self.producer.0))
            .with_producer_epoch(self.producer.1)
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default().with_name(topic(at.0)).with_partitions(vec![partition]),
            ]);
        client.call(self.version, &request).topics[0].partitions[0].error_code
    }

    pub fn end(&self, client: &mut Client, commit: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(id(self.id))
            .with_producer_id(ProducerId(self.producer.0))
            .with_producer_epoch(self.producer.1)
            .with_committed(commit);
        client.call(self.version, &request).error_code
    }

    pub fn produce(&self, client: &mut Client, at: (&str, i32), sequence: i32) -> i16 {
        let records = self.records(sequence);
        let answer = client.call(9, &produce_request(at, records, Some(self.id)));
        answer.responses[0].partition_responses[0].error_code
    }

    fn records(&self, sequence: i32) -> Bytes {
        batch(&Batch { producer: self.producer, sequence, transactional: true, ..Batch::default() })
    }
}

pub fn owner<'a>(client: &mut Client, id: &'a str) -> Owner<'a> {
    Owner { id, producer: client.init_producer(Some(id)), version: 3 }
}

/// The same with a timeout in ms.
pub fn owner_for<'a>(client: &mut Client, id: &'a str, timeout_ms: i32) -> Owner<'a> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(self::id(id)))
        .with_transaction_timeout_ms(timeout_ms);
    let answer = client.call(4, &request);
    assert_eq!(answer.error_code, 0);
    Owner { id, producer: (answer.producer_id.0, answer.producer_epoch), version: 3 }
}

pub fn exercise(client: &mut Client) {
    exercise_init(client);
    for version in 0..=3 {
        exercise_transaction(client, version);
    }
    exercise_looking(client);
}

fn init(client: &mut Client, version: i16, name: &str, claimed: (i64, i16), timeout_ms: i32) -> (i16, i64, i16) {
    let mut request =
        InitProducerIdRequest::default().with_transactional_id(Some(id(name))).with_transaction_timeout_ms(timeout_ms);
    if version >= 3 {
        request = request.with_producer_id(ProducerId(claimed.0)).with_producer_epoch(claimed.1);
    }
    let answer = client.call(version, &request);
    (answer.error_code, answer.producer_id.0, answer.producer_epoch)
}

fn exercise_init(client: &mut Client) {
    let mut seen = Vec::new();
    for version in 0..=4 {
        let idempotent = client.call(version, &InitProducerIdRequest::default().with_transactional_id(None));
        assert_eq!((idempotent.error_code, idempotent.producer_epoch), (0, 0));
        seen.push(idempotent.producer_id.0);
        let (error, producer, epoch) = init(client, version, "init", (-1, -1), 60_000);
        // Each earlier initialization increased the epoch by one, and the last one by one more.
        assert_eq!((error, epoch), (0, if version == 4 { 5 } else { version }));
        if version == 3 {
            assert_eq!(init(client, 3, "init", (producer, epoch), 60_000), (0, producer, epoch + 1));
            assert_eq!(init(client, 3, "init", (producer, epoch), 60_000), (0, producer, epoch + 1), "asked twice");
            assert_eq!(init(client, 3, "init", (producer, 0), 60_000).0, OLD_EPOCH);
            assert_eq!(init(client, 4, "init", (producer, 0), 60_000).0, FENCED);
        }
        let bad_timeout = init(client, version, "init", (-1, -1), i32::MAX).0;
        assert_eq!(bad_timeout, ResponseError::InvalidTransactionTimeout.code());
        assert_eq!(init(client, version, "", (-1, -1), 60_000).0, ResponseError::InvalidRequest.code());
    }
    seen.dedup();
    assert_eq!(seen.len(), 5, "no producer id is given twice");
}

fn exercise_transaction(client: &mut Client, version: i16) {
    let name = format!("transactional{version}");
    client.create_topic(&name, 1);
    let at = (name.as_str(), 0);
    let mut owner = owner(client, &name);
    owner.version = version;
    assert_eq!(owner.produce(client, at, 0), ResponseError::InvalidTxnState.code(), "not announced");
    assert_eq!(owner.add_partition(client, ("nowhere", 0)), ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(owner.add_partition(client, at), 0);
    assert_eq!(owner.produce(client, at, 0), 0);
    assert_eq!(owner.commit_offset(client, &name, at, 7), ResponseError::InvalidTxnState.code(), "not announced");
    assert_eq!(owner.add_group(client, &name), 0);
    assert_eq!(owner.commit_offset(client, &name, at, 7), 0);
    assert_eq!(committed(client, 7, &name, at, false).0, -1);
    assert_eq!(owner.end(client, true), 0);
    assert_eq!(owner.end(client, true), 0, "asked twice");
    assert_eq!(owner.end(client, false), ResponseError::InvalidTxnState.code());
    assert_eq!(committed(client, 7, &name, at, false).0, 7);
    assert_eq!(values(client.fetch(12, at, 0, true).records).len(), 1);
    let stranger = Owner { producer: (99_999, 0), ..owner };
    assert_eq!(stranger.add_partition(client, at), ResponseError::InvalidProducerIdMapping.code());
    let fenced = Owner { id: &name, producer: owner.producer, version };
    client.init_producer(Some(&name));
    let error = if version >= 2 { FENCED } else { OLD_EPOCH };
    assert_eq!((fenced.add_partition(client, at), fenced.add_group(client, &name)), (error, error));
    assert_eq!((fenced.commit_offset(client, &name, at, 9), fenced.end(client, true)), (OLD_EPOCH, error));
}

fn exercise_looking(client: &mut Client) {
    client.create_topic("watched", 2);
    let owner = owner(client, "watched");
    assert_eq!(owner.add_partition(client, ("watched", 1)), 0);
    assert_eq!(owner.produce(client, ("watched", 1), 0), 0);
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id("watched"), id("nobody")]);
    let answer = client.call(0, &describe);
    let (known, unknown) = (&answer.transaction_states[0], &answer.transaction_states[1]);
    assert_eq!((&*known.transaction_state, known.producer_id.0), ("Ongoing", owner.producer.0));
    assert_eq!((known.topics[0].topic.as_str(), known.topics[0].partitions.as_slice()), ("watched", &[1][..]));
    assert_eq!(unknown.error_code, ResponseError::TransactionalIdNotFound.code());
    for version in 0..=1 {
        let request = ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing"), text("Odd")]);
        let answer = client.call(version, &request);
        assert_eq!(answer.transaction_states.len(), 1);
        assert_eq!(answer.unknown_state_filters, [text("Odd")]);
    }
    let young = ListTransactionsRequest::default().with_duration_filter(1_000_000);
    assert!(client.call(1, &young).transaction_states.is_empty());
    let asked = TopicRequest::default().with_name(topic("watched")).with_partition_indexes(vec![0, 1, 9]);
    let answer = client.call(0, &DescribeProducersRequest::default().with_topics(vec![asked]));
    let partitions = &answer.topics[0].partitions;
    assert!(partitions[0].active_producers.is_empty());
    let active = &partitions[1].active_producers[0];
    assert_eq!((active.producer_id.0, active.last_sequence, active.current_txn_start_offset), (owner.producer.0, 0, 0));
    assert_eq!(partitions[2].error_code, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(owner.end(client, false), 0);
}

fn end_offset(client: &mut Client, at: (&str, i32), committed: bool) -> i64 {
    let partition = ListOffsetsPartition::default().with_partition_index(at.1).with_timestamp(-1);
    let asked = ListOffsetsTopic::default().with_name(topic(at.0)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![asked]).with_isolation_level(i8::from(committed));
    client.call(7, &request).topics[0].partitions[0].offset
}

#[test]
fn readers_of_committed_records_see_no_others() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let at = ("t", 0);
    let owner = owner(&mut client, "x");
    for (sequence, commit) in [(0, false), (1, true)] {
        assert_eq!(owner.add_partition(&mut client, at), 0);
        assert_eq!(owner.produce(&mut client, at, sequence), 0);
        let stable = i64::from(sequence) * 2;
        assert_eq!((end_offset(&mut client, at, true), end_offset(&mut client, at, false)), (stable, stable + 1));
        assert_eq!(client.fetch(12, at, 0, true).last_stable_offset, stable);
        assert_eq!(owner.end(&mut client, commit), 0);
    }
    for version in 4..=12 {
        let data = client.fetch(version, at, 0, true);
        let aborted = data.aborted_transactions.expect("a list");
        let listed: Vec<_> = aborted.iter().map(|one| (one.producer_id.0, one.first_offset)).collect();
        assert_eq!(listed, [(owner.producer.0, 0)]);
        assert_eq!((data.last_stable_offset, values(data.records).len()), (4, 2), "the client leaves them out");
    }
}

#[test]
fn a_waiting_reader_is_woken_when_a_transaction_ends() {
    let fixture = Fixture::in_memory();
    let (mut reader, mut writer) = (fixture.connect(), fixture.connect());
    writer.create_topic("t", 1);
    let owner = owner(&mut writer, "x");
    assert_eq!(owner.add_partition(&mut writer, ("t", 0)), 0);
    assert_eq!(owner.produce(&mut writer, ("t", 0), 0), 0);
    reader.send(12, &fetch_request(("t", 0), 0).with_isolation_level(1).with_max_wait_ms(20_000));
    assert_eq!(owner.end(&mut writer, true), 0);
    let answer = reader.receive::<FetchRequest>(12);
    assert_eq!(values(answer.responses[0].partitions[0].records.clone()), [(0, "v0".to_owned())]);
}

#[test]
fn a_new_owner_aborts_what_the_former_left_open() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let at = ("t", 0);
    let former = owner(&mut client, "x");
    assert_eq!((former.add_partition(&mut client, at), former.produce(&mut client, at, 0)), (0, 0));
    let next = owner(&mut client, "x");
    assert_eq!(next.producer.0, former.producer.0);
    assert!(next.producer.1 > former.producer.1);
    assert_eq!(end_offset(&mut client, at, true), 2, "a marker ends the former's");
    assert_ne!(former.produce(&mut client, at, 1), 0);
    assert_eq!((next.add_partition(&mut client, at), next.produce(&mut client, at, 0)), (0, 0));
    assert_eq!(end_offset(&mut client, at, false), 3, "the first batch of the next is no repeat");
    assert_eq!(next.end(&mut client, true), 0);
}

#[test]
fn an_abandoned_transaction_is_aborted_and_its_owner_fenced() {
    let fixture = Fixture::in_memory();
    let (mut client, mut reader) = (fixture.connect(), fixture.connect());
    client.create_topic("t", 1);
    let (error, producer, epoch) = init(&mut client, 4, "x", (-1, -1), 50);
    assert_eq!(error, 0);
    let owner = Owner { id: "x", producer: (producer, epoch), version: 3 };
    assert_eq!((owner.add_partition(&mut client, ("t", 0)), owner.produce(&mut client, ("t", 0), 0)), (0, 0));
    // The reader waits until the marker is written.
    let waiting = fetch_request(("t", 0), 1).with_isolation_level(1).with_max_wait_ms(20_000);
    let answer = reader.call(12, &waiting);
    assert_eq!(answer.responses[0].partitions[0].last_stable_offset, 2);
    assert_eq!(owner.end(&mut client, true), FENCED);
    assert_eq!(init(&mut client, 4, "x", (producer, epoch), 50), (0, producer, epoch + 1), "it may start anew");
}

#[test]
fn offsets_of_an_open_transaction_are_not_stable() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let owner = owner(&mut client, "x");
    assert_eq!(owner.add_group(&mut client, "g"), 0);
    assert_eq!(owner.commit_offset(&mut client, "g", ("t", 0), 5), 0);
    let mut fetch = || {
        let asked = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
        let asked = OffsetFetchRequestGroup::default().with_group_id(group("g")).with_topics(Some(vec![asked]));
        let request = OffsetFetchRequest::default().with_groups(vec![asked]).with_require_stable(true);
        let answer = client.call(8, &request);
        let found = answer.groups[0].topics[0].partitions[0].clone();
        (found.error_code, found.committed_offset)
    };
    assert_eq!(fetch(), (ResponseError::UnstableOffsetCommit.code(), -1));
    assert_eq!(owner.end(&mut fixture.connect(), false), 0);
    assert_eq!(fetch(), (0, -1));
}
