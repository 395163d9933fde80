//! Facts about a persistent query: SHOW QUERIES, EXPLAIN and DESCRIBE … EXTENDED.

use std::sync::Arc;

use headwater_language::catalog::QueryDef;
use headwater_language::diagnostic::Diagnostic;

/// A query in SHOW QUERIES.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryListing {
    /// Its id.
    pub id: String,
    /// What it is doing, here or elsewhere.
    pub state: QueryState,
    /// The stream that it writes.
    pub sink: String,
    /// The topic of that stream.
    pub sink_topic: Option<String>,
    /// The statement that created it.
    pub statement: String,
    /// Processes in which it fails.
    pub failures: Vec<ProcessFailure>,
}

/// The description of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryDescription {
    /// Its definition: properties, topology, statement.
    pub query: Arc<QueryDef>,
    /// What it is doing, here or elsewhere.
    pub state: QueryState,
    /// Its consumer group.
    pub group: String,
    /// Processes in which it fails.
    pub failures: Vec<ProcessFailure>,
    /// What it did in this process; `None` if it does not run here.
    pub statistics: Option<QueryStatistics>,
}

/// The state of a query, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryState {
    /// What it is doing.
    pub condition: Condition,
    /// Offsets of its input that were deleted before they were read.
    pub lost: u64,
    /// How far it is while it restores its state in this process.
    pub restore: Option<RestoreProgress>,
}

/// How far the restore of a query's state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreProgress {
    /// Records restored so far. Offsets of records that compaction removed count as restored.
    pub done: u64,
    /// Records to restore.
    pub total: u64,
    /// Records restored per second since it began; 0 before that is known.
    pub per_second: u64,
    /// How long the rest takes at that rate, in seconds; `None` before that is known.
    pub left_s: Option<u64>,
}

/// What a query is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs in this process.
    Running,
    /// It restores its state in this process, and will then run.
    Restoring,
    /// Other processes run it.
    RunningElsewhere,
    /// No process runs it.
    NotRunning,
    /// It was paused.
    Paused,
    /// It fails in at least one process.
    Error,
    /// It has ended in this process.
    Ended,
}

/// A failure of a query in one process of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFailure {
    /// The process, by host and process id.
    pub process: String,
    /// Why, with code and hint.
    pub reason: String,
    /// Attempts that failed since its last commit.
    pub attempts: u64,
    /// When it will be retried, in ms since the epoch; `None` if it has stopped for good.
    pub next_try_ms: Option<i64>,
}

/// What a query did in this process since it started here.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryStatistics {
    /// What it is doing here.
    pub condition: Condition,
    /// How far it is while it restores its state.
    pub restore: Option<RestoreProgress>,
    /// The partitions of its input that it has here.
    pub partitions: Vec<i32>,
    /// Records read.
    pub records_read: u64,
    /// Bytes of their keys and values.
    pub bytes_read: u64,
    /// Records written.
    pub records_written: u64,
    /// Records read per second, over the last few seconds.
    pub records_per_second: f64,
    /// Number of bad records.
    pub bad_records: u64,
    /// Complaints that could not be written to the processing log.
    pub unlogged: u64,
    /// Offsets of its input that were deleted before they were read.
    pub lost: u64,
    /// Commits.
    pub commits: u64,
    /// When the last commit with records was made, in ms since the epoch; `None` before the first.
    pub last_message_ms: Option<i64>,
    /// Records that were skipped or processed only in part, by cause; none that has not occurred.
    pub faults: Vec<RecordFaults>,
    /// The state that it has here.
    pub state: StateFacts,
    /// Why it is failing, if it is.
    pub failure: Option<QueryFailure>,
    /// The latest complaints and failures, newest last.
    pub errors: Vec<String>,
}

/// Records that a query skipped or processed only in part, for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFaults {
    /// The cause.
    pub cause: FaultCause,
    /// The number of reports about such records.
    pub count: u64,
    /// The topic, partition and offset of the first of them.
    pub first: (String, i32, i64),
}

/// Why a record was skipped or processed only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCause {
    /// Its window had closed.
    Late,
    /// It has no key, and is neither a row of a table nor joined.
    Keyless,
    /// It could not be decoded.
    Undecoded,
    /// An expression failed.
    Failed,
    /// The result could not be written.
    Unwritten,
}

/// The state of a query in one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFacts {
    /// Its stores, over all partitions that it has here.
    pub stores: Vec<StoreFacts>,
    /// The stream times of the source partitions that it has here.
    pub stream_times: Vec<StreamTime>,
    /// The number of results that wait until their windows close; `None` if there are never any, or if they have not been counted
    /// since the state was restored.
    pub pending: Option<u64>,
}

/// One store of a query in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// Its changelog topic.
    pub changelog: String,
    /// The number of its keys.
    pub keys: u64,
    /// Its approximate memory, in bytes.
    pub bytes: u64,
}

/// The stream time of a partition that a query reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTime {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The stream time, in ms since the epoch.
    pub time_ms: i64,
    /// The offset of the record that set it, if it is known.
    pub offset: Option<i64>,
}

/// Why a query fails in this process.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryFailure {
    /// What went wrong.
    pub error: Diagnostic,
    /// Attempts that failed since the last commit.
    pub attempts: u64,
    /// When it will be retried, in ms since the epoch; `None` if it has stopped for good.
    pub next_try_ms: Option<i64>,
}

/// How far a query is behind one of the topics that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The query's consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partitions of the topic in order.
    pub partitions: Vec<PartitionLag>,
}

/// How far a query is behind in a partition of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Number of the partition.
    pub partition: i32,
    /// The first offset that still exists.
    pub start: i64,
    /// The offset after the last record, including those of open transactions.
    pub end: i64,
    /// The offset that the group has committed, which is the next to read.
    pub committed: Option<i64>,
    /// Number of offsets from there to the end.
    pub lag: i64,
    /// Offsets that were deleted before they were read.
    pub lost: u64,
    /// The highest event time of the records read, in ms since the epoch, if the query has windows or other state: it decides
    /// which rows are late.
    pub stream_time_ms: Option<i64>,
    /// The offset of the record with that event time, if it is known.
    pub stream_time_offset: Option<i64>,
    /// The transaction that blocks readers.
    pub open_transaction: Option<OpenTransaction>,
}

/// An open transaction, which hides all records written after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its first offset.
    pub start: i64,
    /// Number of offsets from there to the end of the partition.
    pub offsets: i64,
    /// The timestamp of its first record, in ms since the epoch; `None` if it could not be read in time.
    pub since_ms: Option<i64>,
}
