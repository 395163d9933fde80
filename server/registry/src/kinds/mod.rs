//! The three languages of schemas: each has its parser, its canonical text and its rules of compatibility.
//!
//! Separate because the registry treats all alike: it parses a text, stores the canonical one, and asks how two differ.
//!
//! Nothing here trusts its input: texts are bounded in length and in depth before a parser sees them, and comparisons in
//! their number of steps.

mod avro;
mod difference;
#[cfg(test)]
mod fuzz;
mod json;
mod limits;
mod protobuf;

use headwater_formats::schema::SchemaKind;

pub(crate) use difference::Difference;
pub use limits::TEXT_BYTES_MAX;
use limits::check_length;

/// A schema that another one refers to: what it is called there, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referenced {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A schema that is valid, together with those it refers to.
#[derive(Debug)]
pub(crate) enum Parsed {
    Avro(avro::Avro),
    Protobuf(Box<protobuf::Protobuf>),
    Json(json::JsonSchema),
}

/// Why a text is not a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidSchema(pub(crate) String);

impl Parsed {
    /// Parses a text. What it refers to, directly or not, comes before what refers to it.
    pub(crate) fn parse(kind: SchemaKind, text: &str, references: &[Referenced]) -> Result<Self, InvalidSchema> {
        check_length(text, references)?;
        Ok(match kind {
            SchemaKind::Avro => Self::Avro(avro::Avro::parse(text, references)?),
            SchemaKind::Protobuf => Self::Protobuf(Box::new(protobuf::Protobuf::parse(text, references)?)),
            SchemaKind::Json => Self::Json(json::JsonSchema::parse(text, references)?),
        })
    }

    /// The text that is stored: that of all schemas which differ only in white space and the like.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical(),
            Self::Protobuf(schema) => schema.canonical(),
            Self::Json(schema) => schema.canonical(),
        }
    }

    /// The text of all schemas that differ only in the order of what has no order, too.
    pub(crate) fn normalized(&self) -> String {
        match self {
            Self::Avro(schema) => schema.normalized(),
            Self::Protobuf(schema) => schema.normalized(),
            Self::Json(schema) => schema.normalized(),
        }
    }

    /// The file descriptor in base64, for a Protobuf schema.
    pub(crate) fn serialized(&self) -> Option<String> {
        match self {
            Self::Protobuf(schema) => Some(schema.serialized()),
            _ => None,
        }
    }
}

/// Why this reader could not read everything that was written with the writer. Nothing if it can.
pub(crate) fn differences(reader: &Parsed, writer: &Parsed) -> Vec<Difference> {
    match (reader, writer) {
        (Parsed::Avro(reader), Parsed::Avro(writer)) => avro::differences(reader, writer),
        (Parsed::Protobuf(reader), Parsed::Protobuf(writer)) => protobuf::differences(reader, writer),
        (Parsed::Json(reader), Parsed::Json(writer)) => json::differences(reader, writer),
        _ => vec![Difference::new("SCHEMA_TYPE_CHANGED", "/", "the schemas are of different types")],
    }
}
