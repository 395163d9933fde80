//! The schemas that a case registers for its topics, and those that payloads are converted by.

use std::sync::Arc;

use headwater_connectors::schemas::{MemorySchemas, Registered, Schemas as _};
use headwater_formats::format::{FormatKind, Layout, Names, infer};
use headwater_formats::record::Side;
use headwater_formats::schema::{Reference, Schema, SchemaId, SchemaKind, WriterSchema};

use crate::json::Json;

/// Registers the schemas of a topic.
pub fn register(topic: &Json, schemas: &MemorySchemas) {
    let name = topic.get("name").and_then(Json::text).unwrap_or_default();
    for (side, word) in [(Side::Key, "key"), (Side::Value, "value")] {
        let given = |what: &str| topic.get(&format!("{word}{what}"));
        let Some(schema) = given("Schema").or(topic.get("schema")).filter(|schema| **schema != Json::Null) else {
            continue;
        };
        let format = given("Format").or(topic.get("format")).and_then(Json::text).unwrap_or_default();
        let kind = kind_of(format).unwrap_or_else(|| kind_by_text(schema));
        let references = given("SchemaReferences").map_or(&[][..], Json::items).iter();
        let schema = Schema { kind, text: text(schema).into(), references: references.map(reference).collect() };
        let id = given("SchemaId").and_then(Json::integer).and_then(|id| SchemaId::try_from(id).ok());
        schemas.import(&subject(name, side), id, schema);
    }
}

fn reference(json: &Json) -> Reference {
    let format = json.get("format").and_then(Json::text).unwrap_or_default();
    let schema = Schema {
        kind: kind_of(format).unwrap_or(SchemaKind::Avro),
        text: json.get("schema").map(text).unwrap_or_default().into(),
        references: json.get("references").map_or(&[][..], Json::items).iter().map(reference).collect(),
    };
    Reference { name: json.get("name").and_then(Json::text).unwrap_or_default().to_owned(), schema: Arc::new(schema) }
}

fn text(json: &Json) -> String {
    json.text().map_or_else(|| json.to_string(), str::to_owned)
}

fn kind_of(format: &str) -> Option<SchemaKind> {
    format.parse::<FormatKind>().ok()?.schema_kind()
}

/// The language of a schema whose format is not given.
fn kind_by_text(schema: &Json) -> SchemaKind {
    let is = |name: &str, value: &str| schema.get(name).and_then(Json::text) == Some(value);
    match schema {
        Json::Text(text) if text.contains("message ") => SchemaKind::Protobuf,
        _ if is("type", "object") || schema.get("properties").is_some() || schema.get("oneOf").is_some() => {
            SchemaKind::Json
        }
        _ => SchemaKind::Avro,
    }
}

fn subject(topic: &str, side: Side) -> String {
    format!("{topic}-{side}")
}

/// What the payloads of one side of a topic are, by the latest schema under its subject; of several messages in it, the one with
/// this name.
pub fn layout_of(topic: &str, side: Side, full_name: Option<&str>, schemas: &MemorySchemas) -> Option<Layout> {
    let Registered { id, schema, .. } = schemas.latest(&subject(topic, side)).ok()?;
    let inferred = infer(&schema, full_name, Names::AsWritten, "V").ok()?;
    let writer = WriterSchema { id: Some(id), schema, full_name: full_name.map(str::to_owned) };
    let wrapped = inferred.is_record;
    Some(Layout { wrapped, schema: Some(Arc::new(writer)), ..Layout::of(inferred.fields) })
}
