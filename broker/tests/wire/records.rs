//! Produce, Fetch, ListOffsets, OffsetForLeaderEpoch and DeleteRecords.

use bytes::{Bytes, BytesMut};
use headwater_broker::Config;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{
    DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};
use kafka_protocol::records::RecordBatchDecoder;

use crate::client::{Batch, Client, Fixture, batch, fetch_request, produce_request, topic};

pub fn exercise(client: &mut Client) {
    exercise_produce_and_fetch(client);
    exercise_list_offsets(client);
    exercise_leader_epochs(client);
    exercise_delete_records(client);
}

fn exercise_produce_and_fetch(client: &mut Client) {
    client.create_topic("records", 1);
    let at = ("records", 0);
    for version in 3..=9 {
        let answer = client.produce(version, at, batch(&Batch { records: 2, ..Batch::default() }));
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(version - 3) * 2));
        assert_eq!((answer.log_append_time_ms, answer.log_start_offset), (-1, if version >= 5 { 0 } else { -1 }));
        let missing = client.produce(version, ("records", 7), batch(&Batch::default()));
        assert_eq!(missing.error_code, ResponseError::UnknownTopicOrPartition.code());
        assert_eq!(missing.error_message.is_some(), version >= 8);
    }
    for version in 4..=12 {
        let data = client.fetch(version, at, 5, false);
        assert_eq!((data.error_code, data.high_watermark, data.last_stable_offset), (0, 14, 14));
        assert_eq!(values(data.records)[0], (4, "v0".to_owned()));
        assert_eq!(client.fetch(version, at, 5, true).aborted_transactions.unwrap_or_default(), []);
        let outside = client.fetch(version, at, 99, false);
        assert_eq!(outside.error_code, ResponseError::OffsetOutOfRange.code());
        let missing = client.fetch(version, ("nowhere", 0), 0, false);
        assert_eq!(missing.error_code, ResponseError::UnknownTopicOrPartition.code());
    }
}

/// The offsets and values of records.
pub fn values(records: Option<Bytes>) -> Vec<(i64, String)> {
    let mut records = records.expect("records");
    let sets = RecordBatchDecoder::decode_all(&mut records).expect("decodes");
    let records = sets.into_iter().flat_map(|set| set.records).filter(|record| !record.control);
    records
        .map(|record| (record.offset, String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned()))
        .collect()
}

/// The result of ListOffsets for a timestamp: error code, offset, timestamp.
pub fn list_offset(client: &mut Client, version: i16, at: (&str, i32), timestamp: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(at.1)
        .with_timestamp(timestamp)
        .with_current_leader_epoch(if version >= 4 { 0 } else { -1 });
    let asked = ListOffsetsTopic::default().with_name(topic(at.0)).with_partitions(vec![partition]);
    let answer = client.call(version, &ListOffsetsRequest::default().with_topics(vec![asked]));
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.offset, partition.timestamp)
}

fn exercise_list_offsets(client: &mut Client) {
    client.create_topic("times", 1);
    for time_ms in [1_000, 5_000, 2_000] {
        client.produce(9, ("times", 0), batch(&Batch { records: 2, time_ms, ..Batch::default() }));
    }
    for version in 1..=7 {
        let mut list = |timestamp| list_offset(client, version, ("times", 0), timestamp);
        assert_eq!(list(-1), (0, 6, -1));
        assert_eq!(list(-2), (0, 0, -1));
        assert_eq!(list(1_001), (0, 1, 1_001));
        assert_eq!(list(1_500), (0, 2, 5_000));
        assert_eq!(list(9_000), (0, -1, -1));
        assert_eq!(list(-77), (ResponseError::UnsupportedVersion.code(), -1, -1));
        if version >= 7 {
            assert_eq!(list(-3), (0, 3, 5_001));
        }
        let missing = list_offset(client, version, ("times", 5), -1);
        assert_eq!(missing.0, ResponseError::UnknownTopicOrPartition.code());
    }
}

fn exercise_leader_epochs(client: &mut Client) {
    for version in 2..=4 {
        let mut end = |current, epoch| {
            let partition = OffsetForLeaderPartition::default()
                .with_partition(0)
                .with_current_leader_epoch(current)
                .with_leader_epoch(epoch);
            let asked = OffsetForLeaderTopic::default().with_topic(topic("times")).with_partitions(vec![partition]);
            let answer = client.call(version, &OffsetForLeaderEpochRequest::default().with_topics(vec![asked]));
            let partition = answer.topics[0].partitions[0].clone();
            (partition.error_code, partition.leader_epoch, partition.end_offset)
        };
        assert_eq!(end(0, 0), (0, 0, 6));
        assert_eq!(end(-1, 4), (0, -1, -1));
        assert_eq!(end(9, 0), (ResponseError::UnknownLeaderEpoch.code(), -1, -1));
    }
}

/// The result of DeleteRecords: error code and the first offset that is left.
pub fn delete_records(client: &mut Client, version: i16, at: (&str, i32), offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(at.1).with_offset(offset);
    let asked = DeleteRecordsTopic::default().with_name(topic(at.0)).with_partitions(vec![partition]);
    let answer = client.call(version, &DeleteRecordsRequest::default().with_topics(vec![asked]));
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

fn exercise_delete_records(client: &mut Client) {
    client.create_topic("shrinking", 1);
    for _ in 0..5 {
        client.produce_some(("shrinking", 0), 2);
    }
    for version in 0..=2 {
        let mut delete = |offset| delete_records(client, version, ("shrinking", 0), offset);
        let offset = i64::from(version) * 2 + 1;
        assert_eq!(delete(offset), (0, offset));
        assert_eq!(delete(99), (ResponseError::OffsetOutOfRange.code(), -1));
        let data = client.fetch(12, ("shrinking", 0), 0, false);
        assert_eq!(data.error_code, ResponseError::OffsetOutOfRange.code());
        assert_eq!(client.fetch(12, ("shrinking", 0), offset, false).log_start_offset, offset);
    }
}

#[test]
fn batches_are_refused_by_kind() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let good = batch(&Batch::default());
    let mut damaged = good.to_vec();
    damaged[65] ^= 1;
    let mut large = Batch { records: 120_000, ..Batch::default() };
    large.keyed = true;
    for (records, error) in [
        (Bytes::from(damaged), ResponseError::CorruptMessage),
        (good.slice(..30), ResponseError::CorruptMessage),
        (batch(&large), ResponseError::MessageTooLarge),
        (Bytes::new(), ResponseError::InvalidRecord),
        ([good.clone(), good.clone()].concat().into(), ResponseError::InvalidRecord),
    ] {
        assert_eq!(client.produce(9, ("t", 0), records).error_code, error.code());
    }
    let bad_acks = produce_request(("t", 0), good, None).with_acks(2);
    let answer = client.call(9, &bad_acks);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ResponseError::InvalidRequiredAcks.code());
    assert_eq!(client.fetch(12, ("t", 0), 0, false).high_watermark, 0);
}

#[test]
fn a_producer_s_batches_are_stored_once_and_in_order() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let (id, epoch) = client.init_producer(None);
    let mut send = |epoch, sequence| {
        let wanted = Batch { producer: (id, epoch), sequence, records: 3, ..Batch::default() };
        let answer = client.produce(9, ("t", 0), batch(&wanted));
        (answer.error_code, answer.base_offset)
    };
    for sequence in [0, 3, 6] {
        assert_eq!(send(epoch, sequence), (0, i64::from(sequence)));
        assert_eq!(send(epoch, sequence), (0, i64::from(sequence)), "a repeat gets the first answer");
    }
    assert_eq!(send(epoch, 12), (ResponseError::OutOfOrderSequenceNumber.code(), -1));
    assert_eq!(send(epoch + 1, 9), (ResponseError::OutOfOrderSequenceNumber.code(), -1));
    assert_eq!(send(epoch + 1, 0), (0, 9));
    assert_eq!(send(epoch, 9), (ResponseError::InvalidProducerEpoch.code(), -1));
}

#[test]
fn a_producer_that_wants_no_answer_gets_none() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    client.send(9, &produce_request(("t", 0), batch(&Batch::default()), None).with_acks(0));
    client.send(12, &fetch_request(("t", 0), 0).with_max_wait_ms(10_000));
    let answer = client.receive::<FetchRequest>(12);
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 1);
}

/// Goal: a fetch at the end of a log waits, but no longer than necessary. Method: a fetch that can wait for longer than
/// the client is answered as soon as another client appends.
#[test]
fn a_fetch_at_the_end_is_answered_by_the_next_append() {
    let fixture = Fixture::in_memory();
    let (mut reader, mut writer) = (fixture.connect(), fixture.connect());
    writer.create_topic("t", 2);
    for round in 0..20 {
        reader.send(12, &fetch_request(("t", 1), round).with_max_wait_ms(i32::MAX));
        writer.produce_some(("t", 1), 1);
        let answer = reader.receive::<FetchRequest>(12);
        assert_eq!(values(answer.responses[0].partitions[0].records.clone()), [(round, "v0".to_owned())]);
    }
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_it_wants() {
    let fixture = Fixture::in_memory();
    let (mut reader, mut writer) = (fixture.connect(), fixture.connect());
    writer.create_topic("t", 1);
    let bytes = batch(&Batch::default()).len() as i32;
    reader.send(12, &fetch_request(("t", 0), 0).with_min_bytes(bytes * 3).with_max_wait_ms(20_000));
    for _ in 0..3 {
        writer.produce_some(("t", 0), 1);
    }
    let answer = reader.receive::<FetchRequest>(12);
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 3);
    let short = reader.call(12, &fetch_request(("t", 0), 0).with_min_bytes(1 << 20).with_max_wait_ms(10));
    assert_eq!(values(short.responses[0].partitions[0].records.clone()).len(), 3, "what is there when time is up");
}

#[test]
fn a_fetch_is_limited_but_never_gets_stuck_on_a_large_batch() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    for _ in 0..3 {
        client.produce_some(("t", 0), 50);
    }
    let small = client.call(12, &fetch_request(("t", 0), 0).with_max_bytes(10));
    assert_eq!(values(small.responses[0].partitions[0].records.clone()).len(), 50);
    let all = client.call(12, &fetch_request(("t", 0), 0));
    assert_eq!(values(all.responses[0].partitions[0].records.clone()).len(), 150);
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let request = |_| produce_request(("t", 0), batch(&Batch::default()), None);
    let requests: Vec<ProduceRequest> = (0..10).map(request).collect();
    requests.iter().for_each(|request| client.send(9, request));
    for offset in 0..10 {
        let mut frame = client.receive_frame().expect("an answer");
        let _ = frame.split_to(5);
        let answer =
            <kafka_protocol::messages::ProduceResponse as kafka_protocol::protocol::Decodable>::decode(&mut frame, 9);
        assert_eq!(answer.expect("decodes").responses[0].partition_responses[0].base_offset, offset);
    }
}

/// Goal: what is sent from files is what was written, whatever the sizes of batches and of the read. Method: partitions with
/// small, middle and large batches, read in one request each time, from offsets inside batches too.
#[test]
fn large_reads_are_whole_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Fixture::start(Config::in_folder(folder.path()));
    let mut client = fixture.connect();
    client.create_topic("large", 3);
    let written: Vec<Bytes> = (0..).zip([20, 700, 9_000]).map(|(at, records)| fill(&mut client, at, records)).collect();
    for bytes_max in [70_000, 100_000, 300_000, 1 << 20] {
        for version in 4..=12 {
            let mut read = [(); 3].map(|()| BytesMut::new());
            while let Some(found) = fetch_all(&mut client, version, bytes_max, &read) {
                read.iter_mut().zip(found).for_each(|(read, found)| read.extend_from_slice(&found));
            }
            assert!(read.iter().zip(&written).all(|(read, written)| read == written), "{bytes_max} {version}");
        }
    }
}

/// Fills a partition with batches of so many records, about 600 kB, and returns them as they are stored.
fn fill(client: &mut Client, partition: i32, records: i32) -> Bytes {
    let mut stored = BytesMut::new();
    while stored.len() < 600_000 {
        let mut bytes = BytesMut::from(&batch(&Batch { records, ..Batch::default() })[..]);
        let answer = client.produce(9, ("large", partition), bytes.clone().freeze());
        assert_eq!(answer.error_code, 0);
        bytes[..8].copy_from_slice(&answer.base_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&0_i32.to_be_bytes()); // the leader epoch
        stored.extend_from_slice(&bytes);
    }
    stored.freeze()
}

/// The next batches of each partition, from the last offset of those before on; `None` when all is read.
fn fetch_all(client: &mut Client, version: i16, bytes_max: i32, read: &[BytesMut]) -> Option<Vec<Bytes>> {
    let partitions = (0..).zip(read).map(|(partition, read)| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(next_offset(read))
            .with_partition_max_bytes(bytes_max)
    });
    let topics = vec![FetchTopic::default().with_topic(topic("large")).with_partitions(partitions.collect())];
    let answer = client.call(version, &FetchRequest::default().with_max_bytes(1 << 30).with_topics(topics));
    let partitions = &answer.responses[0].partitions;
    let found: Vec<Bytes> = partitions.iter().map(|partition| partition.records.clone().unwrap_or_default()).collect();
    assert!(found.iter().all(|found| found.len() <= bytes_max.max(200_000) as usize), "not too much");
    found.iter().any(|found| !found.is_empty()).then_some(found)
}

/// The offset after the last batch.
fn next_offset(mut batches: &[u8]) -> i64 {
    let mut next = 0;
    while !batches.is_empty() {
        let base = i64::from_be_bytes(batches[..8].try_into().expect("8 bytes"));
        let length = i32::from_be_bytes(batches[8..12].try_into().expect("4 bytes"));
        next = base + 1 + i64::from(i32::from_be_bytes(batches[23..27].try_into().expect("4 bytes")));
        batches = &batches[12 + length as usize..];
    }
    next
}
