//! A cluster in memory, for simulation and tests: deterministic, without clock, threads or randomness of its own.
//!
//! It follows Kafka's rules as far as a reader or writer can observe them: markers take an offset, an open transaction
//! holds back the last stable offset, acquiring a transactional id fences its former owner, compaction leaves gaps, and
//! a rebalance waits until every member has released its partitions. Time passes only through
//! [`MemoryTransport::set_now_ms`], sessions end only through [`MemoryTransport::expire_members`], and `poll` never
//! blocks.
//!
//! What it deliberately does not know: the protocol, connections, and anything but bytes.

mod admin;
mod cluster;
mod doorbell;
mod group;
mod log;
mod member;
mod range;
mod sink;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use headwater_formats::record::TopicPartition;
use parking_lot::Mutex;

use self::admin::MemoryAdmin;
use self::cluster::Cluster;
use self::doorbell::MemoryDoorbell;
use self::member::MemoryMember;
use self::sink::MemorySink;
use self::source::MemorySource;
use super::{Admin, Doorbell, GroupPlan, Member, ReadPlan, Sink, SinkOptions, Source, Transport, TransportError};
use crate::schemas::{MemorySchemas, Schemas};

/// The state that all handles of a cluster share.
type Shared = Arc<Mutex<Cluster>>;

/// A cluster in memory. Clones are the same cluster.
///
/// ```
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_connectors::transport::{NewTopic, Transport};
///
/// let cluster = MemoryTransport::new();
/// let orders = NewTopic { name: "orders".into(), partitions: 4, replicas: None, settings: Default::default() };
/// cluster.admin().create_topic(&orders)?;
/// assert_eq!(cluster.admin().topics()?[0].partitions, 4);
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
#[derive(Clone)]
pub struct MemoryTransport {
    cluster: Shared,
    admin: Arc<MemoryAdmin>,
    schemas: Arc<MemorySchemas>,
    process: Arc<str>,
}

impl MemoryTransport {
    /// An empty cluster at time 0.
    pub fn new() -> Self {
        let cluster = Shared::default();
        let admin = Arc::new(MemoryAdmin { cluster: Arc::clone(&cluster) });
        Self { admin, schemas: Arc::default(), cluster, process: "".into() }
    }

    /// The same cluster as seen by another process: [`Self::expire_members`] expires the members that joined through
    /// this handle and its clones.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use headwater_connectors::transport::memory::MemoryTransport;
    /// use headwater_connectors::transport::{GroupPlan, MemberEvent, NewTopic, Transport};
    ///
    /// let cluster = MemoryTransport::new();
    /// let orders = NewTopic { name: "orders".into(), partitions: 4, replicas: None, settings: Default::default() };
    /// cluster.admin().create_topic(&orders)?;
    /// let process = cluster.process("a");
    /// let mut member = process.join_group(GroupPlan { group: "g".into(), topics: vec!["orders".into()] })?;
    /// assert!(matches!(member.poll(Duration::ZERO)?, Some(MemberEvent::Assigned(all)) if all.len() == 4));
    /// process.expire_members();
    /// assert_eq!(member.poll(Duration::ZERO)?, Some(MemberEvent::Lost));
    /// # Ok::<(), headwater_connectors::transport::TransportError>(())
    /// ```
    pub fn process(&self, name: &str) -> Self {
        Self { process: name.into(), ..self.clone() }
    }

    /// Ends the sessions of all group members of this process, as when it has been silent for too long: their groups
    /// continue without them. They receive [`super::MemberEvent::Lost`] when they next poll, and then rejoin. To
    /// simulate a killed process, expire its members before dropping them.
    pub fn expire_members(&self) {
        self.cluster.lock().expire(&self.process);
    }

    /// Sets the timestamp, in ms since the epoch, of records that are written without one.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.cluster.lock().now_ms = now_ms;
    }

    /// Its schemas.
    pub fn memory_schemas(&self) -> &MemorySchemas {
        &self.schemas
    }

    /// Deletes the records of a partition below `offset`, as retention does. Fails if the partition does not exist.
    pub fn delete_records(&self, partition: &TopicPartition, offset: i64) -> Result<(), TransportError> {
        self.cluster.lock().log_mut(partition)?.delete_before(offset);
        Ok(())
    }

    /// Changes a setting of a topic, as an operator does. Two settings have an effect: `max.message.bytes`, here the
    /// bytes of a record's key and value, and a `cleanup.policy` with `compact`, which rejects records without a key.
    /// Fails if the topic does not exist.
    pub fn set(&self, topic: &str, name: &str, value: &str) -> Result<(), TransportError> {
        self.cluster.lock().set(topic, name, value)
    }

    /// Makes a topic reject records whose value contains these bytes, which none of its settings shows. Fails if the
    /// topic does not exist.
    pub fn refuse(&self, topic: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.cluster.lock().refuse(topic, bytes)
    }

    /// Removes the records of a partition at and after `offset`, as when a replica that never had them becomes the
    /// leader. Fails if the partition does not exist.
    pub fn truncate(&self, partition: &TopicPartition, offset: i64) -> Result<(), TransportError> {
        self.cluster.lock().log_mut(partition)?.truncate(offset);
        Ok(())
    }

    /// Adds partitions to a topic until it has `partitions` of them. Fails if the topic does not exist.
    pub fn add_partitions(&self, topic: &str, partitions: i32) -> Result<(), TransportError> {
        self.cluster.lock().grow(topic, partitions)
    }

    /// Drops the offsets committed under a group, as when they expire.
    pub fn expire_offsets(&self, group: &str) {
        self.cluster.lock().forget_offsets(group);
    }

    /// Compacts a partition completely, so that even its last records and markers may leave gaps. Fails if the
    /// partition does not exist.
    pub fn compact(&self, partition: &TopicPartition) -> Result<(), TransportError> {
        self.cluster.lock().log_mut(partition)?.compact();
        Ok(())
    }
}

impl Default for MemoryTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.cluster.lock().topics();
        f.debug_struct("MemoryTransport").field("topics", &topics).finish_non_exhaustive()
    }
}

impl Transport for MemoryTransport {
    fn admin(&self) -> &dyn Admin {
        &*self.admin
    }

    fn schemas(&self) -> Arc<dyn Schemas> {
        self.schemas.clone()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        let open = |plan| Box::new(MemorySource::open(Arc::clone(&self.cluster), plan)) as Box<dyn Source>;
        Ok(plans.into_iter().map(open).collect())
    }

    fn doorbell(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        Ok(Box::new(MemoryDoorbell::new(Arc::clone(&self.cluster), offsets.clone())))
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        Ok(Box::new(MemoryMember::join(Arc::clone(&self.cluster), plan, Arc::clone(&self.process))?))
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        Ok(Box::new(MemorySink::open(Arc::clone(&self.cluster), options)))
    }
}
