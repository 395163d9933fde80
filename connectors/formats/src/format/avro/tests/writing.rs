//! Rows written by a schema, byte for byte, and rows that cannot be.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int32Array, StringArray};
use arrow::datatypes::DataType;

use super::super::super::testing::{TIME, TIMESTAMP, array, bare, layout, map, record};
use super::super::super::{Encoded, FormatKind, Layout};
use super::super::{bare_decoder, encoder, schema_of};
use super::{hex, row, schema, unhex};

/// The columns of a JSON record, encoded by a schema.
fn encode(text: &str, layout: &Layout, json: &str) -> Encoded {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let decoded = FormatKind::Json.decoder(layout, &all).unwrap().decode(&BinaryArray::from_vec(vec![json.as_bytes()]));
    assert_eq!(decoded.bad, [], "{json}");
    encoder(layout, &schema(text), None).unwrap().encode(&decoded.columns, 1, None)
}

fn written(text: &str, layout: &Layout, json: &str) -> Result<String, String> {
    let encoded = encode(text, layout, json);
    match encoded.bad.as_slice() {
        [] if encoded.payloads.is_null(0) => Ok("null".to_owned()),
        [] => Ok(hex(encoded.payloads.value(0))),
        [bad, ..] => Err(bad.reason.clone()),
    }
}

#[test]
fn each_type_is_written() {
    let typed = |encoding: &str, logical: &str| format!(r#"{{"type": "{encoding}", "logicalType": "{logical}"}}"#);
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    let fixed = r#"{"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    let entries = r#"{"type": "array", "items": {"type": "record", "name": "E", "connect.internal.type": "MapEntry",
        "fields": [{"name": "key", "type": ["null", "string"]}, {"name": "value", "type": "boolean"}]}}"#;
    for (schema, kind, json, payload) in [
        ("\"boolean\"", DataType::Boolean, "true", "01"),
        ("\"int\"", DataType::Date32, "1", "02"),
        ("\"int\"", TIME, "5", "0a"),
        ("\"int\"", DataType::Int32, "-2147483648", "ff ff ff ff 0f"),
        ("\"long\"", DataType::Int32, "64", "80 01"),
        ("\"double\"", DataType::Int32, "1", "00 00 00 00 00 00 f0 3f"),
        ("\"float\"", DataType::Int32, "1", "00 00 80 3f"),
        ("\"long\"", DataType::Int64, "9223372036854775807", "fe ff ff ff ff ff ff ff ff 01"),
        ("\"double\"", DataType::Float64, "1.5", "00 00 00 00 00 00 f8 3f"),
        ("\"float\"", DataType::Float64, "1.5", "00 00 c0 3f"),
        ("\"float\"", DataType::Float64, "3.4028235E38", "ff ff 7f 7f"),
        ("\"float\"", DataType::Float64, "1E-300", "00 00 00 00"),
        ("\"float\"", DataType::Float64, "\"-Infinity\"", "00 00 80 ff"),
        ("\"float\"", DataType::Float64, "\"NaN\"", "00 00 c0 7f"),
        ("\"string\"", DataType::Utf8, "\"\u{e9}\"", "04 c3 a9"),
        ("\"bytes\"", DataType::Binary, "\"AAE=\"", "04 00 01"),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, DataType::Binary, "\"AAE=\"", "00 01"),
        (r#"{"type": "enum", "name": "E", "symbols": ["B", "A"]}"#, DataType::Utf8, "\"A\"", "02"),
        (&typed("int", "date"), DataType::Date32, "1", "02"),
        (&typed("int", "time-millis"), TIME, "5", "0a"),
        (&typed("long", "time-micros"), TIME, "5", "90 4e"),
        (&typed("long", "timestamp-millis"), TIMESTAMP, "-1", "01"),
        (&typed("long", "timestamp-micros"), TIMESTAMP, "1", "d0 0f"),
        (&typed("long", "local-timestamp-nanos"), TIMESTAMP, "1", "80 89 7a"),
        (decimal, DataType::Decimal128(6, 2), "123.45", "04 30 39"),
        (decimal, DataType::Decimal128(6, 2), "0", "02 00"),
        (decimal, DataType::Decimal128(6, 2), "-1.28", "02 80"),
        (decimal, DataType::Decimal128(6, 1), "1.2", "02 78"),
        (decimal, DataType::Decimal256(50, 3), "1.200", "02 78"),
        (fixed, DataType::Decimal128(6, 2), "-123.45", "ff ff cf c7"),
        (r#"["null", "int"]"#, DataType::Int32, "1", "02 02"),
        (r#"["null", "string", "int"]"#, DataType::Int32, "1", "04 02"),
        (r#"{"type": "array", "items": ["null", "int"]}"#, array(DataType::Int32), "[1, null]", "04 02 02 00 00"),
        (r#"{"type": "array", "items": "int"}"#, array(DataType::Int32), "[]", "00"),
        (r#"{"type": "map", "values": "int"}"#, map(DataType::Int32), r#"{"a": 1}"#, "02 02 61 02 00"),
        (entries, map(DataType::Boolean), r#"{"a": true}"#, "02 02 02 61 01 00"),
    ] {
        let layout = bare(kind.clone());
        assert_eq!(written(schema, &layout, json).as_deref(), Ok(payload), "{schema}, {kind}");
        assert_eq!(written(schema, &layout, "null").as_deref(), Ok("null"), "a bare null has no payload");
        // An INT may be written to wider types, but those are not read as one.
        let mut decoder = bare_decoder(&layout, &[0], Arc::new(super::schema(schema))).unwrap();
        assert!(kind == DataType::Int32 || row(&mut *decoder, &unhex(payload)).is_ok());
    }
}

#[test]
fn fields_are_matched_by_name_and_the_rest_has_defaults() {
    let text = r#"{"type": "record", "name": "R", "fields": [
        {"name": "extra", "type": "string", "default": "foo"},
        {"name": "b", "type": "int"},
        {"name": "none", "type": ["int", "null"]},
        {"name": "deep", "type": {"type": "record", "name": "D", "fields": [
            {"name": "x", "type": {"type": "array", "items": "long"}, "default": [1]},
            {"name": "y", "type": "bytes", "default": "\u00ff"}]}, "default": {}},
        {"name": "A", "type": ["null", "string"]}]}"#;
    let columns = layout(&[("A", DataType::Utf8), ("B", DataType::Int32)]);
    let defaults = "06 66 6f 6f 02 02 02 02 00 02 ff";
    assert_eq!(written(text, &columns, r#"{"a": "x", "b": 1}"#), Ok(format!("{defaults} 02 02 78")));
    assert_eq!(written(text, &columns, r#"{"b": 1}"#), Ok(format!("{defaults} 00")));
    let missing = written(text, &columns, "{}").unwrap_err();
    assert_eq!(missing, "$.b: the value is null, but the schema requires one and has no default");
}

#[test]
fn a_null_in_a_required_field_is_its_default() {
    let text = r#"{"type": "record", "name": "R", "fields": [{"name": "A", "type": "int", "default": 7}]}"#;
    let columns = layout(&[("A", DataType::Int32)]);
    assert_eq!(written(text, &columns, "{}").as_deref(), Ok("0e"));
    assert_eq!(written(text, &columns, r#"{"A": 1}"#).as_deref(), Ok("02"));
}

#[test]
fn a_struct_is_a_union() {
    let text = r#"["null", "int", {"type": "record", "name": "a.P", "fields": [{"name": "X", "type": "int"}]}]"#;
    let branches = record(&[("INT", DataType::Int32), ("P", record(&[("X", DataType::Int32)]))]);
    let columns = layout(&[("U", branches)]);
    let text = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "U", "type": {text}}}]}}"#);
    for (json, payload) in [
        (r#"{"U": {"INT": 1}}"#, Ok("02 02".to_owned())),
        (r#"{"U": {"P": {"X": 1}}}"#, Ok("04 02".to_owned())),
        (r#"{"U": null}"#, Ok("00".to_owned())),
        (r#"{"U": {}}"#, Err("$.U: no field of the union has a value".to_owned())),
        (r#"{"U": {"INT": 1, "P": {}}}"#, Err("$.U: several fields of the union have a value".to_owned())),
    ] {
        assert_eq!(written(&text, &columns, json), payload, "{json}");
    }
}

#[test]
fn rows_that_the_schema_cannot_hold_are_bad() {
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}"#;
    let fixed = r#"{"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 6, "scale": 0}"#;
    let nanos = r#"{"type": "long", "logicalType": "timestamp-nanos"}"#;
    let items = r#"{"type": "array", "items": {"type": "map", "values": "int"}}"#;
    for (schema, kind, json, reason) in [
        (decimal, DataType::Decimal128(6, 2), "123.45", "$: the number does not fit the schema's decimal"),
        (decimal, DataType::Decimal128(6, 2), "123.40", "$: the number does not fit the schema's decimal"),
        (fixed, DataType::Decimal128(6, 0), "128", "$: the number does not fit in 1 bytes"),
        (nanos, TIMESTAMP, "9223372036854775807", "$: the TIMESTAMP is out of the range of the schema's type"),
        ("\"float\"", DataType::Float64, "3.5E38", "$: 3.5E38 is out of range for a float"),
        ("\"float\"", DataType::Float64, "-1E300", "$: -1E300 is out of range for a float"),
        (
            r#"{"type": "fixed", "name": "F", "size": 1}"#,
            DataType::Binary,
            "\"AAE=\"",
            "$: the value has 2 bytes, not 1",
        ),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
            DataType::Utf8,
            "\"B\"",
            "$: \"B\" is not a symbol of the enum",
        ),
        (
            items,
            array(map(DataType::Int32)),
            r#"[{}, {"k": null}]"#,
            "$[1][\"k\"]: the value is null, but the schema requires one and has no default",
        ),
    ] {
        assert_eq!(written(schema, &bare(kind), json).unwrap_err(), reason, "{schema}");
    }
}

#[test]
fn schemas_that_do_not_fit_are_refused() {
    let refused = |text: &str, layout: &Layout| encoder(layout, &schema(text), None).err().unwrap().to_string();
    let record = |field: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{field}]}}"#);
    let one = layout(&[("A", DataType::Int64)]);
    let two = layout(&[("A", DataType::Int64), ("B", DataType::Int64)]);
    let a = r#"{"name": "A", "type": "long"}"#;
    for (text, layout, reason) in [
        ("\"int\"".to_owned(), &one, "it is int, not a record"),
        (record(a), &two, "R has no field for column \"B\""),
        (record(r#"{"name": "A", "type": "int"}"#), &one, "field \"A\": BIGINT cannot be written as int"),
        (
            record(r#"{"name": "A", "type": ["null", "string"]}"#),
            &one,
            "field \"A\": BIGINT cannot be written as union of null, string",
        ),
        (
            record(&format!(r#"{a}, {{"name": "c", "type": "int"}}"#)),
            &one,
            "field \"c\": there is no column for it, and it has no default",
        ),
        (
            record(&format!(r#"{a}, {{"name": "c", "type": "int", "default": "x"}}"#)),
            &one,
            "field \"c\": the default \"x\" is not a valid int",
        ),
        (
            record(&format!(r#"{a}, {{"name": "c", "type": "float", "default": 1e39}}"#)),
            &one,
            "field \"c\": the default 1e+39 is not a valid float",
        ),
    ] {
        assert_eq!(refused(&text, layout), format!("the schema does not fit the columns: {reason}"));
    }
    for (encoding, logical, column, kind) in [
        ("int", "time-millis", DataType::Date32, "DATE"),
        ("int", "date", TIME, "TIME"),
        ("long", "timestamp-millis", TIME, "TIME"),
        ("long", "time-micros", TIMESTAMP, "TIMESTAMP"),
    ] {
        let field = format!(r#"{{"name": "A", "type": {{"type": "{encoding}", "logicalType": "{logical}"}}}}"#);
        let reason = format!("field \"A\": {kind} cannot be written as {encoding} ({logical})");
        let found = refused(&record(&field), &layout(&[("A", column)]));
        assert_eq!(found, format!("the schema does not fit the columns: {reason}"));
    }
    let endless = r#"{"type": "record", "name": "R", "fields": [{"name": "A", "type": "long"},
        {"name": "r", "type": "R", "default": {"A": 1}}]}"#;
    assert!(refused(endless, &one).contains("is not a valid record R"));
}

#[test]
fn payloads_begin_with_the_id() {
    let columns = layout(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    let text = schema_of(&columns, "R").unwrap();
    let mut encoder = encoder(&columns, &schema(&text), Some(258)).unwrap();
    let arrays: [ArrayRef; 2] =
        [Arc::new(Int32Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec![None, Some("x")]))];
    let encoded = encoder.encode(&arrays, 2, None);
    let payloads: Vec<_> = encoded.payloads.iter().flatten().map(hex).collect();
    assert_eq!(payloads, ["00 00 00 01 02 02 02 00", "00 00 00 01 02 00 02 02 78"]);
    let nulls = vec![true, false].into();
    assert!(encoder.encode(&arrays, 2, Some(&nulls)).payloads.is_null(1), "a tombstone has no payload");
}
