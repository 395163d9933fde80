//! Topics, offsets and settings of a cluster.

use std::collections::BTreeMap;

use super::{Isolation, Position, TopicId, TransportError};
use crate::record::TopicPartition;

/// Topics, offsets and settings of a cluster.
pub trait Admin: Send + Sync {
    /// All topics by name, internal ones included.
    fn topics(&self) -> Result<Vec<TopicInfo>, TransportError>;

    /// One topic; `None` when it does not exist.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError>;

    /// Creates a topic and waits until it can be read and written; `TopicExists` is told of one that can be.
    fn create_topic(&self, topic: &NewTopic) -> Result<(), TransportError>;

    /// Deletes a topic and waits until it is gone.
    fn delete_topic(&self, name: &str) -> Result<(), TransportError>;

    /// Log start and end of each partition of a topic, in order of partition. The end is the last
    /// stable offset when `isolation` is read_committed, else the high watermark.
    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError>;

    /// The topic's id and the ends of its logs. What is read by them later is of this topic and no other of its name when
    /// the id is still the same then.
    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent, TransportError>;

    /// The id of a topic as it is now; `None` from a cluster that gives none.
    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, TransportError>;

    /// What may change of a topic while it is read; `None` when it does not exist. It may be some seconds old, and is meant
    /// for those who look every few seconds: all that look at topics of this cluster cost one request together, and of those
    /// that come at once some are told to look again later, as [`TransportErrorKind::Timeout`](super::TransportErrorKind::Timeout).
    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError>;

    /// As [`Self::glance`], but what is told was asked for after this was called, and who comes at the same time waits for one
    /// answer to all.
    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError>;

    /// For each partition given, the first offset whose record's timestamp is at or after the given
    /// time in ms; `None` where there is no such record. Every record before the offset is older.
    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, TransportError>;

    /// The topic's settings by name, as the cluster shows them.
    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, TransportError>;

    /// The places committed under a consumer group for these partitions; `None` where there is none. An offset
    /// that is part of an open transaction is waited for: what a killed writer left open ends when its transactional
    /// id is taken again or its transaction times out. Until then this fails as [`TransportErrorKind::Timeout`](super::TransportErrorKind::Timeout).
    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// What a topic takes of a record. Who writes more than that has its records refused, whole batches at once and
    /// in a transaction everything else with them.
    fn record_limits(&self, topic: &str) -> Result<RecordLimits, TransportError>;

    /// How many members each of these consumer groups has now; 0 for one that is not there.
    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>, TransportError>;
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas of each partition.
    pub replicas: i32,
}

/// What a topic takes of a record; `None` for no limit that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLimits {
    /// Most bytes of key, value and headers together. Not known of records that are compressed on their way.
    pub bytes_max: Option<usize>,
    /// Most bytes of records that may be written at once, before they are compressed, for the topic to take them whatever
    /// they are compressed to.
    pub batch_bytes_max: Option<usize>,
    /// How far its timestamp may be ahead of the present, in ms.
    pub ahead_ms_max: Option<i64>,
    /// How far its timestamp may be behind the present, in ms.
    pub behind_ms_max: Option<i64>,
    /// Records without a key are refused: the topic is compacted.
    pub needs_key: bool,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: i32,
    /// Number of replicas; `None` for the cluster's default.
    pub replicas: Option<i32>,
    /// Settings such as `retention.ms`, by Kafka's names.
    pub settings: BTreeMap<String, String>,
}

/// The two ends of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset that exists.
    pub start: i64,
    /// One past the last offset that may be read.
    pub end: i64,
}

/// A topic's logs at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The topic's id; `None` of a cluster that gives none.
    pub id: Option<TopicId>,
    /// Both ends of each partition, in their order.
    pub marks: Vec<Watermarks>,
}

/// What may change of a topic while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The topic's id; `None` of a cluster that gives none.
    pub id: Option<TopicId>,
    /// Number of partitions.
    pub partitions: i32,
}
