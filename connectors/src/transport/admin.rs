//! Topics, offsets and settings of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use headwater_formats::record::{RecordLimits, TopicPartition};

use super::{Isolation, Position, TopicId, TransportError};

/// Topics, offsets and settings of a cluster.
///
/// ```
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_connectors::transport::{Isolation, NewTopic, Transport, TransportErrorKind};
///
/// let cluster = MemoryTransport::new();
/// let admin = cluster.admin();
/// let settings = [("retention.ms".to_owned(), "60000".to_owned())].into();
/// let orders = NewTopic { name: "orders".into(), partitions: 4, replicas: None, settings };
/// admin.create_topic(&orders)?;
/// assert_eq!(admin.create_topic(&orders).unwrap_err().kind, TransportErrorKind::TopicExists);
///
/// assert_eq!(admin.topic_settings("orders")?["retention.ms"], "60000");
/// assert_eq!(admin.watermarks("orders", Isolation::ReadCommitted)?.len(), 4);
///
/// admin.delete_topic("orders")?;
/// assert_eq!(admin.topic("orders")?, None);
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
pub trait Admin: Send + Sync {
    /// All topics by name, internal ones included.
    fn topics(&self) -> Result<Vec<TopicInfo>, TransportError>;

    /// One topic; `None` when it does not exist.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError>;

    /// Creates a topic and waits until it can be read and written. Fails with `TopicExists` only if the topic can
    /// already be read and written.
    fn create_topic(&self, topic: &NewTopic) -> Result<(), TransportError>;

    /// Deletes a topic and waits until it is gone.
    fn delete_topic(&self, name: &str) -> Result<(), TransportError>;

    /// The first and the end offset of each partition of a topic, in partition order. The end is the last stable offset
    /// if `isolation` is read_committed, otherwise the high watermark.
    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError>;

    /// The topic's id and the ends of its logs. If the id is still the same after the logs were read up to these ends,
    /// everything read belongs to this topic and not to another one of the same name.
    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent, TransportError>;

    /// The current id of a topic; `None` if the cluster does not report ids.
    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, TransportError>;

    /// The properties of a topic that may change while it is read; `None` when it does not exist. The answer may be
    /// some seconds old. Intended for callers that ask every few seconds: they share one request to the cluster. Of
    /// several concurrent callers some may have to ask again later, which is reported as
    /// [`TransportErrorKind::Timeout`](super::TransportErrorKind::Timeout).
    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError>;

    /// As [`Self::glance`], but the answer is requested after this call begins. Concurrent callers wait for one answer
    /// together.
    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError>;

    /// For each partition given, the offset of the first record whose timestamp is at or after the given time in ms;
    /// `None` if there is no such record. Every earlier record is older.
    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, TransportError>;

    /// The topic's settings by name, as the cluster reports them.
    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, TransportError>;

    /// The positions committed under a consumer group for these partitions; `None` for those without one. Waits for an
    /// offset that is part of an open transaction; if the writer was killed, the transaction ends when its
    /// transactional id is acquired again or when it times out. Until then this fails with
    /// [`TransportErrorKind::Timeout`](super::TransportErrorKind::Timeout).
    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// The limits of a topic for its records. A record that exceeds them is rejected together with its whole batch and,
    /// in a transaction, with everything else.
    fn record_limits(&self, topic: &str) -> Result<RecordLimits, TransportError>;

    /// The id of the cluster, which no other cluster has; `None` if it does not report one.
    fn cluster_id(&self) -> Result<Option<String>, TransportError>;

    /// The current number of members of each of these consumer groups; 0 for a group that does not exist.
    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>, TransportError>;

    /// The names of all consumer groups that have members or committed offsets.
    fn groups(&self) -> Result<BTreeSet<String>, TransportError>;

    /// Deletes a consumer group with its offsets. Returns false, and deletes nothing, if it has members. A group that does not
    /// exist counts as deleted.
    fn delete_group(&self, group: &str) -> Result<bool, TransportError>;

    /// Deletes the records of partitions below these offsets, which must not be above the ends of their logs. The cluster frees the
    /// space by whole segments.
    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> Result<(), TransportError>;
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

/// A topic to be created.
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
    /// The offset after the last one that may be read.
    pub end: i64,
}

/// The logs of a topic at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The topic's id; `None` if the cluster does not report ids.
    pub id: Option<TopicId>,
    /// The ends of each partition's log, in partition order.
    pub marks: Vec<Watermarks>,
}

/// The properties of a topic that may change while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The topic's id; `None` if the cluster does not report ids.
    pub id: Option<TopicId>,
    /// Number of partitions.
    pub partitions: i32,
}
