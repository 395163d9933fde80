//! Where records come from and go to: [`Source`], [`Sink`] and [`Admin`], in batches both ways, and [`Member`], which
//! says whose partitions are whose.
//!
//! All calls block the calling thread for at most the timeout they are given (or the transport's
//! own, which is named where there is one); asynchronous callers use a blocking thread. Nothing
//! above this room knows which transport it talks to: `memory` for simulation and tests, `kafka`
//! for the rest (the embedded broker speaks the Kafka protocol too).
//!
//! ```text
//! Source:  open_sources → poll* (Batch … Lost … Batch, Finished for each bounded range) → drop
//! Sink:    open_sink → [begin] → write* → flush | commit | abort → drop
//! Member:  join_group → poll* (Assigned … Revoked → release … Assigned …) → drop, which leaves the group
//! ```

mod columns;
mod doorbell;
pub mod kafka;
mod lost;
pub mod memory;
mod position;
mod topic_id;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::doorbell::Doorbell;
pub use self::lost::{LossCause, Lost};
pub use self::position::Position;
pub use self::topic_id::{NotAnId, TopicId, TopicIds};
use headwater_formats::record::{OutBatch, RawBatch, RecordLimits, TopicPartition, Wanted};

/// A cluster, real or simulated.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Topics, offsets and settings of the cluster.
    fn admin(&self) -> &dyn Admin;

    /// Opens one source for each plan. The sources share one connection to each broker and may be
    /// driven by different threads. A topic or partition that does not exist is told here or by the first
    /// poll; plans whose ranges are all empty ask nobody.
    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError>;

    /// Hangs a bell at the next offset to read of each partition. What a reader of committed records would see there, or
    /// could not see any more, rings it.
    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError>;

    /// Joins a consumer group, which shares the partitions of its topics out among its members. Who has a
    /// partition reads it through a source of its own; the group only says whose it is. A topic that does not
    /// exist is told here; the first partitions come by [`Member::poll`].
    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError>;

    /// Opens a sink.
    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError>;
}

/// What one source reads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The ranges, each of another partition.
    pub ranges: Vec<ReadRange>,
    /// The parts of each record that are copied.
    pub wanted: Wanted,
    /// Which records are seen.
    pub isolation: Isolation,
    /// Most records in one batch.
    pub batch_records_max: usize,
    /// The topics that are meant, where their ids are known: one of the same name with another id counts as lost.
    pub ids: TopicIds,
}

/// A run of offsets of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset that is read. Where the log begins later, what is between is [`SourceEvent::Lost`], and reading goes
    /// on at the first offset that there is.
    pub start: i64,
    /// First offset that is not read, at most the end of the log as it is or was: where the log ends before it, what is
    /// between is lost. `None` reads for ever.
    pub end: Option<i64>,
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Only committed ones; reading ends at the last stable offset.
    #[default]
    ReadCommitted,
    /// All; reading ends at the high watermark.
    ReadUncommitted,
}

/// A reader of partitions.
pub trait Source: Send {
    /// Waits at most `timeout` for the next event, but returns the first records at once: a batch is
    /// never held back to be filled.
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError>;
}

/// What a [`Source`] has to say.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "an event carries thousands of records: its own size is nothing beside them"
)]
pub enum SourceEvent {
    /// The next records of one partition, never empty, never outside their range, never below what was read of it.
    Batch(RawBatch),
    /// Offsets of a range are lost. Reading goes on behind them, unless [`Lost::ends_range`]: then nothing more comes of
    /// the range, nor is it `Finished`.
    Lost(Lost),
    /// Of a range without an end: all below this offset was read, although no record comes just before it, but markers of
    /// transactions or what was compacted away. Said where the log ends, and not where it goes without saying.
    Passed(TopicPartition, i64),
    /// The range of this partition is read to its end, also where its last offsets are transaction
    /// markers or were compacted away. Said once for each bounded range.
    Finished(TopicPartition),
    /// Nothing came within the timeout.
    Idle,
}

/// How a sink writes.
#[derive(Clone, Debug, Default)]
pub struct SinkOptions {
    /// With an id every write is inside a transaction and opening fences the id's former owner.
    pub transactional_id: Option<String>,
    /// A timestamp that the transport cannot write becomes the nearest that it can; else it is refused. The one
    /// that there is: librdkafka cannot write 0, 1970-01-01T00:00:00.000Z.
    pub nearest_time: bool,
    /// Most bytes of records that are sent as one batch; `None` for the transport's own choice. To be given where a
    /// topic takes less ([`RecordLimits`]).
    pub batch_bytes_max: Option<usize>,
    /// A topic that exists and will be written to, if one is known: what opening asks the cluster is asked of it.
    pub topic: Option<Arc<str>>,
}

/// A writer of records.
pub trait Sink: Send {
    /// Takes all records of the batch; they are sent in order for each partition. Waits while the
    /// send buffer is full. A delivery that fails later is reported by `flush` or `commit`.
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError>;

    /// Waits until every record is acknowledged, at most `timeout`.
    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError>;

    /// Begins a transaction; only with a transactional id, once before each commit or abort.
    fn begin(&mut self) -> Result<(), TransportError>;

    /// Commits the records written since `begin` and `offsets` (the place of each partition, under the
    /// consumer group of `membership`), all or nothing. A membership that is no
    /// longer the group's is refused as [`TransportErrorKind::Fenced`]: nothing is committed, and the
    /// transaction waits for [`Self::abort`]. Without offsets the group is not asked.
    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError>;

    /// Gives up the records written since `begin`. Fails as [`TransportErrorKind::Fenced`] when the transaction is
    /// no longer this sink's, because of another owner or of its own slowness: then only another sink writes again.
    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError>;
}

/// What a member of a consumer group wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group's name.
    pub group: String,
    /// The topics whose partitions are shared out.
    pub topics: Vec<Arc<str>>,
}

/// A place in a consumer group: the broker says which partitions are this member's, until it says otherwise.
///
/// ```text
/// Assigned ─┬─ Revoked ─ (last commit) ─ release ─┬─ Assigned …
///           └─ Lost ──────────────────────────────┘
/// ```
///
/// Every `Assigned` is ended by a `Revoked` or a `Lost` before the next one, also when it held no partition. Dropping
/// the member leaves the group at once, which takes as long as the coordinator takes to answer, at most seconds.
pub trait Member: Send {
    /// Serves the group and gives its next event, waiting at most `timeout` for one. A member that does not call
    /// this for minutes, or whose process is gone for some seconds, loses its place. Fails only where another
    /// try will not help; a coordinator that cannot be reached is waited for.
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError>;

    /// Says that everything revoked is given up. To be called once after each [`MemberEvent::Revoked`]: the group
    /// waits for it, so all of its members stand still meanwhile. Refused when nothing was revoked.
    fn release(&mut self) -> Result<(), TransportError>;

    /// Commits the place of each partition under this member's place in the group, outside of any transaction: for
    /// readers that promise at least once, and where nothing was written. Fails as [`TransportErrorKind::Fenced`] when
    /// the member's place is no longer the group's.
    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError>;

    /// The offsets committed under the group for these partitions, whoever has them, like
    /// [`Admin::committed_offsets`], which needs a client of its own for it.
    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// Has the group look again at how many partitions its topics have, and share them out anew when there are more. To be
    /// called when that is known ([`Admin::glance`]); without it a group learns of it some minutes later.
    fn refresh(&mut self) -> Result<(), TransportError>;

    /// This member's place as it is now, for [`Sink::commit`]: that of the latest `Assigned`, until it is released
    /// or lost. Without one it is a place that every commit refuses as [`TransportErrorKind::Fenced`].
    fn membership(&self) -> Membership;
}

/// What a group tells a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// These partitions, and no others, are this member's now; there may be none. In order.
    Assigned(Vec<TopicPartition>),
    /// All partitions are to be given up. What was done so far may still be committed, then
    /// [`Member::release`] is called; an `Assigned` follows. A group waits for minutes, not for ever: to who is
    /// later than that a commit says [`TransportErrorKind::Fenced`].
    Revoked,
    /// All partitions are someone else's already: nothing can be committed any more. An `Assigned` follows.
    Lost,
}

/// A place in a consumer group, under which offsets are committed.
#[derive(Clone)]
pub struct Membership {
    group: Arc<str>,
    /// What the transport that made it knows of the member: its id and the group's generation.
    place: Option<Arc<dyn Any + Send + Sync>>,
}

impl Membership {
    /// A group without members, whose offsets anybody may commit.
    pub fn outside(group: &str) -> Self {
        Self { group: Arc::from(group), place: None }
    }

    /// A member's place, in the terms of the transport that will be asked to commit under it.
    pub(crate) fn inside(group: &str, place: impl Any + Send + Sync) -> Self {
        Self { group: Arc::from(group), place: Some(Arc::new(place)) }
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What [`Self::inside`] was given; `None` outside. A place on another transport is refused.
    pub(crate) fn place<T: Any>(&self) -> Result<Option<&T>, TransportError> {
        let Some(place) = self.place.as_deref() else { return Ok(None) };
        let message = || format!("the place in group \"{}\" is one of another transport", self.group);
        let refused = || TransportError { kind: TransportErrorKind::Invalid, message: message(), setting: None };
        place.downcast_ref().map(Some).ok_or_else(refused)
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("group", &self.group).field("inside", &self.place.is_some()).finish()
    }
}

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
    /// that come at once some are told to look again later, as [`TransportErrorKind::Timeout`].
    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError>;

    /// As [`Self::glance`], but what is told was asked for after this was called, and who comes at the same time waits for one
    /// answer to all.
    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.glance(topic)
    }

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
    /// id is taken again or its transaction times out. Until then this fails as [`TransportErrorKind::Timeout`].
    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// What a topic takes of a record. Who writes more than that has its records refused, whole batches at once and
    /// in a transaction everything else with them.
    fn record_limits(&self, _topic: &str) -> Result<RecordLimits, TransportError> {
        Ok(RecordLimits::default())
    }

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

/// Why a transport could not do what it was asked, named by what the caller should do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of thing is wrong.
    pub kind: TransportErrorKind,
    /// The cause in words for a user, lower case, without passwords.
    pub message: String,
    /// The setting to look at, such as `bootstrap.servers`, when there is one.
    pub setting: Option<Arc<str>>,
}

/// Kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No broker can be reached: look at the address and the network.
    Unreachable,
    /// The broker does not accept who we are: look at the credentials.
    Authentication,
    /// TLS does not come about: look at certificates and the security protocol.
    Tls,
    /// We are who we say, but may not do this: ask for the right.
    Authorization,
    /// The topic does not exist.
    UnknownTopic,
    /// The topic exists already.
    TopicExists,
    /// A setting or argument is not accepted; another try will not help.
    Invalid,
    /// A topic does not take a record: what it takes is to be read again ([`Admin::record_limits`]), and a record that
    /// does not fit is to be left out.
    Refused,
    /// The cluster did not answer in time; another try may help.
    Timeout,
    /// Another process took over this transactional id or this place in a group, or the transaction took too
    /// long: what it held is given up, and going on begins with another sink or the next `Assigned`.
    Fenced,
    /// Records are gone, or a place in the log is: another try finds them no more. Whoever needs them decides.
    Lost,
    /// Anything else.
    Other,
}
