//! What a topic's records mean as a table: where each column comes from.
//!
//! A [`TopicSpec`] is plain data, made by whoever knows the declaration; nothing here knows SQL.
//! The table's columns are the declared ones in their order and after them the three address
//! columns, which are there for predicates and projections but which `SELECT *` leaves out.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::format::{FormatKind, Layout};
use crate::record::headers_type;

/// Name of the event time column: BIGINT, ms since the epoch.
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
    /// How keys are laid out.
    pub key: SideSpec,
    /// How values are laid out.
    pub value: SideSpec,
    /// The declared columns in order.
    pub columns: Vec<Column>,
    /// The column that holds the event time, instead of the record's own timestamp.
    pub event_time: Option<EventTime>,
    /// Keys carry a window after the payload, as Kafka Streams writes them.
    pub key_window: Option<KeyWindow>,
}

/// Which records are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Every record with a value is a row: a stream.
    All,
    /// The latest record of each key is a row, and none when that is a tombstone: a table.
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

/// A column and where its values come from.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name and type; always nullable.
    pub field: FieldRef,
    /// Where its values come from.
    pub origin: ColumnOrigin,
}

/// Where the values of a column come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnOrigin {
    /// The field of this index in the key's layout.
    Key(usize),
    /// The field of this index in the value's layout.
    Value(usize),
    /// All headers of the record.
    Headers,
    /// The last header of this name.
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

/// Event time taken from a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// Index of the column in [`TopicSpec::columns`]: Int64 (ms), Timestamp(ms) or Utf8.
    pub column: usize,
    /// For Utf8 columns the pattern, in the letters of Java's `DateTimeFormatter`.
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
