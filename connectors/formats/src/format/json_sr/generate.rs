//! The schema for the payloads of a layout, as Connect generates it for ksqlDB: every value may be null, and Connect's
//! own members say which of its types is meant.

use arrow::datatypes::{DataType, FieldRef};
use serde_json::{Map, Value, json};

use crate::format::kind::FormatError;
use crate::format::{Layout, sql_name};
use crate::schema::{Schema, SchemaKind};

/// The schema for the payloads of a layout. A name becomes the title of the object. Fails if JSON cannot hold a type.
pub(in super::super) fn schema_of(layout: &Layout, full_name: &str) -> Result<Schema, FormatError> {
    let root = match layout.fields.as_slice() {
        [bare] if !layout.is_record() => optional(bare.data_type())?,
        fields => {
            let mut object = record(fields)?;
            if !full_name.is_empty() {
                object["title"] = full_name.into();
            }
            object
        }
    };
    Ok(Schema { kind: SchemaKind::Json, text: root.to_string().into(), references: Vec::new() })
}

fn record(fields: &[FieldRef]) -> Result<Value, FormatError> {
    let mut properties = Map::new();
    for (index, field) in fields.iter().enumerate() {
        properties.insert(field.name().clone(), indexed(index, field.data_type())?);
    }
    Ok(json!({ "type": "object", "properties": properties }))
}

/// The field with this index of an object.
fn indexed(index: usize, data_type: &DataType) -> Result<Value, FormatError> {
    Ok(json!({ "connect.index": index, "oneOf": [{ "type": "null" }, required(data_type)?] }))
}

fn optional(data_type: &DataType) -> Result<Value, FormatError> {
    Ok(json!({ "oneOf": [{ "type": "null" }, required(data_type)?] }))
}

fn required(data_type: &DataType) -> Result<Value, FormatError> {
    Ok(match data_type {
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int32 => json!({ "type": "integer", "connect.type": "int32" }),
        DataType::Int64 => json!({ "type": "integer", "connect.type": "int64" }),
        DataType::Float64 => json!({ "type": "number", "connect.type": "float64" }),
        DataType::Utf8 => json!({ "type": "string" }),
        DataType::Binary => json!({ "type": "string", "connect.type": "bytes" }),
        DataType::Date32 => logical("Date", "int32"),
        DataType::Time32(_) => logical("Time", "int32"),
        DataType::Timestamp(..) => logical("Timestamp", "int64"),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => decimal(*precision, *scale),
        DataType::List(item) => json!({ "type": "array", "items": optional(item.data_type())? }),
        DataType::Map(entries, _) => map(data_type, entries.data_type())?,
        DataType::Struct(fields) => record(fields)?,
        other => return Err(FormatError::unknown_type(&sql_name(other))),
    })
}

/// An array of entries.
fn map(data_type: &DataType, entries: &DataType) -> Result<Value, FormatError> {
    let DataType::Struct(pair) = entries else { return Err(FormatError::unknown_type(&sql_name(data_type))) };
    match pair.as_ref() {
        [key, value] if key.data_type() == &DataType::Utf8 => {
            let entry = json!({ "key": indexed(0, &DataType::Utf8)?, "value": indexed(1, value.data_type())? });
            Ok(json!({
                "type": "array",
                "items": { "type": "object", "properties": entry },
                "connect.type": "map",
            }))
        }
        _ => Err(FormatError::unknown_type(&sql_name(data_type))),
    }
}

fn logical(name: &str, connect: &str) -> Value {
    json!({
        "type": "integer",
        "title": format!("org.apache.kafka.connect.data.{name}"),
        "connect.version": 1,
        "connect.type": connect,
    })
}

fn decimal(precision: u8, scale: i8) -> Value {
    json!({
        "type": "number",
        "title": "org.apache.kafka.connect.data.Decimal",
        "connect.version": 1,
        "connect.type": "bytes",
        "connect.parameters": { "scale": scale.to_string(), "connect.decimal.precision": precision.to_string() },
    })
}
