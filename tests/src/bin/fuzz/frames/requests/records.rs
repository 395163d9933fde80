//! Requests that write and read records, and look for offsets.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest, TopicName,
};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use super::{Added, Failure, Known, Requests, text, topic, transactional_id};

/// Records of no producer, of an idempotent one, and of a transaction; none in the versions that are only advertised.
pub(super) fn produce(to: &mut Requests) -> Added {
    if to.version < 3 {
        return Ok(());
    }
    let known = to.known;
    let plain = batch(3, None, false)?;
    to.add(&produce_request(topic(), plain.clone()))?;
    to.add(&produce_request(topic(), plain.clone()).with_acks(0))?;
    let both = [0, 1].map(|index| PartitionProduceData::default().with_index(index).with_records(Some(plain.clone())));
    let both = TopicProduceData::default().with_name(topic()).with_partition_data(both.into());
    to.add(&ProduceRequest::default().with_acks(1).with_timeout_ms(100).with_topic_data(vec![both]))?;
    to.add(&produce_request(topic(), batch(1, Some(known), false)?))?;
    let transactional = produce_request(topic(), batch(2, Some(known), true)?);
    to.add(&transactional.with_transactional_id(Some(transactional_id())))
}

/// Writes a batch to the first partition of a topic.
pub fn produce_request(topic: TopicName, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let data = TopicProduceData::default().with_name(topic).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(100).with_topic_data(vec![data])
}

/// A batch of small records.
pub fn batch(records: i32, producer: Option<Known>, transactional: bool) -> Result<Bytes, Failure> {
    let record = |at: i32| Record {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.map_or(-1, |producer| producer.producer_id),
        producer_epoch: producer.map_or(-1, |producer| producer.producer_epoch),
        timestamp_type: TimestampType::Creation,
        offset: i64::from(at),
        sequence: if producer.is_some() { at } else { -1 },
        timestamp: 1_700_000_000_000 + i64::from(at),
        key: Some(Bytes::from(format!("k{at}"))),
        value: Some(Bytes::from(format!("value {at}"))),
        headers: [(text("h"), Some(Bytes::from_static(b"1")))].into_iter().collect(),
    };
    let records: Vec<Record> = (0..records).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options)?;
    Ok(bytes.freeze())
}

pub(super) fn fetch(to: &mut Requests) -> Added {
    let request = fetch_request(topic(), 0);
    to.add(&request)?;
    to.add(&request.clone().with_isolation_level(1).with_min_bytes(1).with_max_wait_ms(1))?;
    if to.version >= 7 {
        let forgotten = ForgottenTopic::default().with_topic(topic()).with_partitions(vec![0, 1]);
        let in_session = request.with_session_id(7).with_session_epoch(1);
        to.add(&in_session.with_forgotten_topics_data(vec![forgotten]))?;
    }
    Ok(())
}

/// Reads both partitions of a topic from an offset.
pub fn fetch_request(topic: TopicName, offset: i64) -> FetchRequest {
    let partition = |partition| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1_000)
            .with_log_start_offset(-1)
    };
    let topic = FetchTopic::default().with_topic(topic).with_partitions(vec![partition(0), partition(1)]);
    FetchRequest::default().with_max_bytes(1_000).with_topics(vec![topic])
}

pub(super) fn list_offsets(to: &mut Requests) -> Added {
    let asked = |timestamp| ListOffsetsPartition::default().with_partition_index(0).with_timestamp(timestamp);
    let asked = vec![asked(-1), asked(-2), asked(1_700_000_000_001)];
    let asked = ListOffsetsTopic::default().with_name(topic()).with_partitions(asked);
    to.add(&ListOffsetsRequest::default().with_topics(vec![asked]))
}

pub(super) fn offset_for_leader_epoch(to: &mut Requests) -> Added {
    let asked = OffsetForLeaderPartition::default().with_partition(1).with_current_leader_epoch(0).with_leader_epoch(0);
    let asked = OffsetForLeaderTopic::default().with_topic(topic()).with_partitions(vec![asked]);
    to.add(&OffsetForLeaderEpochRequest::default().with_topics(vec![asked]))
}
