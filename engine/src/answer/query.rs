//! What is known of a persistent query: SHOW QUERIES, EXPLAIN and DESCRIBE … EXTENDED.

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
    /// The statement that made it.
    pub statement: String,
    /// Processes in which it fails.
    pub failures: Vec<ProcessFailure>,
}

/// What there is to say about a query.
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
    /// What it did in this process; none when it does not run here.
    pub statistics: Option<QueryStatistics>,
}

/// What a query is doing, as far as it is known in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryState {
    /// What it is doing.
    pub condition: Condition,
    /// Offsets of its input that were gone before they were read.
    pub lost: u64,
}

/// What a query is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs in this process.
    Running,
    /// Other processes run it.
    RunningElsewhere,
    /// It runs nowhere.
    NotRunning,
    /// It was paused.
    Paused,
    /// It fails in some process.
    Error,
    /// It has ended in this process.
    Ended,
}

/// That a query fails in a process of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFailure {
    /// The process, by its host and its number there.
    pub process: String,
    /// Why, with code and hint.
    pub reason: String,
    /// Attempts that failed since its last commit.
    pub attempts: u64,
    /// When it tries again, in ms since the epoch; none when it has stopped for good.
    pub next_try_ms: Option<i64>,
}

/// What a query did in this process since it started here.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryStatistics {
    /// What it is doing here.
    pub condition: Condition,
    /// The partitions of its input that it has here.
    pub partitions: Vec<i32>,
    /// Records read.
    pub records_read: u64,
    /// Bytes of their keys and values.
    pub bytes_read: u64,
    /// Records written.
    pub records_written: u64,
    /// Records read a second, over the last seconds.
    pub records_per_second: f64,
    /// Records that something was wrong with.
    pub bad_records: u64,
    /// Complaints that the processing log did not take.
    pub unlogged: u64,
    /// Offsets of its input that were gone before they were read.
    pub lost: u64,
    /// Commits.
    pub commits: u64,
    /// When the last commit with records was made, in ms since the epoch; none before the first.
    pub last_message_ms: Option<i64>,
    /// Why it fails, while it does.
    pub failure: Option<QueryFailure>,
    /// The last complaints and failures, the newest last.
    pub errors: Vec<String>,
}

/// Why a query fails in this process.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryFailure {
    /// What went wrong.
    pub error: Diagnostic,
    /// Attempts that failed since the last commit.
    pub attempts: u64,
    /// When it tries again, in ms since the epoch; none when it has stopped for good.
    pub next_try_ms: Option<i64>,
}

/// How far a query is behind its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The query's consumer group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
    /// Each partition of the topic, in their order.
    pub partitions: Vec<PartitionLag>,
}

/// How far a query is behind in a partition of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Number of the partition.
    pub partition: i32,
    /// First offset that is still there.
    pub start: i64,
    /// Offset after the last record, in open transactions too.
    pub end: i64,
    /// The offset that is committed under the group: the next to read.
    pub committed: Option<i64>,
    /// Offsets from there to the end.
    pub lag: i64,
    /// Offsets that were gone before they were read.
    pub lost: u64,
    /// The transaction that holds records back.
    pub open_transaction: Option<OpenTransaction>,
}

/// An open transaction, which hides what was written after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its first offset.
    pub start: i64,
    /// Offsets from there to the end of the partition.
    pub offsets: i64,
    /// The timestamp of its first record, in ms since the epoch; none when it could not be read in time.
    pub since_ms: Option<i64>,
}
