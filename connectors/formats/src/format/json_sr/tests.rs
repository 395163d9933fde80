//! Payloads behind their ids, both forms of maps, and the two ways between columns and JSON Schema.

mod given;

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::datatypes::{DataType, FieldRef};

use crate::format::testing::{TIME, TIMESTAMP, array, bare, decode, layout, map, record, show};
use crate::format::{FormatKind, Layout, Names, infer, schema_of, sql_name};
use crate::schema::{Reference, Schema, SchemaKind, WriterSchema};

use FormatKind::JsonSr;

fn schema(text: &str, references: &[(&str, &Arc<Schema>)]) -> Arc<Schema> {
    let reference =
        |(name, schema): &(&str, &Arc<Schema>)| Reference { name: (*name).to_owned(), schema: Arc::clone(schema) };
    Arc::new(Schema {
        kind: SchemaKind::Json,
        text: text.into(),
        references: references.iter().map(reference).collect(),
    })
}

/// The layout with a schema that allows anything.
fn with(layout: &Layout, id: Option<u32>) -> Layout {
    let writer = WriterSchema { id, schema: schema("{}", &[]), full_name: None };
    Layout { schema: Some(Arc::new(writer)), ..layout.clone() }
}

/// Reads a payload behind the id 7 into all columns, and into none, which must agree.
fn read(layout: &Layout, json: &str) -> Result<String, String> {
    let payload = [&[0, 0, 0, 0, 7], json.as_bytes()].concat();
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let whole = decode(JsonSr, &with(layout, Some(7)), &all, &payload);
    let none = decode(JsonSr, &with(layout, Some(7)), &[], &payload);
    assert_eq!(whole.as_ref().err(), none.as_ref().err(), "{json}: what is bad does not depend on the columns");
    whole
}

/// An `$id` completes the names in its document, and those of the references.
#[test]
fn references_are_completed_by_the_id() {
    let number = schema(r#"{"type": "number"}"#, &[]);
    for (name, reference) in [("http://x/d/o.json", "o.json"), ("o.json", "http://x/d/o.json"), ("./o.json", "o.json#")]
    {
        let text = format!(
            r#"{{"$id": "http://x/d/top.json", "type": "object", "properties": {{"a": {{"$ref": "{reference}"}}}}}}"#
        );
        let columns = infer(&schema(&text, &[(name, &number)]), None, Names::Upper, "ROWVAL").unwrap();
        assert_eq!((columns.fields.len(), columns.dropped.len()), (1, 0), "{reference} of {name}");
    }
}

#[test]
fn json_is_read_behind_the_id_of_its_schema() {
    let columns = layout(&[("ID", DataType::Int64), ("NAME", DataType::Utf8)]);
    assert_eq!(read(&columns, r#"{"id": 7, "name": "M\u00fcller"}"#).as_deref(), Ok("7 Müller"));
    assert_eq!(read(&columns, r#"{"id": 7, "name": "Müller"}"#).as_deref(), Ok("7 Müller"));
    assert_eq!(read(&columns, r#"{"id": "x"}"#), Err("$.ID: the text is not a valid BIGINT (byte 12)".to_owned()));
    assert_eq!(read(&columns, ""), Err("not valid JSON: the payload is empty at byte 5".to_owned()));
    let cut = decode(JsonSr, &with(&columns, Some(7)), &[0], b"\0\0\0\0\x07{\"id\": 1, \"name\": \"\xff\"}");
    assert_eq!(cut, Err("not UTF-8 at byte 24".to_owned()));
    // An id with bytes that are not ASCII.
    let id = 0xC0FF_EE00;
    let payload = [&[0, 0xC0, 0xFF, 0xEE, 0][..], "{\"id\": 1, \"name\": \"é\"}".as_bytes()].concat();
    assert_eq!(decode(JsonSr, &with(&columns, Some(id)), &[1], &payload).as_deref(), Ok("é"));
    assert_eq!(decode(JsonSr, &with(&columns, None), &[0], b"{\"id\": 7}").as_deref(), Ok("7"));
}

#[test]
fn payloads_without_a_known_schema_are_bad() {
    let columns = layout(&[("ID", DataType::Int64)]);
    let payloads = [
        &b"{\"id\": 1}"[..],
        b"\0\0\0",
        b"",
        b"\0\0\0\0\x01{}",
        b"\0\0\0\0\x02{}",
        b"\0\0\0\0\x03{}",
        b"\0\0\0\0\x01{}",
    ];
    let payloads = BinaryArray::from_iter_values(payloads);
    let mut decoder = JsonSr.decoder(&columns, &[0]).unwrap();
    assert_eq!(decoder.missing_schemas(&payloads), [1, 2, 3]);
    let avro = Schema { kind: SchemaKind::Avro, text: "\"int\"".into(), references: Vec::new() };
    decoder.learn(1, Ok(schema("{}", &[])));
    decoder.learn(2, Err("the registry has no schema 2".to_owned()));
    assert_eq!(decoder.missing_schemas(&payloads), [3]);
    decoder.learn(3, Ok(Arc::new(avro)));
    let decoded = decoder.decode(&payloads);
    let reasons: Vec<_> = decoded.bad.iter().map(|bad| (bad.row, bad.reason.as_str())).collect();
    let plain = "the payload does not begin with a schema id (a zero byte and 4 more); if it is JSON without one, use \
                 VALUE_FORMAT = 'JSON' or KEY_FORMAT = 'JSON'";
    let expected = [
        (0, plain),
        (1, "the payload ends within its schema id"),
        (2, "the payload is empty"),
        (4, "the registry has no schema 2"),
        (5, "the schema with id 3 is AVRO, not JSON"),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn maps_are_read_in_both_forms() {
    let columns = layout(&[("M", map(DataType::Int32))]);
    for (json, shown) in [
        (r#"{"M": {"a": 1, "b": null}}"#, "{a: 1, b: null}"),
        (r#"{"M": [{"key": "a", "value": 1}, {"value": 2, "key": "b"}]}"#, "{a: 1, b: 2}"),
        (
            r#"{"M": [{"key": "a"}, {"key": 7, "value": 1}, {"key": true, "value": null}]}"#,
            "{a: null, 7: 1, true: null}",
        ),
        (r#"{"M": [{"key": "a", "value": 1}, {"key": "b", "value": 2}, {"key": "a", "value": 3}]}"#, "{a: 3, b: 2}"),
        (r#"{"M": [{"key": "a", "key": "b", "value": 1, "value": 2, "other": [{}]}]}"#, "{b: 2}"),
        (r#"{"M": []}"#, "{}"),
        (r#"{"M": null}"#, "null"),
    ] {
        assert_eq!(read(&columns, json).as_deref(), Ok(shown), "{json}");
    }
    for (json, reason) in [
        (r#"{"M": [{"key": "a", "value": "x"}]}"#, "$.M[0].value: the text is not a valid INT (byte 34)"),
        (r#"{"M": [{"key": "a"}, {"value": 1}]}"#, "$.M[1]: the entry of a MAP has no key (byte 26)"),
        (r#"{"M": [{"key": null}]}"#, "$.M[0].key: the key of a MAP is not a scalar (byte 20)"),
        (r#"{"M": [1]}"#, "$.M[0]: an entry of a MAP is an object with a key and a value (byte 12)"),
        (r#"{"M": [{"key": "a"} "#, "not valid JSON: expected ',' or ']', found the end at byte 25"),
        (r#"{"M": [{"key": []}], x}"#, "not valid JSON: expected a field name, found 'x' at byte 26"),
    ] {
        assert_eq!(read(&columns, json), Err(reason.to_owned()), "{json}");
    }
    let nested = layout(&[("M", map(array(map(DataType::Utf8))))]);
    let json = r#"{"M": [{"key": "a", "value": [{"x": "1"}, [{"key": "y", "value": {"z": 1}}]]}]}"#;
    assert_eq!(read(&nested, json).as_deref(), Ok(r#"{a: [{x: 1}, {y: {"z":1}}]}"#));
}

#[test]
fn decimals_are_numbers_or_connects_bytes() {
    for kind in [DataType::Decimal128(4, 2), DataType::Decimal256(40, 2)] {
        let columns = layout(&[("N", kind.clone())]);
        // 01 F4 is 500, FF is -1; a text that is not base64 is a number.
        for (json, shown) in
            [("1.5", "1.50"), ("\"AfQ=\"", "5.00"), ("\"/w==\"", "-0.01"), ("\"1.5\"", "1.50"), ("null", "null")]
        {
            assert_eq!(read(&columns, &format!("{{\"N\": {json}}}")).as_deref(), Ok(shown), "{kind} {json}");
        }
        assert_eq!(read(&columns, "{\"N\": \"x\"}"), Err("$.N: the text is not a number (byte 11)".to_owned()));
    }
    let narrow = layout(&[("N", DataType::Decimal128(4, 2))]);
    let reason = "$.N: the number does not fit DECIMAL(4, 2) (byte 11)";
    assert_eq!(read(&narrow, "{\"N\": \"1234\"}"), Err(reason.to_owned()));
    let reason = "$.N: the number does not fit DECIMAL(4, 2) (byte 11)";
    assert_eq!(read(&narrow, "{\"N\": 100}"), Err(reason.to_owned()));
}

/// The payload that a JSON object is written as, behind its header.
fn written(layout: &Layout, json: &str) -> String {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let decoded = FormatKind::Json.decoder(layout, &all).unwrap().decode(&BinaryArray::from_vec(vec![json.as_bytes()]));
    assert_eq!(decoded.bad, [], "{json}");
    let payloads = JsonSr.encoder(&with(layout, Some(7))).unwrap().encode(&decoded.columns, 1, None).payloads;
    let (header, json) = payloads.value(0).split_at(5);
    assert_eq!(header, [0, 0, 0, 0, 7]);
    assert_eq!(read(layout, std::str::from_utf8(json).unwrap()).unwrap(), show(&decoded.columns[0], 0));
    String::from_utf8(json.to_vec()).unwrap()
}

#[test]
fn maps_are_written_as_entries() {
    let columns = layout(&[("M", map(map(DataType::Int32)))]);
    let json = r#"{"M":[{"key":"a","value":[{"key":"b","value":1}]},{"key":"c","value":null}]}"#;
    assert_eq!(written(&columns, r#"{"M": {"a": {"b": 1}, "c": null}}"#), json);
    assert_eq!(written(&bare(DataType::Int32), "5"), "5");
}

#[test]
fn encoders_need_a_schema() {
    let columns = layout(&[("A", DataType::Int32)]);
    for (format, name) in [(JsonSr, "JSON_SR"), (FormatKind::Avro, "AVRO"), (FormatKind::Protobuf, "PROTOBUF")] {
        let reason = format.encoder(&columns).err().unwrap().to_string();
        assert_eq!(reason, format!("format {name} writes with a schema, but none was given"));
    }
}

#[test]
fn schemas_that_are_none_are_refused() {
    let columns = layout(&[("A", DataType::Int32)]);
    let avro = r#"{"type": "record", "name": "n.R", "fields": [{"name": "A", "type": "int"}]}"#;
    for (format, kind, text, full_name, reason) in [
        (JsonSr, SchemaKind::Avro, avro, None, "the schema is AVRO, not JSON"),
        (JsonSr, SchemaKind::Json, "{", None, "the schema is not JSON: EOF while parsing an object at line 1 column 1"),
        (
            JsonSr,
            SchemaKind::Json,
            r#"{"title": "T", "definitions": {"D": {}}}"#,
            Some("X"),
            "the schema has no type X: T, D",
        ),
        (FormatKind::Avro, SchemaKind::Avro, avro, Some("n.S"), "the schema is record n.R, not record n.S"),
        (FormatKind::Avro, SchemaKind::Avro, "x y", None, "the schema is not JSON: expected value at line 1 column 1"),
        (
            FormatKind::Protobuf,
            SchemaKind::Protobuf,
            "syntax = \"proto3\"; message R { int32 A = 1; }",
            Some("S"),
            "the schema has no message S; its messages are R",
        ),
    ] {
        let schema = Arc::new(Schema { kind, text: text.into(), references: Vec::new() });
        for id in [None, Some(7)] {
            let writer = WriterSchema { id, schema: schema.clone(), full_name: full_name.map(str::to_owned) };
            let layout = Layout { schema: Some(Arc::new(writer)), ..columns.clone() };
            let (reader, writer) = (format.decoder(&layout, &[0]).err(), format.encoder(&layout).err());
            assert_eq!(reader.unwrap().to_string(), reason);
            assert!(writer.unwrap().to_string().ends_with(reason));
        }
    }
}

/// The columns of a schema, and what is dropped.
fn inferred_of(schema: &Schema, full_name: Option<&str>) -> Result<(String, Vec<String>), String> {
    let inferred = infer(schema, full_name, Names::Upper, "ROWVAL")?;
    let column = |field: &FieldRef| format!("{} {}", field.name(), sql_name(field.data_type()));
    let dropped = inferred.dropped.iter().map(|dropped| format!("{}: {}", dropped.path, dropped.reason));
    Ok((inferred.fields.iter().map(column).collect::<Vec<_>>().join(", "), dropped.collect()))
}

fn inferred(text: &str) -> (String, Vec<String>) {
    inferred_of(&schema(text, &[]), None).unwrap()
}

#[test]
fn each_type_has_a_column() {
    let logical = |name: &str, rest: &str| format!(r#"{{"title": "org.apache.kafka.connect.data.{name}", {rest}}}"#);
    for (kind, column) in [
        (r#"{"type": "boolean"}"#, "BOOLEAN"),
        (r#"{"type": "integer"}"#, "BIGINT"),
        (r#"{"type": "integer", "connect.type": "int8"}"#, "INT"),
        (r#"{"type": "integer", "connect.type": "int32"}"#, "INT"),
        (r#"{"type": "integer", "connect.type": "int64"}"#, "BIGINT"),
        (r#"{"type": "number"}"#, "DOUBLE"),
        (r#"{"type": "string"}"#, "STRING"),
        (r#"{"type": "string", "connect.type": "bytes"}"#, "BYTES"),
        (r#"{"enum": ["a", "b"]}"#, "STRING"),
        (r#"{"type": "string", "enum": ["a", null]}"#, "STRING"),
        (r#"{"const": 5}"#, "BIGINT"),
        (&logical("Date", r#""type": "integer""#), "DATE"),
        (&logical("Time", r#""type": "integer""#), "TIME"),
        (&logical("Timestamp", r#""type": "integer""#), "TIMESTAMP"),
        (&logical("Decimal", r#""type": "number""#), "DECIMAL(64, 0)"),
        (
            &logical(
                "Decimal",
                r#""type": "number", "connect.parameters": {"scale": "2", "connect.decimal.precision": "4"}"#,
            ),
            "DECIMAL(4, 2)",
        ),
        (r#"{"type": ["null", "string"]}"#, "STRING"),
        (r#"{"type": ["integer", "number", "null"]}"#, "DOUBLE"),
        (r#"{"oneOf": [{"type": "null"}, {"type": "integer", "connect.type": "int32"}]}"#, "INT"),
        (r#"{"anyOf": [{"type": "string"}, {"type": "null"}]}"#, "STRING"),
        (r#"{"allOf": [{"type": "string"}]}"#, "STRING"),
        (r##"{"$ref": "#/definitions/d"}"##, "STRING"),
        (r##"{"$ref": "#/$defs/e"}"##, "STRING"),
        (r#"{"type": "array", "items": {"type": ["integer", "null"]}}"#, "ARRAY<BIGINT>"),
        (r#"{"type": "object", "properties": {"x": {"type": "string"}}}"#, "STRUCT<X STRING>"),
        (r#"{"type": "object", "additionalProperties": {"type": "string"}}"#, "MAP<STRING, STRING>"),
        (
            r#"{"type": "object", "connect.type": "map", "additionalProperties": {"type": "number"}}"#,
            "MAP<STRING, DOUBLE>",
        ),
        (
            r#"{"type": "array", "connect.type": "map", "items": {"type": "object", "properties":
                {"key": {"type": "integer"}, "value": {"type": "boolean"}}}}"#,
            "MAP<STRING, BOOLEAN>",
        ),
    ] {
        let defs = r##""definitions": {"d": {"$ref": "#/$defs/e"}}, "$defs": {"e": {"type": "string"}}"##;
        let text = format!(r#"{{"type": "object", "properties": {{"v": {kind}}}, {defs}}}"#);
        assert_eq!(inferred(&text), (format!("V {column}"), vec![]), "{kind}");
    }
}

#[test]
fn fields_come_in_connects_order_or_as_written() {
    let text = r#"{"properties": {"b": {"type": "string", "connect.index": 2}, "z": {"type": "string", "connect.index": 0},
        "a": {"oneOf": [{"type": "null"}, {"type": "string"}], "connect.index": 1}}}"#;
    assert_eq!(inferred(text).0, "Z STRING, A STRING, B STRING");
    let text = r#"{"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "boolean"}}}"#;
    assert_eq!(inferred(text).0, "B STRING, A BOOLEAN");
    assert_eq!(inferred(r#"{"type": "integer"}"#).0, "ROWVAL BIGINT");
    assert_eq!(inferred(r#"{"oneOf": [{"type": "null"}, {"type": "string"}]}"#).0, "ROWVAL STRING");
}

#[test]
fn schemas_refer_to_others() {
    let base = schema(
        r#"{"$id": "base", "type": "object", "properties": {"at": {"$ref": "base#/definitions/t"}}, "definitions": {"t": {"type": "integer"}}}"#,
        &[],
    );
    let event = schema(r#"{"type": "object", "properties": {"b": {"$ref": "base.json"}}}"#, &[("base.json", &base)]);
    let text = r##"{"properties": {"e": {"$ref": "event.json"}, "t": {"$ref": "base.json#/definitions/t"}, "x": {"$ref": "x.json"},
        "y": {"$ref": "#/nowhere"}, "s": {"$ref": "#/definitions/a"}}, "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}"##;
    let whole = schema(text, &[("event.json", &event), ("base.json", &base)]);
    let dropped = [
        "x: \"x.json\" is not among the references of the schema",
        "y: the reference \"#/nowhere\" leads nowhere",
        "s: more than 64 references lead from one to the next",
    ];
    let columns = "E STRUCT<B STRUCT<AT BIGINT>>, T BIGINT".to_owned();
    assert_eq!(inferred_of(&whole, None), Ok((columns, dropped.map(str::to_owned).to_vec())));
}

#[test]
fn what_no_column_can_hold_is_dropped() {
    let text = r##"{"title": "Root", "type": "object", "properties": {
        "a": {"type": "string"}, "A": {"type": "string"}, "n": {"type": "null"}, "u": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "t": {"type": ["string", "integer"]}, "any": {}, "self": {"$ref": "#"}, "o": {"type": "object"}, "l": {"type": "array"},
        "x": {"type": "text"}, "m": {"type": "object", "properties": {"p": {"type": "array", "items": {"$ref": "#"}}, "q": {"type": "string"}}}}}"##;
    let dropped = [
        "a: there are two fields \"A\"",
        "n: null alone is not a type of a column",
        "u: oneOf with 2 types is not a type of a column",
        "t: one of string, integer is not a type of a column",
        "any: the type is not given",
        "self: Root contains itself",
        "o: the object has no field that a column can hold",
        "l: the type of the items of an array is not given",
        "x: the type \"text\" does not exist",
        "m.p: Root contains itself",
    ];
    assert_eq!(inferred(text), ("A STRING, M STRUCT<Q STRING>".to_owned(), dropped.map(str::to_owned).to_vec()));
}

/// What [`infer`] takes a column's type from is what the column is read from, even if only the other one is there.
#[test]
fn a_column_is_read_from_the_member_that_it_is_inferred_from() {
    let (integer, string) = (r#"{"type": "integer"}"#, r#"{"type": "string"}"#);
    let object = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(name, kind)| format!("\"{name}\": {kind}")).collect();
        format!(r#"{{"type": "object", "properties": {{{}}}}}"#, fields.join(", "))
    };
    let exact = object(&[("a", integer), ("A", string)]);
    let first = object(&[("aB", integer), ("Ab", string)]);
    let list = |items: &str| format!(r#"{{"type": "array", "items": {items}}}"#);
    let values = format!(r#"{{"type": "object", "additionalProperties": {first}}}"#);
    let entries = format!(
        r#"{{"type": "array", "connect.type": "map", "items": {}}}"#,
        object(&[("key", string), ("value", &first)])
    );
    for (text, json, columns, row) in [
        (&exact, r#"{"a": 1, "A": "x"}"#, "A STRING", "x"),
        (&exact, r#"{"A": "x", "a": 1}"#, "A STRING", "x"),
        (&exact, r#"{"a": 1}"#, "A STRING", "null"),
        (&first, r#"{"aB": 1, "Ab": "x"}"#, "AB BIGINT", "1"),
        (&first, r#"{"Ab": "x", "aB": 1}"#, "AB BIGINT", "1"),
        (&first, r#"{"Ab": "x"}"#, "AB BIGINT", "null"),
        (&first, r#"{"ab": 1}"#, "AB BIGINT", "1"),
        (&object(&[("n", &first)]), r#"{"n": {"aB": 1, "Ab": "x"}}"#, "N STRUCT<AB BIGINT>", "{AB: 1}"),
        (&object(&[("l", &list(&first))]), r#"{"l": [{"Ab": "x"}]}"#, "L ARRAY<STRUCT<AB BIGINT>>", "[{AB: null}]"),
        (
            &object(&[("m", &values)]),
            r#"{"m": {"k": {"aB": 1, "Ab": "x"}}}"#,
            "M MAP<STRING, STRUCT<AB BIGINT>>",
            "{k: {AB: 1}}",
        ),
        (
            &object(&[("m", &entries)]),
            r#"{"m": [{"key": "k", "value": {"aB": 1, "Ab": "x"}}]}"#,
            "M MAP<STRING, STRUCT<AB BIGINT>>",
            "{k: {AB: 1}}",
        ),
    ] {
        assert_eq!(inferred(text).0, columns, "{text}");
        let columns = infer(&schema(text, &[]), None, Names::Upper, "ROWVAL").unwrap();
        for id in [Some(7), None] {
            let writer = WriterSchema { id, schema: schema(text, &[]), full_name: None };
            let layout = Layout { schema: Some(Arc::new(writer)), ..Layout::of(columns.fields.clone()) };
            let header: &[u8] = if id.is_some() { &[0, 0, 0, 0, 7] } else { &[] };
            let payload = [header, json.as_bytes()].concat();
            assert_eq!(decode(JsonSr, &layout, &[0], &payload).as_deref(), Ok(row), "{text} {json}");
            assert_eq!(decode(JsonSr, &layout, &[], &payload).as_deref(), Ok(""), "{text} {json}");
        }
    }
}

#[test]
fn definitions_are_found_by_their_names() {
    let text = r#"{"title": "T", "type": "object", "properties": {"x": {"type": "string"}},
        "definitions": {"D": {"type": "object", "properties": {"y": {"type": "string"}}}}}"#;
    let named = |name| inferred_of(&schema(text, &[]), Some(name)).map(|(columns, _)| columns);
    assert_eq!(named("T").as_deref(), Ok("X STRING"));
    assert_eq!(named("D").as_deref(), Ok("Y STRING"));
    assert_eq!(named("E"), Err("the schema has no type E: T, D".to_owned()));
}

#[test]
fn schemas_that_unfold_without_end_are_refused() {
    let pair = |at: u32| {
        let next = format!("{{\"$ref\": \"#/definitions/d{}\"}}", at + 1);
        format!("\"d{at}\": {{\"type\": \"object\", \"properties\": {{\"a\": {next}, \"b\": {next}}}}}")
    };
    let pairs: Vec<_> = (0..40).map(pair).collect();
    let text = format!(
        "{{\"$ref\": \"#/definitions/d0\", \"definitions\": {{{}, \"d40\": {{\"type\": \"string\"}}}}}}",
        pairs.join(", ")
    );
    assert!(inferred(&text).1[0].ends_with("the schema has more than 10000 types"));
    let array = r##"{"properties": {"a": {"$ref": "#/definitions/l"}}, "definitions": {"l": {"type": "array", "items": {"$ref": "#/definitions/l"}}}}"##;
    assert_eq!(inferred(array).1, ["a: types are nested more than 64 deep"]);
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(inferred_of(&schema(&long, &[]), None), Err("the schema has more than 1048576 bytes".to_owned()));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert!(inferred_of(&schema(&deep, &[]), None).unwrap_err().contains("recursion limit exceeded"));
}

#[test]
fn schemas_are_what_ksqldb_registers() {
    let null = r#"{"type":"null"}"#;
    let titled = |name: &str, connect: &str| {
        format!(
            r#"{{"type":"integer","title":"org.apache.kafka.connect.data.{name}","connect.version":1,"connect.type":"{connect}"}}"#
        )
    };
    for (kind, expected) in [
        (DataType::Boolean, r#"{"type":"boolean"}"#.to_owned()),
        (DataType::Int32, r#"{"type":"integer","connect.type":"int32"}"#.to_owned()),
        (DataType::Int64, r#"{"type":"integer","connect.type":"int64"}"#.to_owned()),
        (DataType::Float64, r#"{"type":"number","connect.type":"float64"}"#.to_owned()),
        (DataType::Utf8, r#"{"type":"string"}"#.to_owned()),
        (DataType::Binary, r#"{"type":"string","connect.type":"bytes"}"#.to_owned()),
        (DataType::Date32, titled("Date", "int32")),
        (TIME, titled("Time", "int32")),
        (TIMESTAMP, titled("Timestamp", "int64")),
        (
            DataType::Decimal128(4, 2),
            r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"4"}}"#.to_owned(),
        ),
        (array(DataType::Utf8), format!(r#"{{"type":"array","items":{{"oneOf":[{null},{{"type":"string"}}]}}}}"#)),
        (
            map(DataType::Boolean),
            format!(
                r#"{{"type":"array","items":{{"type":"object","properties":{{"key":{{"connect.index":0,"oneOf":[{null},{{"type":"string"}}]}},"value":{{"connect.index":1,"oneOf":[{null},{{"type":"boolean"}}]}}}}}},"connect.type":"map"}}"#
            ),
        ),
        (
            record(&[("X", DataType::Utf8)]),
            format!(r#"{{"type":"object","properties":{{"X":{{"connect.index":0,"oneOf":[{null},{{"type":"string"}}]}}}}}}"#),
        ),
    ] {
        let layout = layout(&[("A", kind.clone()), ("B", kind)]);
        let schema = schema_of(SchemaKind::Json, &layout, "").unwrap();
        let field = |index| format!(r#"{{"connect.index":{index},"oneOf":[{null},{expected}]}}"#);
        let whole = format!(r#"{{"type":"object","properties":{{"A":{},"B":{}}}}}"#, field(0), field(1));
        assert_eq!(&*schema.text, whole);
        let columns = infer(&schema, None, Names::AsWritten, "ROWVAL").unwrap();
        assert_eq!(columns.fields, layout.fields);
    }
    let titled = schema_of(SchemaKind::Json, &layout(&[("A", DataType::Utf8)]), "Order").unwrap();
    assert!(titled.text.ends_with(r#","title":"Order"}"#), "{}", titled.text);
    let bare = schema_of(SchemaKind::Json, &bare(DataType::Utf8), "").unwrap();
    assert_eq!(&*bare.text, r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#);
}
