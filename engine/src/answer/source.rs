//! DESCRIBE of a stream or table.

use std::sync::Arc;

use super::query::{Lag, ProcessFailure, QueryState, QueryStatistics};
use headwater_language::definition::SourceDef;

/// What there is to say about a stream or table.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// Its declaration: columns, key, formats, topic, statement.
    pub source: Arc<SourceDef>,
    /// What is known of its topic and its queries; none unless EXTENDED was said.
    pub extended: Option<(TopicDescription, Vec<SourceQuery>)>,
}

/// The topic behind a stream or table as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Number of partitions, and of replicas of each; none when the topic is missing.
    pub layout: Option<(i32, i32)>,
    /// The ends of each partition, in their order.
    pub partitions: Vec<PartitionExtent>,
}

/// The ends of a partition, for readers of committed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionExtent {
    /// Number of the partition.
    pub partition: i32,
    /// First offset that is still there.
    pub start: i64,
    /// Offset after the last one that can be read.
    pub end: i64,
}

/// A persistent query that reads or writes a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceQuery {
    /// Its id.
    pub id: String,
    /// It writes the stream; else it reads it.
    pub writes: bool,
    /// What it is doing, here or elsewhere.
    pub state: QueryState,
    /// What it did in this process; none when it does not run here.
    pub statistics: Option<QueryStatistics>,
    /// Processes in which it fails.
    pub failures: Vec<ProcessFailure>,
    /// How far it is behind its input.
    pub lag: Lag,
}
