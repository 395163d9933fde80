//! ListOffsets and OffsetForLeaderEpoch: offsets by timestamp, and the ends of logs.
//!
//! Separate because these requests read offsets and timestamps of a log, but no records.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::{Call, check_leader_epoch, isolation};
use crate::log::{Isolation, LEADER_EPOCH, Log, TimedOffset};

/// Timestamps with a special meaning.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// The answer when no record matches.
const NONE: TimedOffset = TimedOffset { offset: -1, timestamp_ms: -1 };

/// Returns an offset for each partition: the first at or after a timestamp, or one of the ends of the log.
pub(crate) fn list(call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = isolation(request.isolation_level);
    let mut seen = BTreeSet::new();
    let topics = request.topics.into_iter().map(|topic| {
        // Searching by timestamp is expensive, so a partition that is named twice is refused, as in Kafka.
        let partition = |asked: ListOffsetsPartition| match seen.insert((topic.name.clone(), asked.partition_index)) {
            true => listed(call, &topic.name, &asked, isolation),
            false => refused(&asked, ResponseError::InvalidRequest),
        };
        let partitions = topic.partitions.into_iter().map(partition).collect();
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn listed(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    let found = || {
        check_leader_epoch(asked.current_leader_epoch)?;
        let (log, _) = call.core.topics.log(topic, asked.partition_index)?;
        offset_of(&log, asked.timestamp, isolation)
    };
    match found() {
        Ok(found) => ListOffsetsPartitionResponse::default()
            .with_partition_index(asked.partition_index)
            .with_offset(found.offset)
            .with_timestamp(found.timestamp_ms)
            .with_leader_epoch(if call.version >= 4 { LEADER_EPOCH } else { -1 }),
        Err(error) => refused(asked, error),
    }
}

fn refused(asked: &ListOffsetsPartition, error: ResponseError) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_error_code(error.code())
        .with_offset(-1)
        .with_timestamp(-1)
}

fn offset_of(log: &Log, timestamp_ms: i64, isolation: Isolation) -> Result<TimedOffset, ResponseError> {
    let ends = log.ends();
    let end = if isolation == Isolation::ReadCommitted { ends.stable } else { ends.end };
    match timestamp_ms {
        LATEST => Ok(TimedOffset { offset: end, timestamp_ms: -1 }),
        EARLIEST => Ok(TimedOffset { offset: ends.start, timestamp_ms: -1 }),
        MAX_TIMESTAMP => Ok(log.offset_of_max_time(isolation)?.unwrap_or(NONE)),
        ..0 => Err(ResponseError::UnsupportedVersion),
        _ => Ok(log.offset_of_time(timestamp_ms, isolation)?.unwrap_or(NONE)),
    }
}

/// Returns the end offset of a leader epoch. There is only one epoch, and it ends with the log.
pub(crate) fn for_leader_epoch(call: &Call, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partition = |asked: OffsetForLeaderPartition| epoch_end(call, &topic.topic, &asked);
        let partitions = topic.partitions.into_iter().map(partition).collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn epoch_end(call: &Call, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let log = check_leader_epoch(asked.current_leader_epoch)
        .and_then(|()| call.core.topics.log(topic, asked.partition).map(|(log, _)| log));
    let answer = EpochEndOffset::default().with_partition(asked.partition).with_leader_epoch(-1).with_end_offset(-1);
    match log {
        Err(error) => answer.with_error_code(error.code()),
        Ok(log) if asked.leader_epoch == LEADER_EPOCH => {
            answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(log.ends().end)
        }
        Ok(_) => answer,
    }
}
