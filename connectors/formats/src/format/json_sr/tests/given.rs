//! Rows written by a schema that was given: in its forms of maps and decimals, with its names, or not at all.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int32Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::schema;
use crate::format::testing::{TIMESTAMP, array, bare, layout, map, record};
use crate::format::{FormatKind, Layout};
use crate::schema::WriterSchema;

use FormatKind::JsonSr;

/// The JSON of a row that a schema with the id 7 is written with, or why the schema or the row is refused.
fn written(text: &str, layout: &Layout, json: &str) -> Result<String, String> {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let json = BinaryArray::from_vec(vec![json.as_bytes()]);
    let decoded = FormatKind::Json.decoder(layout, &all).unwrap().decode(&json);
    assert_eq!(decoded.bad, []);
    let writer = WriterSchema { id: Some(7), schema: schema(text, &[]), full_name: None };
    let layout = Layout { schema: Some(Arc::new(writer)), ..layout.clone() };
    let mut encoder = JsonSr.encoder(&layout).map_err(|error| error.to_string())?;
    let mut encoded = encoder.encode(&decoded.columns, 1, None);
    if let Some(bad) = encoded.bad.pop() {
        assert!(encoded.payloads.is_null(0), "a bad row has no payload");
        return Err(bad.reason);
    }
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
        (optional(&text), narrow.clone(), "null", "null"),
        (object(&number), map(narrow.clone()), r#"{"k": 1.50}"#, r#"{"k":1.50}"#),
        (object(&optional(&text)), map(narrow.clone()), r#"{"k": 1.50, "l": null}"#, r#"{"k":"AJY=","l":null}"#),
        (entries(&number), map(narrow.clone()), r#"{"k": 1.50}"#, r#"[{"key":"k","value":1.50}]"#),
        (entries(&optional(&text)), map(narrow.clone()), r#"{"k": 1.50}"#, r#"[{"key":"k","value":"AJY="}]"#),
        (entries(&object(&text)), maps.clone(), r#"{"k": {"l": 1.50}}"#, r#"[{"key":"k","value":{"l":"AJY="}}]"#),
        (object(&entries(&number)), maps, r#"{"k": {"l": 1.50}}"#, r#"{"k":[{"key":"l","value":1.50}]}"#),
        (
            array_of(&optional(&record_of(&text))),
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

const NULL: &str = "the value is null, which the schema does not allow";

#[test]
fn nulls_are_written_where_the_schema_allows_them() {
    let text = r##"{"type": "object", "properties": {"a": {"type": ["integer", "null"]}, "b": {"oneOf": [{"type": "null"}, {"type": "integer"}]},
        "c": {"anyOf": [{"$ref": "#/definitions/n"}, {"type": "null"}]}, "d": {}, "e": {"$ref": "#/definitions/n"}, "f": {"enum": [1, null]},
        "g": {"type": "integer"}, "h": {"enum": [1]}, "i": {"const": 1}, "j": {"type": ["integer", "string"]},
        "k": {"allOf": [{"type": ["integer", "null"]}, {"type": "integer"}]}},
        "required": ["a", "b", "c", "d", "e", "f"], "definitions": {"n": {"type": ["null", "integer"]}}}"##;
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
    let columns = layout(&names.map(|name| (name, DataType::Int32)));
    let json = r#"{"a":null,"b":null,"c":null,"d":null,"e":null,"f":null,"L":null}"#;
    assert_eq!(written(text, &columns, "{}").as_deref(), Ok(json));
    let json = r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":1,"g":7,"h":1,"i":1,"j":10,"k":11,"L":12}"#;
    assert_eq!(written(text, &columns, &json.to_uppercase()).as_deref(), Ok(json));
    let closed = r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#;
    let columns = layout(&[("A", DataType::Int32), ("B", DataType::Int32)]);
    assert_eq!(written(closed, &columns, r#"{"B": 1}"#).as_deref(), Ok(r#"{"B":1}"#));
}

#[test]
fn a_null_that_the_schema_requires_makes_the_row_bad() {
    let integer = r#"{"type": "integer"}"#;
    let inner =
        r#"{"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}"#;
    let point = record(&[("X", DataType::Int32), ("Y", DataType::Int32)]);
    let array_of = |items: &str| format!(r#"{{"type": "array", "items": {items}}}"#);
    let map_of = |values: &str| format!(r#"{{"type": "object", "additionalProperties": {values}}}"#);
    let entries = array_of(
        r#"{"type": "object", "properties": {"key": {"type": "string"}, "value": {"type": "integer"}}, "required": ["key", "value"]}"#,
    );
    for (kind, column, json, expected) in [
        (integer.to_owned(), DataType::Int32, "null", Err("$.v")),
        (inner.to_owned(), point.clone(), "null", Err("$.v")),
        (inner.to_owned(), point.clone(), r#"{"Y": 1}"#, Err("$.v.x")),
        (inner.to_owned(), point.clone(), r#"{"X": 1}"#, Ok(r#"{"x":1}"#)),
        (array_of(integer), array(DataType::Int32), "[1, null]", Err("$.v[1]")),
        (array_of(integer), array(DataType::Int32), "[]", Ok("[]")),
        (array_of(inner), array(point.clone()), r#"[{"X": 1}, {"Y": 1}]"#, Err("$.v[1].x")),
        (map_of(integer), map(DataType::Int32), r#"{"k": null}"#, Err("$.v[\"k\"]")),
        (map_of(inner), map(point.clone()), r#"{"k": {"X": 1, "Y": null}}"#, Ok(r#"{"k":{"x":1}}"#)),
        (map_of(&array_of(inner)), map(array(point)), r#"{"k": [{}]}"#, Err("$.v[\"k\"][0].x")),
        (entries, map(DataType::Int32), r#"{"k": null}"#, Err("$.v[0].value")),
    ] {
        let text = format!(r#"{{"type": "object", "properties": {{"v": {kind}}}, "required": ["v"]}}"#);
        let expected = expected.map(|json| format!("{{\"v\":{json}}}")).map_err(|path| format!("{path}: {NULL}"));
        let columns = layout(&[("V", column)]);
        assert_eq!(written(&text, &columns, &format!("{{\"V\": {json}}}")), expected, "{kind} {json}");
    }
}

#[test]
fn a_value_that_is_not_in_its_enum_makes_the_row_bad() {
    let number = r#"{"type": "number", "enum": [1, 2.5]}"#;
    let text = r#"{"type": "string", "enum": ["x", "y"]}"#;
    for (kind, column, json, shown) in [
        (text, DataType::Utf8, r#""y""#, None),
        (text, DataType::Utf8, r#""zzz""#, Some("\"zzz\"")),
        (r#"{"enum": ["x", null]}"#, DataType::Utf8, "null", None),
        (r#"{"enum": ["x", null]}"#, DataType::Utf8, r#""y""#, Some("\"y\"")),
        (r#"{"const": "x"}"#, DataType::Utf8, r#""y""#, Some("\"y\"")),
        (r#"{"oneOf": [{"type": "null"}, {"enum": ["x"]}]}"#, DataType::Utf8, r#""y""#, Some("\"y\"")),
        (r#"{"oneOf": [{"const": "x"}, {"const": "y"}]}"#, DataType::Utf8, r#""y""#, None),
        (r#"{"oneOf": [{"const": "x"}, {"const": "y"}]}"#, DataType::Utf8, r#""z""#, Some("\"z\"")),
        (r#"{"anyOf": [{"const": "x"}, {"type": "string"}]}"#, DataType::Utf8, r#""z""#, None),
        (r#"{"allOf": [{"enum": ["x", "y"]}, {"enum": ["y", "z"]}]}"#, DataType::Utf8, r#""x""#, Some("\"x\"")),
        (r#"{"type": "boolean", "const": true}"#, DataType::Boolean, "false", Some("false")),
        (r#"{"type": "integer", "enum": [1, 2.0]}"#, DataType::Int32, "2", None),
        (r#"{"type": "integer", "enum": [1, 2.0]}"#, DataType::Int64, "3", Some("3")),
        (number, DataType::Float64, "2.5", None),
        (number, DataType::Float64, "2", Some("2.0")),
        (number, DataType::Decimal128(5, 2), "2.50", None),
        (number, DataType::Decimal128(5, 2), "2.51", Some("2.51")),
        (number, DataType::Decimal256(50, 0), "1", None),
        (number, DataType::Decimal256(50, 0), "2", Some("2")),
    ] {
        let columns = layout(&[("V", column.clone())]);
        let of =
            |path: &str| shown.map(|shown| format!("{path}: {shown} is not one of the values that the schema allows"));
        let schema = format!(r#"{{"type": "object", "properties": {{"V": {kind}}}}}"#);
        let found = written(&schema, &columns, &format!("{{\"V\": {json}}}"));
        assert_eq!(found.err(), of("$.V"), "{kind} {json}");
        let items = format!(r#"{{"type": "array", "items": {kind}}}"#);
        let found = written(&items, &bare(array(column.clone())), &format!("[{json}]"));
        assert_eq!(found.err(), of("$[0]"), "{kind} {json}");
        if json != "null" {
            assert_eq!(written(kind, &bare(column), json).err(), of("$"), "{kind} {json}");
        }
    }
}

/// The rows of the report, and a tombstone, in one batch.
#[test]
fn rows_that_the_schema_allows_are_written_beside_others() {
    let text = r#"{"type": "object", "properties": {"a": {"type": "integer"}, "s": {"type": "string", "enum": ["x", "y"]}},
        "required": ["a"], "additionalProperties": false}"#;
    let writer = WriterSchema { id: None, schema: schema(text, &[]), full_name: None };
    let columns = layout(&[("A", DataType::Int32), ("S", DataType::Utf8)]);
    let columns = Layout { schema: Some(Arc::new(writer)), ..columns };
    let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), None, Some(4)]));
    let s: ArrayRef = Arc::new(StringArray::from(vec![Some("zzz"), Some("x"), None, None, Some("y")]));
    let present = NullBuffer::from(vec![true, true, true, false, true]);
    let encoded = JsonSr.encoder(&columns).unwrap().encode(&[a, s], 5, Some(&present));
    let bad: Vec<_> = encoded.bad.iter().map(|bad| (bad.row, bad.reason.as_str())).collect();
    let null = format!("$.a: {NULL}");
    assert_eq!(bad, [(0, "$.s: \"zzz\" is not one of the values that the schema allows"), (1, null.as_str())]);
    let payloads: Vec<_> = encoded.payloads.iter().map(|payload| payload.map(String::from_utf8_lossy)).collect();
    let expected = [None, None, Some(r#"{"a":3}"#), None, Some(r#"{"a":4,"s":"y"}"#)];
    assert_eq!(payloads, expected.map(|payload| payload.map(Into::into)));
}

/// They multiply without end where a schema unites itself with itself.
#[test]
fn unions_of_unions_have_an_end() {
    let text = r##"{"properties": {"V": {"$ref": "#/definitions/u"}}, "definitions":
        {"u": {"anyOf": [{"$ref": "#/definitions/u"}, {"$ref": "#/definitions/u"}]}}}"##;
    assert_eq!(written(text, &layout(&[("V", DataType::Int32)]), "{}").as_deref(), Ok(r#"{"V":null}"#));
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
