//! How a topic's records are read as rows: the source of each column.
//!
//! A [`TopicSpec`] is plain data, created by the code that knows the declaration; nothing here knows SQL. The table's
//! columns are the declared ones, in order, followed by the three address columns, which predicates and projections
//! can use but which `SELECT *` omits.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::format::{FormatKind, Layout};
use crate::record::headers_type;

/// The name of the event-time column: BIGINT, ms since the epoch.
pub const ROWTIME: &str = "ROWTIME";
/// Name of the partition column: INT.
pub const ROWPARTITION: &str = "ROWPARTITION";
/// Name of the offset column: BIGINT.
pub const ROWOFFSET: &str = "ROWOFFSET";
/// Name of the column with the first millisecond of a windowed key: BIGINT.
pub const WINDOWSTART: &str = "WINDOWSTART";
/// Name of the column with the end of a windowed key: BIGINT, ms.
pub const WINDOWEND: &str = "WINDOWEND";

/// A topic and how its records are read as rows.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// The topic's name.
    pub topic: Arc<str>,
    /// All records, or the latest of each key.
    pub kind: RowKind,
    /// The format of keys.
    pub key: SideSpec,
    /// The format of values.
    pub value: SideSpec,
    /// The declared columns, in order.
    pub columns: Vec<Column>,
    /// The column that holds the event time, if it is not the record's own timestamp.
    pub event_time: Option<EventTime>,
    /// The window after the payload of keys, as Kafka Streams writes it.
    pub key_window: Option<KeyWindow>,
}

/// Which records are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Every record with a value is a row, as in a stream.
    All,
    /// The latest record of each key is a row unless it is a tombstone, as in a table.
    LatestPerKey,
}

/// The format of one half of the records.
#[derive(Clone, Debug)]
pub struct SideSpec {
    /// The format.
    pub format: FormatKind,
    /// Its columns.
    pub layout: Layout,
}

/// A column and the source of its values.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name and type; always nullable.
    pub field: FieldRef,
    /// The source of its values.
    pub origin: ColumnOrigin,
}

/// The source of the values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnOrigin {
    /// The field of this index in the key's layout.
    Key(usize),
    /// The field of this index in the value's layout.
    Value(usize),
    /// All headers of the record.
    Headers,
    /// The last header with this name.
    Header(String),
    /// The first millisecond of the key's window.
    WindowStart,
    /// The end of the key's window in ms.
    WindowEnd,
    /// The event time in ms.
    RowTime,
    /// The partition's number.
    RowPartition,
    /// The record's offset.
    RowOffset,
}

/// The column from which the event time is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// Index of the column in [`TopicSpec::columns`]: Int64 (ms), Timestamp(ms) or Utf8.
    pub column: usize,
    /// For Utf8 columns, the pattern, in the syntax of Java's `DateTimeFormatter`.
    pub format: Option<String>,
}

/// The window that follows the payload in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWindow {
    /// 8 bytes with the window's start; it ends this many ms later.
    Time {
        /// Length of the window in ms.
        size_ms: i64,
    },
    /// 8 bytes with the session's end and 8 with its start.
    Session,
}

impl TopicSpec {
    /// The declared columns and after them the address columns.
    pub fn all_columns(&self) -> Vec<Column> {
        let address = [
            (ROWTIME, DataType::Int64, ColumnOrigin::RowTime),
            (ROWPARTITION, DataType::Int32, ColumnOrigin::RowPartition),
            (ROWOFFSET, DataType::Int64, ColumnOrigin::RowOffset),
        ];
        let address = address
            .into_iter()
            .map(|(name, data_type, origin)| Column { field: Arc::new(Field::new(name, data_type, true)), origin });
        self.columns.iter().cloned().chain(address).collect()
    }

    /// The schema of [`Self::all_columns`].
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<FieldRef> = self.all_columns().into_iter().map(|c| c.field).collect();
        Arc::new(Schema::new(fields))
    }
}

/// The Arrow type of a column for all headers or for one of them.
pub fn header_column_type(origin: &ColumnOrigin) -> Option<DataType> {
    match origin {
        ColumnOrigin::Headers => Some(headers_type()),
        ColumnOrigin::Header(_) => Some(DataType::Binary),
        _ => None,
    }
}
