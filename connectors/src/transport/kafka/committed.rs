//! The offsets committed under a group, in librdkafka's types.

use std::collections::BTreeMap;

use headwater_formats::record::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::connection::ANSWER_TIMEOUT;
use super::context::Context;
use crate::transport::{Position, TransportError, TransportErrorKind};

/// The offsets committed under the group of a client. Offsets of an open transaction are requested again until the
/// timeout.
pub(super) fn of_group(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Option<Position>>> {
    let positions = partitions.iter().map(|p| (p.topic.to_string(), p.partition, Offset::Invalid));
    let list: TopicPartitionList = positions.collect();
    // The list is dropped when this returns, before its client: rdkafka's consumer waits forever for a list it returned.
    let found = client.committed_offsets(list, ANSWER_TIMEOUT)?;
    let read = |element: &TopicPartitionListElem<'_>| {
        element.error()?;
        let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
        let position = offset.map(|offset| Position { offset, note: element.metadata().into() });
        Ok((TopicPartition::new(element.topic(), element.partition()), position))
    };
    found.elements().iter().map(read).collect()
}

/// Positions as a librdkafka list.
pub(super) fn list(positions: &BTreeMap<TopicPartition, Position>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, position) in positions {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(position.offset))?;
        element.set_metadata(&*position.note);
    }
    Ok(list)
}

/// The failed action, as text for an error message.
pub(super) fn doing(group: &str) -> String {
    format!("the offsets committed under group \"{group}\" could not be read")
}

/// Adds another possible cause to a timeout: an open transaction.
pub(super) fn held_back(mut error: TransportError) -> TransportError {
    if error.kind == TransportErrorKind::Timeout {
        error.message.push_str("; an open transaction may be holding them back");
    }
    error
}
