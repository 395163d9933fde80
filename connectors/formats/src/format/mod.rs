//! Formats: decode payload bytes to Arrow columns and encode them again. Each format has its own file.
//!
//! A [`Decoder`] takes a column of payloads and returns one Arrow column for each requested field. It never fails a
//! batch: a bad payload results in a row of nulls (everything written for that row is rolled back) and a [`BadRow`]
//! with the reason. So the columns of the key and of the value stay aligned, and the caller drops the bad rows of
//! both sides together. Which payloads are bad does not depend on the requested fields: other fields are checked by
//! their types, without being kept.
//!
//! A null payload is a row of nulls and is not bad; the caller decides whether it is a tombstone or a row. Formats
//! know neither transports nor SQL; types are Arrow's:
//!
//! | SQL | Arrow |
//! |---|---|
//! | BOOLEAN, INT, BIGINT, DOUBLE | `Boolean`, `Int32`, `Int64`, `Float64` |
//! | DECIMAL(p, s) | `Decimal128(p, s)` up to 38 digits, `Decimal256(p, s)` up to 76 |
//! | STRING, BYTES | `Utf8`, `Binary` |
//! | DATE, TIME, TIMESTAMP | `Date32`, `Time32(ms)`, `Timestamp(ms, none)` (UTC) |
//! | ARRAY, MAP, STRUCT | `List`, `Map` (unsorted), `Struct` |

pub mod avro;
mod batch;
mod column;
mod compact;
mod debezium;
mod delimited;
mod fault;
mod float;
mod framing;
mod inferred;
mod json;
mod json_sr;
mod kafka;
mod kind;
mod known;
mod none;
mod number;
mod presence;
mod protobuf;
mod registered;
mod scalar;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod unscaled;
mod varint;

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::FieldRef;

pub use debezium::Envelope;
pub use framing::{HEADER_LEN, schema_id};
pub use inferred::{Dropped, Inferred, Names};
pub use json::first_json_value;
pub use kind::{FormatError, FormatKind, parse_delimiter};
pub use number::{parse_double, write_double_text, write_number_text};
pub use presence::Presence;
pub use protobuf::FramedProtobufDecoder;
pub use registered::{default_full_name, infer, infer_of_payload, schema_of};
pub use types::sql_name;

use crate::schema::{Schema, SchemaId, WriterSchema};

/// A payload that could not be decoded, or a row that could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The index of the row in the batch.
    pub row: usize,
    /// The reason, for users, with the position in the payload if it is known.
    pub reason: String,
}

/// The result of a [`Decoder`] for a column of payloads.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// One column for each requested field, in the requested order; each is as long as the payloads.
    pub columns: Vec<ArrayRef>,
    /// The bad payloads, in ascending order. Their rows are null in every column.
    pub bad: Vec<BadRow>,
    /// The payloads that are present but mean null (JSON `null`), in ascending order. Their rows are null in every
    /// column; in a table they are tombstones, as in ksqlDB.
    pub absent: Vec<usize>,
}

/// The result of an [`Encoder`] for columns.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// One payload for each row; null if the payload is null or the row was bad.
    pub payloads: BinaryArray,
    /// The rows that could not be encoded, in ascending order.
    pub bad: Vec<BadRow>,
}

/// Decodes payloads to columns. It is created once for a scan or task and keeps its buffers from batch to batch.
pub trait Decoder: Send {
    /// Decodes all payloads. It never fails as a whole and never panics, whatever the bytes are.
    ///
    /// A payload whose schema is missing is bad: see [`Decoder::missing_schemas`].
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded;

    /// The schemas that these payloads were written with and that this decoder was not given yet, each once, in
    /// ascending order. Finding them is cheap. Nothing here waits for a registry: who does gives them to
    /// [`Decoder::learn`] before [`Decoder::decode`].
    fn missing_schemas(&self, _payloads: &BinaryArray) -> Vec<SchemaId> {
        Vec::new()
    }

    /// Takes the schema with this id, or the reason why there is none, for which every payload written with it is bad.
    fn learn(&mut self, _id: SchemaId, _schema: Result<Arc<Schema>, String>) {}
}

/// Encodes columns to payloads.
pub trait Encoder: Send {
    /// Encodes `rows` rows. Every column has that length. `null_rows`, if given, is false for rows that have no
    /// payload at all: a missing key or a tombstone.
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&arrow::buffer::NullBuffer>) -> Encoded;
}

/// The columns of one side of a record, and how the format encodes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// All fields of this side, in declaration order, with the names that payloads use.
    pub fields: Vec<FieldRef>,
    /// Whether a single field is written as a record with one field (true) or bare (false). More than one field is
    /// always wrapped.
    pub wrapped: bool,
    /// The field delimiter of DELIMITED: one byte, `,` by default; ignored by other formats.
    pub delimiter: u8,
    /// How PROTOBUF_NOSR, and the schema that is made for PROTOBUF, tell a null scalar from the default of its type;
    /// ignored by other formats.
    pub presence: Presence,
    /// What formats with registered schemas write with; ignored by other formats. Where it has no id, payloads are bare,
    /// and are read by it, too.
    pub schema: Option<Arc<WriterSchema>>,
    /// The schema that the fields were taken from: in AVRO, its defaults and aliases hold for payloads of other versions;
    /// ignored by other formats.
    pub reader: Option<Arc<WriterSchema>>,
    /// What is around the fields.
    pub envelope: Envelope,
}

impl Layout {
    /// Fields that are written as a record, with the settings that every format has by default.
    pub fn of(fields: Vec<FieldRef>) -> Self {
        Self {
            fields,
            wrapped: true,
            delimiter: b',',
            presence: Presence::Implicit,
            schema: None,
            reader: None,
            envelope: Envelope::Bare,
        }
    }

    /// True if a payload is a record of fields, false if it is the bare value of the only field.
    pub fn is_record(&self) -> bool {
        self.wrapped || self.fields.len() != 1
    }
}
