//! Formats: payload bytes to Arrow columns and back, one file a format, all of one shape.
//!
//! A [`Decoder`] takes a column of payloads and gives one Arrow column for each field asked for.
//! It never fails a batch: a bad payload leaves a row of nulls (everything written for that row
//! is rolled back) and a [`BadRow`] that says why. So the columns of the key and of the value stay
//! aligned, and the caller drops the bad rows of either side at once. Which payloads are bad does not
//! depend on the fields asked for: the others are checked by their types, without being kept.
//!
//! A payload that is null is a row of nulls and not bad: whether it is a tombstone or a row is for
//! the caller to say. Formats know no transport and no SQL; types are Arrow's:
//!
//! | SQL | Arrow |
//! |---|---|
//! | BOOLEAN, INT, BIGINT, DOUBLE | `Boolean`, `Int32`, `Int64`, `Float64` |
//! | DECIMAL(p, s) | `Decimal128(p, s)` up to 38 digits, `Decimal256(p, s)` up to 76 |
//! | STRING, BYTES | `Utf8`, `Binary` |
//! | DATE, TIME, TIMESTAMP | `Date32`, `Time32(ms)`, `Timestamp(ms, none)` (UTC) |
//! | ARRAY, MAP, STRUCT | `List`, `Map` (unsorted), `Struct` |

mod batch;
mod column;
mod delimited;
mod json;
mod kafka;
mod kind;
mod none;
mod number;
mod scalar;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod types;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::FieldRef;

pub use json::first_json_value;
pub use kind::{FormatError, FormatKind, parse_delimiter};
pub use number::{parse_double, write_double_text, write_number_text};
pub use types::sql_name;

/// A payload that could not be decoded, or a row that could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Index of the row in the batch given.
    pub row: usize,
    /// Why, in words for a user, with the place in the payload where it is known.
    pub reason: String,
}

/// What a [`Decoder`] makes of a column of payloads.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// One column for each field asked for, in the order asked; each as long as the payloads.
    pub columns: Vec<ArrayRef>,
    /// The payloads that were bad, by rising row. Their rows are null in every column.
    pub bad: Vec<BadRow>,
    /// The payloads that are there but say that there is nothing (JSON `null`), by rising row. Their
    /// rows are null in every column; a table takes them for tombstones, as ksqlDB does.
    pub absent: Vec<usize>,
}

/// What an [`Encoder`] makes of columns.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// One payload a row; null where the payload is null and where the row was bad.
    pub payloads: BinaryArray,
    /// The rows that could not be encoded, by rising row.
    pub bad: Vec<BadRow>,
}

/// Payloads to columns. Made once for a scan or task, used for every batch: it keeps its buffers.
pub trait Decoder: Send {
    /// Decodes every payload. Never fails as a whole and never panics, whatever the bytes are.
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded;
}

/// Columns to payloads.
pub trait Encoder: Send {
    /// Encodes `rows` rows. Every column has that length; `null_rows`, where given, says which rows
    /// have no payload at all (false: a null payload, that is a missing key or a tombstone).
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&arrow::buffer::NullBuffer>) -> Encoded;
}

/// The columns of one side of a record, and how the format lays them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Every field of this side, in declaration order, with the names that payloads use.
    pub fields: Vec<FieldRef>,
    /// A single field is written as a record of one field (true) or bare (false).
    /// More than one field is always wrapped.
    pub wrapped: bool,
    /// Field delimiter of DELIMITED: one byte, `,` by default; ignored by other formats.
    pub delimiter: u8,
}

impl Layout {
    /// True when a payload is a record of fields, false when it is the bare value of the only one.
    pub fn is_record(&self) -> bool {
        self.wrapped || self.fields.len() != 1
    }
}
