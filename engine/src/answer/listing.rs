//! The lines of the lists that SHOW prints.

use headwater_formats::record::Reject;
use headwater_language::types::SqlType;

/// A stream or table in SHOW STREAMS and SHOW TABLES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceListing {
    /// Its name.
    pub name: String,
    /// The topic it is declared over.
    pub topic: String,
    /// The format of keys, as WITH names it.
    pub key_format: String,
    /// The format of values, as WITH names it.
    pub value_format: String,
    /// Its keys carry a window.
    pub is_windowed: bool,
}

/// A topic in SHOW TOPICS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas of each partition.
    pub replicas: i32,
    /// Offsets from start to end of all partitions together, including those of transaction markers and compacted records;
    /// `None` without EXTENDED.
    pub offsets: Option<i64>,
    /// The formats of its keys and values, as a stream or table declares them, or else by their registered schemas; empty where
    /// neither says it. `None` without EXTENDED.
    pub formats: Option<[String; 2]>,
}

/// A named type in SHOW TYPES.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeListing {
    /// Its name.
    pub name: String,
    /// The type it names.
    pub ty: SqlType,
}

/// A function in SHOW FUNCTIONS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionListing {
    /// Its name, in capitals.
    pub name: String,
    /// The family it is listed under.
    pub category: &'static str,
}

/// A variable in SHOW VARIABLES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableListing {
    /// Its name, in capitals.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// A property in SHOW PROPERTIES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyListing {
    /// Its name.
    pub name: &'static str,
    /// Whether the session has set it.
    pub is_set: bool,
    /// Its effective value, which may be the default.
    pub value: String,
    /// What it does.
    pub about: &'static str,
}

/// The records that the last query of the session could not read: SHOW REJECTS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejects {
    /// The first of them, as many as are kept.
    pub kept: Vec<Reject>,
    /// How many there were in total.
    pub total: u64,
}
