//! Decoders and encoders for a schema that is given, and what a schema says about columns.

use super::decode::ProtobufDecoder;
use super::encode::ProtobufEncoder;
use super::framed::message_of;
use super::generate;
use super::infer::infer as infer_message;
use super::schema::Compiled;
use crate::format::inferred::{DROPPED_MAX, Dropped};
use crate::format::kind::FormatError;
use crate::format::{Decoder, Encoder, Inferred, Layout, Names};
use crate::schema::{Schema, SchemaId, SchemaKind};

/// The columns for the message of a payload with its frame, and the byte at which the message begins.
pub(in super::super) fn infer_of_payload(
    schema: &Schema,
    payload: &[u8],
    names: Names,
) -> Result<(Inferred, usize), String> {
    let (message, start) = message_of(schema, payload)?;
    Ok((infer_message(&message, names), start))
}

/// The columns for the message with this full name, or else the first one of the file. The error is for users.
pub(in super::super) fn infer(schema: &Schema, full_name: Option<&str>, names: Names) -> Result<Inferred, String> {
    let compiled = Compiled::new(schema)?;
    let (_, message) = compiled.named(full_name)?;
    let mut inferred = infer_message(&message, names);
    if full_name.is_none() {
        let another = |path| Dropped { path, reason: "another message, which a SCHEMA_FULL_NAME chooses".to_owned() };
        inferred.dropped.extend(compiled.others().take(DROPPED_MAX).map(another));
    }
    Ok(inferred)
}

/// The schema for the payloads of a layout. Fails as [`generate::text_of`], and for a column whose name is that of a
/// message.
pub(in super::super) fn schema_of(layout: &Layout, full_name: &str) -> Result<Schema, FormatError> {
    let text = generate::text_of(layout, full_name)?.into();
    let schema = Schema { kind: SchemaKind::Protobuf, text, references: Vec::new() };
    Compiled::new(&schema).map_err(FormatError::Unfit)?;
    Ok(schema)
}

/// A decoder of bare messages, all of them written as the message with this full name, or else the first one.
pub(in super::super) fn bare_decoder(
    layout: &Layout,
    projection: &[usize],
    schema: &Schema,
    full_name: Option<&str>,
) -> Result<Box<dyn Decoder>, FormatError> {
    let (_, message) = Compiled::new(schema).and_then(|schema| schema.named(full_name)).map_err(FormatError::Unfit)?;
    Ok(Box::new(ProtobufDecoder::of_message(layout, projection, &message)?))
}

/// An encoder of messages of a schema; they are framed if the id of the schema is given.
pub(in super::super) fn encoder(
    layout: &Layout,
    schema: &Schema,
    full_name: Option<&str>,
    id: Option<SchemaId>,
) -> Result<Box<dyn Encoder>, FormatError> {
    let named = Compiled::new(schema).and_then(|schema| schema.named(full_name));
    let (indexes, message) = named.map_err(FormatError::Unfit)?;
    Ok(Box::new(ProtobufEncoder::registered(layout, &message, id.map(|id| (id, indexes.as_slice())))?))
}

/// Checks that a schema has the message.
pub(in super::super) fn check(schema: &Schema, full_name: Option<&str>) -> Result<(), FormatError> {
    Compiled::new(schema).and_then(|schema| schema.named(full_name)).map(drop).map_err(FormatError::Unfit)
}
