//! Messages of registered schemas, written: each kind of field byte for byte, and what a message cannot hold.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::datatypes::DataType;

use super::hex;
use crate::format::testing::{array, layout, map, record};
use crate::format::{FormatKind, Layout};
use crate::schema::{Schema, SchemaKind, WriterSchema};

use FormatKind::{Json, Protobuf};

fn with(layout: &Layout, text: &str, id: Option<u32>, full_name: Option<&str>) -> Layout {
    let schema = Arc::new(Schema { kind: SchemaKind::Protobuf, text: text.into(), references: Vec::new() });
    let writer = WriterSchema { id, schema, full_name: full_name.map(str::to_owned) };
    Layout { schema: Some(Arc::new(writer)), ..layout.clone() }
}

/// The row that a JSON object gives, as a payload of the first message of a schema, which is read back; or why it
/// cannot be written.
fn written(layout: &Layout, text: &str, json: &str) -> Result<String, String> {
    written_with(&with(layout, text, None, None), json)
}

fn written_with(layout: &Layout, json: &str) -> Result<String, String> {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let decoded = Json.decoder(layout, &all).unwrap().decode(&BinaryArray::from_vec(vec![json.as_bytes()]));
    assert_eq!(decoded.bad, [], "{json}");
    let mut encoder = Protobuf.encoder(layout).map_err(|error| error.to_string())?;
    let mut encoded = encoder.encode(&decoded.columns, 1, None);
    if let Some(bad) = encoded.bad.pop() {
        return Err(bad.reason);
    }
    let mut decoder = Protobuf.decoder(layout, &all).unwrap();
    let read = decoder.decode(&encoded.payloads);
    assert_eq!(read.bad, [], "{json}");
    let again = decoder.decode(&encoder.encode(&read.columns, 1, None).payloads);
    assert_eq!(again.columns, read.columns, "what was read is written again");
    Ok(hex(encoded.payloads.value(0)))
}

#[test]
fn every_kind_of_field_is_written() {
    let enumeration = "enum E { ZERO = 0; ONE = 1; MINUS = -1; }";
    for (kind, column, json, payload) in [
        ("bool", DataType::Boolean, "true", "08 01"),
        ("bool", DataType::Boolean, "false", ""),
        ("int32", DataType::Int32, "-1", "08 ff ff ff ff ff ff ff ff ff 01"),
        ("int32", DataType::Int64, "5", "08 05"),
        ("uint32", DataType::Int64, "4294967295", "08 ff ff ff ff 0f"),
        ("uint64", DataType::Int64, "-1", "08 ff ff ff ff ff ff ff ff ff 01"),
        ("sint32", DataType::Int32, "-2147483648", "08 ff ff ff ff 0f"),
        ("sint64", DataType::Int64, "-2", "08 03"),
        ("fixed32", DataType::Int64, "4294967295", "0d ff ff ff ff"),
        ("fixed64", DataType::Int64, "2", "09 02 00 00 00 00 00 00 00"),
        ("sfixed32", DataType::Int32, "-2", "0d fe ff ff ff"),
        ("sfixed64", DataType::Int64, "-2", "09 fe ff ff ff ff ff ff ff"),
        ("float", DataType::Float64, "0.5", "0d 00 00 00 3f"),
        ("float", DataType::Float64, "\"Infinity\"", "0d 00 00 80 7f"),
        ("double", DataType::Float64, "0.5", "09 00 00 00 00 00 00 e0 3f"),
        ("string", DataType::Utf8, "\"x\"", "0a 01 78"),
        ("bytes", DataType::Binary, "\"/w==\"", "0a 01 ff"),
        ("E", DataType::Utf8, "\"ONE\"", "08 01"),
        ("E", DataType::Utf8, "\"MINUS\"", "08 ff ff ff ff ff ff ff ff ff 01"),
        ("E", DataType::Utf8, "\"ZERO\"", ""),
        ("optional E", DataType::Utf8, "\"ZERO\"", "08 00"),
        ("optional int32", DataType::Int32, "0", "08 00"),
        ("optional int32", DataType::Int32, "null", ""),
        ("google.protobuf.UInt32Value", DataType::Int64, "7", "0a 02 08 07"),
        ("google.protobuf.FloatValue", DataType::Float64, "0.5", "0a 05 0d 00 00 00 3f"),
        ("google.protobuf.StringValue", DataType::Utf8, "\"\"", "0a 00"),
        ("repeated sint32", array(DataType::Int32), "[-1, 1]", "0a 02 01 02"),
        ("repeated E", array(DataType::Utf8), "[\"ONE\", \"ZERO\"]", "0a 02 01 00"),
        ("repeated google.protobuf.Int32Value", array(DataType::Int32), "[0, 1]", "0a 00 0a 02 08 01"),
        ("map<string, int32>", map(DataType::Int32), "{\"k\": 0}", "0a 05 0a 01 6b 10 00"),
        ("map<sint32, E>", map(DataType::Utf8), "{\"-2\": \"ONE\"}", "0a 04 08 03 10 01"),
        ("map<bool, int32>", map(DataType::Int32), "{\"true\": 5}", "0a 04 08 01 10 05"),
        ("map<fixed32, int32>", map(DataType::Int32), "{\"1\": 5}", "0a 07 0d 01 00 00 00 10 05"),
        ("repeated TagEntry", map(DataType::Int32), "{\"k\": 5}", "0a 07 0a 03 0a 01 6b 10 05"),
    ] {
        let text = format!(
            "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; message M {{ {kind} v = 1; }} {enumeration}
            message TagEntry {{ google.protobuf.StringValue key = 1; int32 value = 2; }}"
        );
        let json = format!("{{\"V\": {json}}}");
        assert_eq!(written(&layout(&[("V", column)]), &text, &json).as_deref(), Ok(payload), "{kind} {json}");
    }
}

#[test]
fn every_name_of_an_enums_value_is_written() {
    let values = "option allow_alias = true; Z = 0; A = 1; AA = 1; ZZ = 0;";
    let text = format!("message M {{ E e = 1; repeated E l = 2; }} enum E {{ {values} }}");
    let columns = layout(&[("E", DataType::Utf8), ("L", array(DataType::Utf8))]);
    let json = r#"{"E": "AA", "L": ["Z", "ZZ", "A", "AA"]}"#;
    for (syntax, label, payload) in
        [("proto3", "", "08 01 12 04 00 00 01 01"), ("proto2", "optional ", "08 01 10 00 10 00 10 01 10 01")]
    {
        let text = format!("syntax = \"{syntax}\"; {}", text.replace("E e", &format!("{label}E e")));
        assert_eq!(written(&columns, &text, json).as_deref(), Ok(payload), "{syntax}");
    }
}

#[test]
fn columns_are_written_to_the_fields_that_they_are_read_from() {
    let text = "syntax = \"proto2\"; message M { optional string A = 4; optional int32 a = 1; optional string Xy = 3;
        optional int32 xY = 2; }";
    let columns = layout(&[("A", DataType::Utf8), ("XY", DataType::Utf8)]);
    assert_eq!(written(&columns, text, r#"{"A": "x", "XY": "y"}"#).as_deref(), Ok("1a 01 79 22 01 78"));
}

#[test]
fn fields_are_found_by_name_and_written_by_number() {
    let text = "syntax = \"proto3\"; message M { int32 userId = 3; N nested = 1; string unused = 2; }
        message N { int32 b = 2; int32 a = 1; }";
    let nested = record(&[("B", DataType::Int32), ("A", DataType::Int32)]);
    let columns = layout(&[("USERID", DataType::Int32), ("NESTED", nested)]);
    let json = "{\"USERID\": 7, \"NESTED\": {\"A\": 1, \"B\": 2}}";
    assert_eq!(written(&columns, text, json).as_deref(), Ok("0a 04 08 01 10 02 18 07"));
    assert_eq!(written(&columns, text, "{\"NESTED\": {}}").as_deref(), Ok("0a 00"));
    assert_eq!(written(&columns, text, "{}").as_deref(), Ok(""));
}

#[test]
fn oneofs_are_written_from_a_struct_or_from_columns() {
    let text = "syntax = \"proto3\"; message M { oneof kind { int32 a = 1; string b = 2; } int32 z = 3; }";
    let members = [("A", DataType::Int32), ("B", DataType::Utf8)];
    let union = layout(&[("KIND_0", record(&members)), ("Z", DataType::Int32)]);
    let flat = layout(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    for (in_struct, in_columns, payload) in [
        ("{\"KIND_0\": {\"A\": 0}}", "{\"A\": 0}", Ok("08 00")),
        ("{\"KIND_0\": {\"B\": \"x\"}}", "{\"B\": \"x\"}", Ok("12 01 78")),
        ("{}", "{}", Ok("")),
        (
            "{\"KIND_0\": {\"A\": 1, \"B\": \"x\"}}",
            "{\"A\": 1, \"B\": \"x\"}",
            Err("$.kind_0: several fields of the oneof have a value"),
        ),
    ] {
        let payload = payload.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(written(&union, text, in_struct), payload, "{in_struct}");
        assert_eq!(written(&flat, text, in_columns), payload, "{in_columns}");
    }
}

#[test]
fn files_of_proto2_say_what_is_written() {
    let text = "syntax = \"proto2\"; enum E { HEARTS = 3; }
        message M { required int32 a = 1; optional int32 b = 2 [default = 5]; required string c = 3 [default = 'x'];
            optional int32 d = 4; required E e = 5; }";
    let columns = layout(&[("A", DataType::Int32), ("B", DataType::Int32), ("D", DataType::Int32)]);
    assert_eq!(written(&columns, text, "{}").as_deref(), Ok("08 00 1a 01 78 28 03"));
    let zeros = "{\"A\": 1, \"B\": 0, \"D\": 0}";
    assert_eq!(written(&columns, text, zeros).as_deref(), Ok("08 01 10 00 1a 01 78 20 00 28 03"));
    let required = "syntax = \"proto2\"; message M { optional int32 a = 1; required N n = 2; } message N {}";
    let reason = "the schema does not fit the columns: the required field n has no column";
    assert_eq!(written(&layout(&[("A", DataType::Int32)]), required, "{}"), Err(reason.to_owned()));
}

/// A message has no default, so that a null in a required one cannot be written.
#[test]
fn a_null_in_a_required_message_is_bad() {
    let text = "syntax = \"proto2\"; import \"google/protobuf/wrappers.proto\"; import \"google/type/date.proto\";
        message M { optional Outer o = 1; repeated TagEntry m = 2; }
        message Outer { required N n = 1; required google.protobuf.Int32Value w = 2; required google.type.Date d = 3; }
        message N { optional int32 x = 1; } message TagEntry { required string key = 1; required N value = 2; }";
    let n = record(&[("X", DataType::Int32)]);
    let outer = record(&[("N", n.clone()), ("W", DataType::Int32), ("D", DataType::Date32)]);
    let columns = layout(&[("O", outer), ("M", map(n))]);
    for (json, payload) in [
        (r#"{"O": {"N": {"X": 5}, "W": 0, "D": 1}}"#, Ok("0a 0f 0a 02 08 05 12 00 1a 07 08 b2 0f 10 01 18 02")),
        (r#"{"O": {"N": {}, "W": 0, "D": 1}}"#, Ok("0a 0d 0a 00 12 00 1a 07 08 b2 0f 10 01 18 02")),
        ("{}", Ok("")),
        (r#"{"O": {"W": 0, "D": 1}}"#, Err("$.o.n")),
        (r#"{"O": {"N": {}, "D": 1}}"#, Err("$.o.w")),
        (r#"{"O": {"N": {}, "W": 0}}"#, Err("$.o.d")),
        (r#"{"M": {"k": {}}}"#, Ok("12 05 0a 01 6b 12 00")),
        (r#"{"M": {"k": null}}"#, Err("$.m[\"k\"]")),
    ] {
        let reason = |path| format!("{path}: the value is null, but the schema requires one and has no default");
        assert_eq!(written(&columns, text, json), payload.map(str::to_owned).map_err(reason), "{json}");
    }
    let group =
        "syntax = \"proto2\"; message M { optional int32 a = 1; required group G = 2 { optional int32 x = 1; } }";
    let reason = "the schema does not fit the columns: the required field g is a group, which cannot be written";
    assert_eq!(written(&layout(&[("A", DataType::Int32)]), group, "{}"), Err(reason.to_owned()));
}

#[test]
fn payloads_begin_with_the_schema_and_the_message() {
    let text = "syntax = \"proto3\"; package p; message A { message B { int32 x = 1; } map<int32, int32> m = 1;
        message C { int32 x = 2; } } message D { int32 x = 3; }";
    let columns = layout(&[("X", DataType::Int32)]);
    for (full_name, payload) in [
        ("p.D", "00 00 00 01 02 02 02 18 05"),
        ("p.A.B", "00 00 00 01 02 04 00 00 08 05"),
        ("p.A.C", "00 00 00 01 02 04 00 02 10 05"),
    ] {
        let layout = with(&columns, text, Some(258), Some(full_name));
        assert_eq!(written_with(&layout, "{\"X\": 5}").as_deref(), Ok(payload), "{full_name}");
    }
    let first = with(&layout(&[("M", map(DataType::Int32))]), text, Some(1), None);
    assert_eq!(written_with(&first, "{\"M\": {}}").as_deref(), Ok("00 00 00 00 01 00"));
}

#[test]
fn what_a_message_cannot_hold_is_named() {
    let text = "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\";
        message M { int64 a = 1; E e = 2; map<int32, int32> m = 3; uint32 u = 4; repeated E l = 5; Node n = 6;
            oneof o { int32 x = 7; } repeated float f = 8; google.protobuf.FloatValue w = 9; } enum E { ZERO = 0; } message Node { Node n = 1; }";
    let node = record(&[("N", record(&[("X", DataType::Int32)]))]);
    for (column, reason) in [
        (("B", DataType::Int32), "message M has no field for column \"B\""),
        (("A", DataType::Utf8), "a: STRING cannot be written as int64"),
        (("M", array(DataType::Int32)), "m: ARRAY<INT> cannot be written as map<int32, int32>"),
        (("N", node), "n: n: the message contains itself: Node.n -> Node"),
        (("O_0", record(&[("Y", DataType::Int32)])), "the oneof o_0 has no field \"Y\""),
    ] {
        let reason = format!("the schema does not fit the columns: {reason}");
        assert_eq!(written(&layout(&[column]), text, "{}"), Err(reason));
    }
    for (column, json, reason) in [
        (("E", DataType::Utf8), "\"ONE\"", "$.e: \"ONE\" is not a value of the enum E"),
        (("M", map(DataType::Int32)), "{\"x\": 1}", "$.m[\"x\"]: the key is not one of the type that the schema has"),
        (("U", DataType::Int64), "-1", "$.u: -1 is out of range for the type of the field"),
        (("F", array(DataType::Float64)), "[1E38, -1E39]", "$.f[1]: -1E39 is out of range for a float"),
        (("W", DataType::Float64), "1E300", "$.w: 1E300 is out of range for a float"),
        (("L", array(DataType::Utf8)), "[\"ZERO\", null]", "$.l[1]: an array in PROTOBUF cannot contain null"),
    ] {
        let json = format!("{{\"{}\": {json}}}", column.0);
        assert_eq!(written(&layout(&[column]), text, &json), Err(reason.to_owned()));
    }
}
