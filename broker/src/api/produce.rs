//! Produce: appends batches to logs.
//!
//! Separate because it is the hot write path: batches are stored as the producer sent them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Call, text};
use crate::clock::now_ms;

/// Appends the batches of all partitions in the request.
pub(crate) fn produce(call: &Call, request: ProduceRequest) -> ProduceResponse {
    let acks = request.acks;
    let topic = |topic: kafka_protocol::messages::produce_request::TopicProduceData| {
        let partition = |data| append(call, &topic.name, data, acks);
        let partitions = topic.partition_data.into_iter().map(partition).collect();
        TopicProduceResponse::default().with_name(topic.name.clone()).with_partition_responses(partitions)
    };
    ProduceResponse::default().with_responses(request.topic_data.into_iter().map(topic).collect())
}

fn append(call: &Call, topic: &str, data: PartitionProduceData, acks: i16) -> PartitionProduceResponse {
    let appended = || {
        if !(-1..=1).contains(&acks) {
            return Err(ResponseError::InvalidRequiredAcks);
        }
        let (log, rules) = call.core.topics.log(topic, data.index)?;
        log.append(&data.records.clone().unwrap_or_default(), &rules, now_ms())
    };
    let answer = PartitionProduceResponse::default().with_index(data.index);
    match appended() {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time_ms)
            .with_log_start_offset(appended.start_offset),
        Err(error) => answer
            .with_error_code(error.code())
            .with_base_offset(-1)
            .with_error_message((call.version >= 8).then(|| text(error.to_string()))),
    }
}
