//! Rows written by a schema that was given: in its forms of maps and decimals, with its names, or not at all.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::datatypes::DataType;

use super::schema;
use crate::format::testing::{TIMESTAMP, array, bare, layout, map, record};
use crate::format::{FormatKind, Layout};
use crate::schema::WriterSchema;

use FormatKind::JsonSr;

/// The JSON of a row that a schema with the id 7 is written with.
fn written(text: &str, layout: &Layout, json: &str) -> Result<String, String> {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let json = BinaryArray::from_vec(vec![json.as_bytes()]);
    let decoded = FormatKind::Json.decoder(layout, &all).unwrap().decode(&json);
    assert_eq!(decoded.bad, []);
    let writer = WriterSchema { id: Some(7), schema: schema(text, &[]), full_name: None };
    let layout = Layout { schema: Some(Arc::new(writer)), ..layout.clone() };
    let mut encoder = JsonSr.encoder(&layout).map_err(|error| error.to_string())?;
    let encoded = encoder.encode(&decoded.columns, 1, None);
    assert_eq!(encoded.bad, []);
    // A DECIMAL in base64 is read back as well.
    let mut decoder = JsonSr.decoder(&layout, &all).unwrap();
    let again = decoder.decode(&encoded.payloads);
    assert_eq!((again.bad, again.columns), (vec![], decoded.columns));
    let payload = encoded.payloads.value(0);
    assert_eq!(payload[..5], [0, 0, 0, 0, 7]);
    Ok(String::from_utf8(payload[5..].to_vec()).unwrap())
}

#[test]
fn a_given_schema_is_followed() {
    let decimal = |kind: &str| {
        format!(
            r#"{{"type": "{kind}", "title": "org.apache.kafka.connect.data.Decimal",
            "connect.parameters": {{"scale": "2", "connect.decimal.precision": "6"}}}}"#
        )
    };
    let object = |values: &str| format!(r#"{{"type": "object", "additionalProperties": {values}}}"#);
    let array_of = |items: &str| format!(r#"{{"type": "array", "items": {items}}}"#);
    let entries = |value: &str| {
        let items = format!(r#"{{"type": "object", "properties": {{"key": {{"type": "string"}}, "value": {value}}}}}"#);
        format!(r#"{{"type": "array", "connect.type": "map", "items": {items}}}"#)
    };
    let record_of = |field: &str| format!(r#"{{"type": "object", "properties": {{"d": {field}}}}}"#);
    let optional = |kind: &str| format!(r#"{{"oneOf": [{{"type": "null"}}, {kind}]}}"#);
    let (number, narrow) = (decimal("number"), DataType::Decimal128(6, 2));
    let (text, wide) = (decimal("string"), DataType::Decimal256(50, 2));
    let maps = map(map(narrow.clone()));
    for (kind, column, json, expected) in [
        (number.clone(), narrow.clone(), "1.50", "1.50"),
        (text.clone(), narrow.clone(), "1.50", r#""AJY=""#),
        (text.clone(), narrow.clone(), "-0.01", r#""/w==""#),
        (optional(&text), wide, "1.50", r#""AJY=""#),
        (text.clone(), narrow.clone(), "null", "null"),
        (object(&number), map(narrow.clone()), r#"{"k": 1.50}"#, r#"{"k":1.50}"#),
        (object(&text), map(narrow.clone()), r#"{"k": 1.50, "l": null}"#, r#"{"k":"AJY=","l":null}"#),
        (entries(&number), map(narrow.clone()), r#"{"k": 1.50}"#, r#"[{"key":"k","value":1.50}]"#),
        (entries(&optional(&text)), map(narrow.clone()), r#"{"k": 1.50}"#, r#"[{"key":"k","value":"AJY="}]"#),
        (entries(&object(&text)), maps.clone(), r#"{"k": {"l": 1.50}}"#, r#"[{"key":"k","value":{"l":"AJY="}}]"#),
        (object(&entries(&number)), maps, r#"{"k": {"l": 1.50}}"#, r#"{"k":[{"key":"l","value":1.50}]}"#),
        (
            array_of(&record_of(&text)),
            array(record(&[("D", narrow.clone())])),
            r#"[{"D": 1.50}, null]"#,
            r#"[{"d":"AJY="},null]"#,
        ),
        (r#"{"type": "object"}"#.to_owned(), map(DataType::Int32), r#"{"k": 1}"#, r#"{"k":1}"#),
        ("{}".to_owned(), map(narrow), r#"{"k": 1.50}"#, r#"[{"key":"k","value":1.50}]"#),
        (r#"{"type": "number"}"#.to_owned(), DataType::Int64, "5", "5"),
        (r#"{"type": "integer"}"#.to_owned(), DataType::Decimal128(6, 0), "5", "5"),
        (r#"{"type": "integer"}"#.to_owned(), DataType::Date32, "5", "5"),
    ] {
        let text = format!(r#"{{"type": "object", "properties": {{"V": {kind}}}}}"#);
        let columns = layout(&[("V", column.clone())]);
        let found = written(&text, &columns, &format!("{{\"V\": {json}}}"));
        assert_eq!(found, Ok(format!("{{\"V\":{expected}}}")), "{kind}");
        if json != "null" {
            assert_eq!(written(&kind, &bare(column), json).as_deref(), Ok(expected), "{kind}");
        }
    }
}

#[test]
fn fields_have_the_names_of_the_schema() {
    let text = r#"{"type": "object", "properties": {"userId": {"type": "integer"}, "A": {"type": "string"}, "a": {"type": "integer"}},
        "required": ["userId"]}"#;
    let columns = layout(&[("A", DataType::Utf8), ("USERID", DataType::Int64), ("MORE", DataType::Int32)]);
    let json = r#"{"A": "x", "USERID": 7, "MORE": 1}"#;
    assert_eq!(written(text, &columns, json).as_deref(), Ok(r#"{"A":"x","userId":7,"MORE":1}"#));
}

#[test]
fn what_a_schema_forbids_is_refused() {
    let titled = |kind: &str, name: &str| {
        format!(
            r#"{{"type": "{kind}", "title": "org.apache.kafka.connect.data.{name}", "connect.parameters": {{"scale": "1"}}}}"#
        )
    };
    for (kind, column, reason) in [
        (r#"{"type": "integer"}"#, DataType::Utf8, "STRING cannot be written as integer"),
        (r#"{"type": "integer"}"#, DataType::Float64, "DOUBLE cannot be written as integer"),
        (r#"{"type": "integer"}"#, DataType::Decimal128(4, 2), "DECIMAL(4, 2) cannot be written as integer"),
        (r#"{"type": "string"}"#, DataType::Decimal128(4, 2), "DECIMAL(4, 2) cannot be written as string"),
        (
            &titled("string", "Decimal"),
            DataType::Decimal128(4, 2),
            "DECIMAL(4, 2) cannot be written as string (DECIMAL(64, 1))",
        ),
        (&titled("integer", "Time"), DataType::Date32, "DATE cannot be written as integer (TIME)"),
        (&titled("integer", "Date"), TIMESTAMP, "TIMESTAMP cannot be written as integer (DATE)"),
        (r#"{"type": "boolean"}"#, array(DataType::Boolean), "ARRAY<BOOLEAN> cannot be written as boolean"),
        (
            r#"{"type": "object", "additionalProperties": false}"#,
            map(DataType::Int32),
            "MAP<STRING, INT> cannot be written as object",
        ),
        (
            r#"{"type": "array", "items": {"type": "string"}}"#,
            map(DataType::Int32),
            "STRUCT<key STRING, value INT> cannot be written as string",
        ),
        (
            r#"{"type": "object", "additionalProperties": {"type": "boolean"}}"#,
            map(DataType::Int32),
            "INT cannot be written as boolean",
        ),
        (
            r#"{"type": "object", "properties": {"x": {"type": "boolean"}}}"#,
            record(&[("X", DataType::Int32)]),
            "field \"x\": INT cannot be written as boolean",
        ),
        (
            r#"{"type": "object", "properties": {"x": {}}, "additionalProperties": false}"#,
            record(&[("X", DataType::Int32), ("Y", DataType::Int32)]),
            "it has no field for column \"Y\"",
        ),
        (
            r#"{"type": "object", "properties": {"x": {}}, "required": ["x", "z"]}"#,
            record(&[("X", DataType::Int32)]),
            "the required field \"z\" has no column",
        ),
    ] {
        let text = format!(r#"{{"type": "object", "properties": {{"V": {kind}}}}}"#);
        let columns = layout(&[("V", column)]);
        let reason = format!("the schema does not fit the columns: field \"V\": {reason}");
        assert_eq!(written(&text, &columns, r#"{"V": null}"#), Err(reason), "{kind}");
    }
    let columns = layout(&[("V", DataType::Int32)]);
    let reason = "the schema does not fit the columns: it is array, not object".to_owned();
    assert_eq!(written(r#"{"type": "array"}"#, &columns, "{}"), Err(reason));
}
