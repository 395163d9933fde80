//! What AVRO, PROTOBUF and JSON_SR have in common: their payloads are written with schemas that are registered.
//!
//! Schemas become columns ([`infer`]), and columns schemas ([`schema_of`]); decoders and encoders are made for the
//! schema of a layout.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Int64Array};
//! use headwater_formats::format::{FormatKind, Layout, Names, default_full_name, infer, schema_of};
//! use headwater_formats::record::Side;
//! use headwater_formats::schema::{SchemaKind, WriterSchema};
//! # use arrow::datatypes::{DataType, Field};
//!
//! let mut layout = Layout::of(vec![Arc::new(Field::new("ID", DataType::Int64, true))]);
//! for format in [FormatKind::Avro, FormatKind::Protobuf, FormatKind::JsonSr] {
//!     // The schema for a sink is registered, and has an id from then on.
//!     let kind = format.schema_kind().expect("the format has schemas");
//!     let full_name = default_full_name(kind, Side::Value, "ORDERS");
//!     let schema = Arc::new(schema_of(kind, &layout, &full_name)?);
//!     layout.schema = Some(Arc::new(WriterSchema { id: Some(7), schema: schema.clone(), full_name: None }));
//!     let ids: ArrayRef = Arc::new(Int64Array::from(vec![5]));
//!     let payloads = format.encoder(&layout)?.encode(&[ids.clone()], 1, None).payloads;
//!     assert_eq!(payloads.value(0)[..5], [0, 0, 0, 0, 7]);
//!
//!     // A reader finds the columns in the schema, and gives decoders what they miss.
//!     layout.schema = None;
//!     assert_eq!(infer(&schema, None, Names::Upper, "ROWVAL")?.fields, layout.fields);
//!     let mut decoder = format.decoder(&layout, &[0])?;
//!     assert_eq!(decoder.missing_schemas(&payloads), [7]);
//!     decoder.learn(7, Ok(schema));
//!     assert_eq!(decoder.decode(&payloads).columns, [ids]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use super::avro::{self, AvroSchema};
use super::framing::HEADER_LEN;
use super::inferred::{Inferred, Names};
use super::json::Times;
use super::kind::FormatError;
use super::protobuf::{self, FramedProtobufDecoder};
use super::{Decoder, Encoder, FormatKind, Layout, json_sr};
use crate::record::Side;
use crate::schema::{Schema, SchemaKind, WriterSchema};

/// The columns for a schema: for the record, message or definition with this full name, or else for the whole schema;
/// in Protobuf for the first message. One that is not a record gives a single column named `bare_name`.
///
/// Parts that no column can hold are dropped and listed. The error is for users: the schema cannot be parsed, is too
/// large, or has nothing with that name.
pub fn infer(schema: &Schema, full_name: Option<&str>, names: Names, bare_name: &str) -> Result<Inferred, String> {
    let full_name = full_name.filter(|name| !name.is_empty());
    match schema.kind {
        SchemaKind::Avro => {
            let schema = AvroSchema::parse(schema)?;
            match full_name {
                Some(full_name) => avro::infer_named(&schema, full_name, names),
                None => Ok(avro::infer(&schema, names, bare_name)),
            }
        }
        SchemaKind::Protobuf => protobuf::infer(schema, full_name, names),
        SchemaKind::Json => json_sr::infer(schema, full_name, names, bare_name),
    }
}

/// The columns for one payload with the id of this schema in front, as [`infer`] gives them, and the number of bytes in front of
/// the value. In Protobuf these choose the message; all payloads that begin with the same bytes have the same columns.
///
/// Fails as [`infer`] does, or if the payload is shorter or has no such message.
pub fn infer_of_payload(
    schema: &Schema,
    payload: &[u8],
    names: Names,
    bare_name: &str,
) -> Result<(Inferred, usize), String> {
    match schema.kind {
        SchemaKind::Protobuf => protobuf::infer_of_payload(schema, payload, names),
        _ => Ok((infer(schema, None, names, bare_name)?, HEADER_LEN)),
    }
}

/// The schema that is registered for a layout, as ksqlDB registers it. Its text is the same for the same layout.
///
/// Fails if the language has no such name for the schema or for a column, or cannot hold a type.
pub fn schema_of(kind: SchemaKind, layout: &Layout, full_name: &str) -> Result<Schema, FormatError> {
    match kind {
        SchemaKind::Avro => {
            let text = avro::schema_of(layout, full_name)?.into();
            Ok(Schema { kind, text, references: Vec::new() })
        }
        SchemaKind::Protobuf => protobuf::schema_of(layout, full_name),
        SchemaKind::Json => json_sr::schema_of(layout, full_name),
    }
}

/// The full name of what is registered for one side of a sink, unless another one is given. JSON Schema needs none: the
/// name is empty.
pub fn default_full_name(kind: SchemaKind, side: Side, sink: &str) -> String {
    match (kind, side) {
        (SchemaKind::Avro, Side::Value) => avro::DEFAULT_FULL_NAME.to_owned(),
        (SchemaKind::Avro, Side::Key) => avro::key_full_name(sink),
        (SchemaKind::Protobuf, _) => protobuf::DEFAULT_FULL_NAME.to_owned(),
        (SchemaKind::Json, _) => String::new(),
    }
}

/// A decoder for payloads with the ids of their schemas, or for bare ones if the schema of the layout has no id.
pub(super) fn decoder(
    kind: SchemaKind,
    layout: &Layout,
    projection: &[usize],
    times: Times,
) -> Result<Box<dyn Decoder>, FormatError> {
    let Some(writer) = &layout.schema else { return framed_decoder(kind, layout, projection, times) };
    check(kind, layout, writer)?;
    if let Some(id) = writer.id {
        let mut decoder = framed_decoder(kind, layout, projection, times)?;
        decoder.learn(id, Ok(writer.schema.clone()));
        return Ok(decoder);
    }
    match kind {
        SchemaKind::Avro => avro::bare_decoder(layout, projection, Arc::new(avro_schema(writer)?)),
        SchemaKind::Protobuf => protobuf::bare_decoder(layout, projection, &writer.schema, writer.full_name.as_deref()),
        SchemaKind::Json => json_sr::decoder(layout, projection, false, times),
    }
}

fn framed_decoder(
    kind: SchemaKind,
    layout: &Layout,
    projection: &[usize],
    times: Times,
) -> Result<Box<dyn Decoder>, FormatError> {
    Ok(match kind {
        SchemaKind::Avro => avro::decoder(layout, projection)?,
        SchemaKind::Protobuf => Box::new(FramedProtobufDecoder::try_new(layout, projection)?),
        SchemaKind::Json => json_sr::decoder(layout, projection, true, times)?,
    })
}

/// An encoder for the schema of the layout.
pub(super) fn encoder(format: FormatKind, kind: SchemaKind, layout: &Layout) -> Result<Box<dyn Encoder>, FormatError> {
    let none = || FormatError::Unfit(format!("format {format} writes with a schema, but none was given"));
    let writer = layout.schema.as_ref().ok_or_else(none)?;
    check_kind(kind, writer)?;
    let full_name = writer.full_name.as_deref();
    match kind {
        SchemaKind::Avro => avro::encoder_of(layout, &avro_schema(writer)?, full_name, writer.id),
        SchemaKind::Protobuf => protobuf::encoder(layout, &writer.schema, full_name, writer.id),
        SchemaKind::Json => json_sr::encoder(layout, writer),
    }
}

/// Checks that the schema of a layout is one, and has its full name.
fn check(kind: SchemaKind, layout: &Layout, writer: &WriterSchema) -> Result<(), FormatError> {
    check_kind(kind, writer)?;
    let full_name = writer.full_name.as_deref();
    match kind {
        SchemaKind::Avro => {
            let schema = avro_schema(writer)?;
            // A bare value has no name.
            let full_name = full_name.filter(|_| layout.is_record());
            full_name.map_or(Ok(()), |name| schema.check_name(name).map_err(FormatError::Unfit))
        }
        SchemaKind::Protobuf => protobuf::check(&writer.schema, full_name),
        SchemaKind::Json => json_sr::check(writer),
    }
}

fn check_kind(kind: SchemaKind, writer: &WriterSchema) -> Result<(), FormatError> {
    match writer.schema.kind {
        same if same == kind => Ok(()),
        other => Err(FormatError::Unfit(format!("the schema is {other}, not {kind}"))),
    }
}

fn avro_schema(writer: &WriterSchema) -> Result<AvroSchema, FormatError> {
    AvroSchema::parse(&writer.schema).map_err(FormatError::Unfit)
}
