//! DESCRIBE of a stream or table.

use std::sync::Arc;

use headwater_formats::record::Side;
use headwater_formats::schema::SchemaId;
use headwater_language::definition::SourceDef;

use super::query::{Lag, ProcessFailure, QueryState, QueryStatistics};

/// The description of a stream or table.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// Its declaration: columns, key, formats, topic, statement.
    pub source: Arc<SourceDef>,
    /// The state of its topic and its queries; `None` without EXTENDED.
    pub extended: Option<(TopicDescription, Vec<SourceQuery>)>,
}

/// The current state of the topic behind a stream or table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Number of partitions, and of replicas of each; `None` if the topic is missing.
    pub layout: Option<(i32, i32)>,
    /// The ends of each partition, in order.
    pub partitions: Vec<PartitionExtent>,
    /// The schemas of its keys and values, where their format has registered ones.
    pub schemas: Vec<SchemaDescription>,
}

/// The schema of a topic's keys or values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDescription {
    /// The keys or the values.
    pub side: Side,
    /// Where it is.
    pub place: SchemaPlace,
}

/// Where a schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaPlace {
    /// In the registry.
    Registered {
        /// The subject that it is registered under.
        subject: String,
        /// Id and version of the latest one, or why it is not known.
        latest: Result<(SchemaId, u32), String>,
        /// The id of the schema that records are written with here, if that is known.
        written_with: Option<SchemaId>,
        /// The id of the schema that the columns were taken from, if records are not written with it.
        read_by: Option<SchemaId>,
    },
    /// In the declaration, as this text: payloads are bare.
    Declared(Arc<str>),
}

/// The ends of a partition, for readers of committed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionExtent {
    /// Number of the partition.
    pub partition: i32,
    /// The first offset that still exists.
    pub start: i64,
    /// The offset after the last one that can be read.
    pub end: i64,
}

/// A persistent query that reads or writes a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceQuery {
    /// Its id.
    pub id: String,
    /// True if it writes the stream, false if it reads it.
    pub writes: bool,
    /// What it is doing, here or elsewhere.
    pub state: QueryState,
    /// What it did in this process; `None` if it does not run here.
    pub statistics: Option<QueryStatistics>,
    /// Processes in which it fails.
    pub failures: Vec<ProcessFailure>,
    /// How far it is behind each of the topics that it reads.
    pub lags: Vec<Lag>,
}
