//! Fetch: returns whole batches, immediately or as soon as there are enough.
//!
//! Separate because it is the hot read path, and because the order matters: a fetch registers with every partition
//! before it looks at the logs, so it misses no append and never polls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Call, check_leader_epoch, isolation};
use crate::config::FETCH_WAIT_MS_MAX;
use crate::log::{Aborted, Fetched, Isolation, Log, Slice};

/// A topic of a response.
#[derive(Debug)]
pub(crate) struct FetchedTopic {
    pub(crate) name: TopicName,
    pub(crate) partitions: Vec<FetchedPartition>,
}

/// A partition of a response: its records, and everything else about it.
#[derive(Debug)]
pub(crate) struct FetchedPartition {
    pub(crate) data: PartitionData,
    pub(crate) records: Slice,
}

/// A partition that the request asks for.
struct RequestedPartition {
    /// The index of the topic in the request.
    topic: usize,
    partition: FetchPartition,
    log: Result<Arc<Log>, ResponseError>,
}

/// The isolation level and the size limit of a fetch.
#[derive(Clone, Copy)]
struct FetchLimits {
    isolation: Isolation,
    bytes_max: usize,
}

/// Waits until `min_bytes` are available or the maximum wait time has passed, then reads.
pub(crate) async fn fetch(call: &Call, request: FetchRequest) -> Vec<FetchedTopic> {
    let limits = FetchLimits {
        isolation: isolation(request.isolation_level),
        bytes_max: usize::try_from(request.max_bytes).unwrap_or(0).min(call.core.answers.fetch_bytes_max()),
    };
    let min_bytes = u64::try_from(request.min_bytes).unwrap_or(0);
    let wait = Duration::from_millis(request.max_wait_ms.clamp(0, FETCH_WAIT_MS_MAX) as u64);
    let names: Vec<TopicName> = request.topics.iter().map(|topic| topic.topic.clone()).collect();
    let requested = requested(call, request);
    wait_for_bytes(&requested, limits.isolation, min_bytes, Instant::now() + wait).await;
    let topics = requested.iter().map(|requested| requested.topic).collect::<Vec<_>>();
    let read = super::on_disk(&call.core, move || read_all(requested, limits)).await;
    by_topic(names, topics, read)
}

fn requested(call: &Call, request: FetchRequest) -> Vec<RequestedPartition> {
    let mut requested = Vec::new();
    for (at, topic) in request.topics.into_iter().enumerate() {
        let known = call.core.topics.get(&topic.topic);
        for partition in topic.partitions {
            let log = known.as_ref().and_then(|known| known.log(partition.partition));
            let log = log.ok_or(ResponseError::UnknownTopicOrPartition);
            let log = log.and_then(|log| check_leader_epoch(partition.current_leader_epoch).map(|()| log));
            requested.push(RequestedPartition { topic: at, partition, log });
        }
    }
    requested
}

async fn wait_for_bytes(requested: &[RequestedPartition], isolation: Isolation, min_bytes: u64, until: Instant) {
    let wake_up = Arc::new(Notify::new());
    let logs = requested.iter().filter_map(|requested| requested.log.as_ref().ok());
    let _waiting: Vec<_> = logs.map(|log| log.register(&wake_up)).collect();
    while !is_enough(requested, isolation, min_bytes) {
        if timeout_at(until, wake_up.notified()).await.is_err() {
            return;
        }
    }
}

/// An error ends the wait: the client is told immediately.
fn is_enough(requested: &[RequestedPartition], isolation: Isolation, min_bytes: u64) -> bool {
    let mut bytes = 0;
    for one in requested {
        let readable = one.log.clone().and_then(|log| log.readable_bytes(one.partition.fetch_offset, isolation));
        match readable {
            Ok(readable) => bytes += readable.min(u64::try_from(one.partition.partition_max_bytes).unwrap_or(0).max(1)),
            Err(_) => return true,
        }
    }
    bytes >= min_bytes
}

fn read_all(requested: Vec<RequestedPartition>, limits: FetchLimits) -> Vec<FetchedPartition> {
    let mut left = limits.bytes_max;
    let mut nothing_yet = true;
    let mut read = Vec::with_capacity(requested.len());
    for one in requested {
        let bytes_max = usize::try_from(one.partition.partition_max_bytes).unwrap_or(0).min(left);
        let offset = one.partition.fetch_offset;
        let fetched = one.log.and_then(|log| log.read(offset, bytes_max, limits.isolation, nothing_yet));
        let bytes = fetched.as_ref().map_or(0, |fetched| fetched.records.len());
        left = left.saturating_sub(bytes);
        nothing_yet &= bytes == 0;
        read.push(fetched_partition(one.partition.partition, fetched));
    }
    read
}

fn fetched_partition(partition: i32, fetched: Result<Fetched, ResponseError>) -> FetchedPartition {
    let data = PartitionData::default().with_partition_index(partition);
    match fetched {
        Ok(fetched) => FetchedPartition {
            data: data
                .with_high_watermark(fetched.ends.end)
                .with_last_stable_offset(fetched.ends.stable)
                .with_log_start_offset(fetched.ends.start)
                .with_aborted_transactions(
                    fetched.aborted.map(|aborted| aborted.iter().map(aborted_transaction).collect()),
                ),
            records: fetched.records,
        },
        Err(error) => FetchedPartition {
            data: data
                .with_error_code(error.code())
                .with_high_watermark(-1)
                .with_last_stable_offset(-1)
                .with_log_start_offset(-1),
            records: Slice::Bytes(Bytes::new()),
        },
    }
}

fn aborted_transaction(aborted: &Aborted) -> AbortedTransaction {
    AbortedTransaction::default().with_producer_id(aborted.producer_id.into()).with_first_offset(aborted.first_offset)
}

/// Groups the partitions by topic, in the order of the request.
fn by_topic(names: Vec<TopicName>, topics: Vec<usize>, read: Vec<FetchedPartition>) -> Vec<FetchedTopic> {
    let topic = |name| FetchedTopic { name, partitions: Vec::new() };
    let mut answers: Vec<FetchedTopic> = names.into_iter().map(topic).collect();
    for (topic, data) in topics.into_iter().zip(read) {
        answers[topic].partitions.push(data);
    }
    answers
}
