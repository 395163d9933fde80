//! One line of a list: what SHOW says of a thing.

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
    /// Offsets from the start to the end of all partitions together, those of markers and of records that were compacted
    /// away included; none unless EXTENDED was said.
    pub offsets: Option<i64>,
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
    /// The text it stands for.
    pub value: String,
}

/// A property in SHOW PROPERTIES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyListing {
    /// Its name.
    pub name: &'static str,
    /// The session has a value of its own for it.
    pub is_set: bool,
    /// The value that counts, its default included.
    pub value: String,
    /// What it does.
    pub about: &'static str,
}

/// What the last query of the session could not read: SHOW REJECTS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejects {
    /// The first of them, as many as are kept.
    pub kept: Vec<Reject>,
    /// How many there were in all.
    pub total: u64,
}
