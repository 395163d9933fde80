//! Records that were written with other versions of a schema.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};

use super::super::super::testing::{array, layout, record};
use super::super::super::{Layout, Names, sql_name};
use super::super::{AvroSchema, decoder, infer};
use super::{decode, row, schema, unhex};
use crate::schema::{Schema, SchemaKind, WriterSchema};

fn record_of(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, kind)| format!(r#"{{"name": "{name}", "type": {kind}}}"#));
    format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, fields.collect::<Vec<_>>().join(", "))
}

#[test]
fn fields_are_added_removed_and_moved() {
    let columns = layout(&[("ID", DataType::Int64), ("NAME", DataType::Utf8)]);
    for (fields, payload, shown) in [
        (&[("id", "\"long\""), ("name", "\"string\"")][..], "02 02 61", "1 a"),
        (&[("name", "\"string\""), ("id", "\"long\"")], "02 61 02", "1 a"),
        (&[("id", "\"int\"")], "02", "1 null"),
        (&[], "", "null null"),
        (
            &[("extra", "\"double\""), ("name", "\"string\""), ("more", "\"boolean\""), ("id", "\"long\"")],
            "00 00 00 00 00 00 00 00 02 61 01 02",
            "1 a",
        ),
    ] {
        assert_eq!(decode(&record_of(fields), &columns, &unhex(payload)).as_deref(), Ok(shown));
    }
}

#[test]
fn names_match_exactly_or_in_upper_case() {
    let two = layout(&[("id", DataType::Int32), ("ID", DataType::Int32)]);
    let read = |fields: &[&str], payload| {
        let fields: Vec<_> = fields.iter().map(|name| (*name, "\"int\"")).collect();
        decode(&record_of(&fields), &two, &unhex(payload))
    };
    assert_eq!(read(&["id", "ID"], "02 04").as_deref(), Ok("1 2"));
    assert_eq!(read(&["id"], "02").as_deref(), Ok("1 1"), "a field may belong to two columns");
    assert_eq!(read(&["Id"], "02").as_deref(), Ok("null 1"));
    assert_eq!(read(&["Id", "iD"], "02 04").as_deref(), Ok("null 1"), "the first one wins");
}

/// What [`infer`] takes a column's type from is what the column is read from.
#[test]
fn a_column_is_read_from_the_field_that_it_is_inferred_from() {
    let inner = record_of(&[("a", "\"int\""), ("A", "\"string\"")]);
    for (fields, columns, row) in [
        (&[("a", "\"int\""), ("A", "\"string\"")][..], "A STRING", "x"),
        (&[("aB", "\"int\""), ("Ab", "\"string\"")], "AB INT", "7"),
        (&[("A", "\"int\""), ("a", "\"string\"")], "A INT", "7"),
        (&[("a", "\"int\""), ("A", "\"string\""), ("none", "\"null\"")], "A STRING", "x"),
    ] {
        assert_eq!(both(&record_of(fields), "0e 02 78"), (columns.to_owned(), row.to_owned()), "{fields:?}");
    }
    let outer = format!(r#"{{"type": "record", "name": "O", "fields": [{{"name": "n", "type": {inner}}}]}}"#);
    assert_eq!(both(&outer, "0e 02 78"), ("N STRUCT<A STRING>".to_owned(), "{A: x}".to_owned()));
}

/// The columns that are inferred for a schema, and a payload that is read into them.
fn both(text: &str, payload: &str) -> (String, String) {
    let inferred = infer(&schema(text), Names::Upper, "ROWVAL");
    let column = |field: &FieldRef| format!("{} {}", field.name(), sql_name(field.data_type()));
    let columns: Vec<_> = inferred.fields.iter().map(column).collect();
    (columns.join(", "), decode(text, &Layout::of(inferred.fields), &unhex(payload)).unwrap())
}

/// Aliases are for readers of a schema: those of the writer say nothing of the columns.
#[test]
fn aliases_of_the_writer_are_not_columns() {
    let later = r#"{"type": "record", "name": "R", "fields": [
        {"name": "fullName", "aliases": ["name"], "type": "string"}, {"name": "id", "type": "int"}]}"#;
    let columns = layout(&[("NAME", DataType::Utf8), ("FULLNAME", DataType::Utf8), ("ID", DataType::Int32)]);
    assert_eq!(decode(later, &columns, &unhex("02 61 02")).as_deref(), Ok("null a 1"));
    let earlier = r#"{"type": "record", "name": "R", "fields": [
        {"name": "name", "type": "string", "default": "none"}, {"name": "id", "type": "int"}]}"#;
    assert_eq!(decode_as(earlier, later, "02 61 02"), "none 1");
}

#[test]
fn types_are_promoted_at_every_depth() {
    let inner = record_of(&[("x", "\"float\""), ("y", "[\"null\", \"int\"]")]);
    let schema = format!(
        r#"{{"type": "record", "name": "Outer", "fields": [
        {{"name": "rows", "type": {{"type": "array", "items": {inner}}}}},
        {{"name": "skipped", "type": {{"type": "map", "values": "R"}}}}]}}"#
    );
    let item = record(&[("Y", DataType::Int64), ("X", DataType::Float64)]);
    let payload = unhex("04 00 00 80 3f 02 04 00 00 80 3f 00 00 02 02 61 00 00 80 3f 02 04 00");
    let columns = layout(&[("ROWS", array(item))]);
    assert_eq!(decode(&schema, &columns, &payload).as_deref(), Ok("[{Y: 2, X: 1.0}, {Y: null, X: 1.0}]"));
}

/// Decodes a payload of the writer's schema into the columns of the reader's.
fn decode_as(reader: &str, writer: &str, payload: &str) -> String {
    let schema = |text: &str| Schema { kind: SchemaKind::Avro, text: text.into(), references: Vec::new() };
    let columns = infer(&AvroSchema::parse_text(reader).unwrap(), Names::Upper, "ROWVAL");
    let taken_from = WriterSchema { id: Some(1), schema: Arc::new(schema(reader)), full_name: None };
    let layout = Layout { wrapped: columns.is_record, reader: Some(taken_from.into()), ..Layout::of(columns.fields) };
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let payload = unhex(&format!("00 00 00 00 07 {payload}"));
    let read = |projection: &[usize]| {
        let mut decoder = decoder(&layout, projection).unwrap();
        decoder.learn(7, Ok(Arc::new(schema(writer))));
        row(&mut *decoder, &payload).unwrap()
    };
    let whole = read(&all);
    let alone: Vec<_> = all.iter().map(|field| read(&[*field])).collect();
    assert_eq!(alone.join(" "), whole);
    whole
}

#[test]
fn fields_of_later_versions_have_their_defaults() {
    let later = |field: &str| {
        let id = r#"{"name": "id", "type": "int"}"#;
        decode_as(
            &format!(r#"{{"type": "record", "name": "R", "fields": [{id}, {field}]}}"#),
            &record_of(&[("id", "\"int\"")]),
            "02",
        )
    };
    for (kind, default, shown) in [
        (r#""string""#, r#""NL""#, "1 NL"),
        (r#""long""#, "-5", "1 -5"),
        (r#""double""#, "2", "1 2.0"),
        (r#""boolean""#, "true", "1 true"),
        (r#"["null", "string"]"#, "null", "1 null"),
        (r#"["string", "null"]"#, r#""a""#, "1 a"),
        (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, r#""B""#, "1 B"),
        (r#"{"type": "array", "items": "int"}"#, "[1, 2]", "1 [1, 2]"),
        (r#"{"type": "array", "items": "int"}"#, "[]", "1 []"),
        (r#"{"type": "map", "values": "int"}"#, r#"{"a": 1}"#, "1 {a: 1}"),
        (r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#, r#""\u0001\u0000""#, "1 2.56"),
        (r#"{"type": "int", "logicalType": "date"}"#, "1", "1 1970-01-02"),
        (
            r#"{"type": "record", "name": "N", "fields": [{"name": "x", "type": "int", "default": 7},
                {"name": "y", "type": "string"}]}"#,
            r#"{"y": "b"}"#,
            "1 {X: 7, Y: b}",
        ),
        // Java's library refuses such a schema; the column is null, and no record is lost.
        (r#""int""#, r#""one""#, "1 null"),
    ] {
        assert_eq!(later(&format!(r#"{{"name": "f", "type": {kind}, "default": {default}}}"#)), shown, "{kind}");
    }
    assert_eq!(later(r#"{"name": "f", "type": "int"}"#), "1 null", "without a default");
}

#[test]
fn defaults_hold_at_every_depth() {
    let of = |fields: &str, more: &str| {
        let inner = format!(r#"{{"type": "record", "name": "I", "fields": [{fields}]}}"#);
        let outer = format!(
            r#"{{"name": "rows", "type": {{"type": "array", "items": {inner}}}}},
            {{"name": "named", "type": {{"type": "map", "values": "I"}}}},
            {{"name": "one", "type": ["null", "I"]}}, {{"name": "either", "type": ["null", "I", "string"]}}"#
        );
        format!(r#"{{"type": "record", "name": "R", "fields": [{outer}{more}]}}"#)
    };
    let (a, b) = (r#"{"name": "a", "type": "int"}"#, r#"{"name": "b", "type": "int", "default": 9}"#);
    let shown = decode_as(&of(&format!("{a}, {b}"), ""), &of(a, ""), "02 02 00 02 02 6b 04 00 02 06 02 08");
    assert_eq!(shown, "[{A: 1, B: 9}] {k: {A: 2, B: 9}} {A: 3, B: 9} {I: {A: 4, B: 9}, STRING: null}");
}

#[test]
fn aliases_of_later_versions_name_earlier_fields() {
    let later = r#"{"type": "record", "name": "R", "fields": [
        {"name": "customerId", "aliases": ["custId", "cust"], "type": "int", "default": 0},
        {"name": "note", "type": "string", "default": "none"}]}"#;
    for (fields, payload, shown) in [
        (&[("custId", "\"int\"")][..], "02", "1 none"),
        (&[("cust", "\"int\""), ("note", "\"string\"")], "02 02 61", "1 a"),
        (&[("customerId", "\"int\""), ("cust", "\"int\"")], "02 04", "1 none"),
        (&[("other", "\"int\"")], "02", "0 none"),
    ] {
        assert_eq!(decode_as(later, &record_of(fields), payload), shown, "{fields:?}");
    }
}

/// A key that is a record as one column.
#[test]
fn defaults_hold_in_a_bare_value() {
    let later = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"},
        {"name": "b", "type": "string", "default": "x"}]}"#;
    let schema = |text: &str| Schema { kind: SchemaKind::Avro, text: text.into(), references: Vec::new() };
    let taken_from = WriterSchema { id: Some(1), schema: Arc::new(schema(later)), full_name: None };
    let key = record(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    let layout = Layout { wrapped: false, reader: Some(taken_from.into()), ..layout(&[("K", key)]) };
    let mut decoder = decoder(&layout, &[0]).unwrap();
    decoder.learn(7, Ok(Arc::new(schema(&record_of(&[("a", "\"int\"")])))));
    assert_eq!(row(&mut *decoder, &unhex("00 00 00 00 07 02")).as_deref(), Ok("{A: 1, B: x}"));
}

/// A record with one field `v`.
fn with_v(kind: &str) -> String {
    record_of(&[("v", kind)])
}

#[test]
fn a_branch_of_a_union_is_resolved_by_the_reader() {
    let named = |name: &str, aliases: &str, more: &str| {
        format!(
            r#"{{"type": "record", "name": "{name}", "aliases": [{aliases}],
            "fields": [{{"name": "q", "type": "int"}}{more}]}}"#
        )
    };
    let (old, added) = (named("Old", "", ""), r#", {"name": "n", "type": "int", "default": 8}"#);
    let renamed = format!(r#"["null", "string", {}]"#, named("New", r#""x.Old""#, added));
    for (reader, writer, payload, shown) in [
        (r#"["long", "string", "boolean"]"#, r#"["int", "string"]"#, "00 0a", "{LONG: 5, STRING: null, BOOLEAN: null}"),
        (r#"["double", "long"]"#, r#"["int", "long"]"#, "00 0a", "{DOUBLE: 5.0, LONG: null}"),
        (r#"["double", "long"]"#, r#"["int", "long"]"#, "02 0a", "{DOUBLE: null, LONG: 5}"),
        (r#"["int", "string"]"#, r#""string""#, "02 73", "{INT: null, STRING: s}"),
        (r#"["int", "bytes"]"#, r#"["null", "string"]"#, "02 02 73", "{INT: null, BYTES: 73}"),
        (r#"["int", "bytes"]"#, r#"["null", "string"]"#, "00", "null"),
        (&renamed, &format!(r#"["null", "string", {old}]"#), "04 02", "{STRING: null, NEW: {Q: 1, N: 8}}"),
        (&renamed, &old, "02", "{STRING: null, NEW: {Q: 1, N: 8}}"),
        // A union of the writer, a single type of the reader.
        (r#""double""#, r#"["int", "double"]"#, "00 0a", "5.0"),
        (&named("Old", "", added), &format!(r#"["int", {old}]"#), "02 02", "{Q: 1, N: 8}"),
    ] {
        assert_eq!(decode_as(&with_v(reader), &with_v(writer), payload), shown, "{reader} of {writer}");
    }
}

/// Records of other types may be in a topic: they are read by the names of their fields, and defaults are not theirs.
#[test]
fn defaults_are_for_records_of_the_same_name() {
    let record = |name: &str, more: &str| {
        format!(r#"{{"type": "record", "name": "{name}", "fields": [{{"name": "id", "type": "int"}}{more}]}}"#)
    };
    let reader = record("n.A", r#", {"name": "x", "type": "string", "default": "ax"}"#);
    assert_eq!(decode_as(&reader, &record("A", ""), "02"), "1 ax");
    assert_eq!(decode_as(&reader, &record("m.A", ""), "02"), "1 ax", "namespaces do not count");
    assert_eq!(decode_as(&reader, &record("n.B", ""), "02"), "1 null");
}

/// The aliases of a reader rename the fields of the writer, even to names that others had.
#[test]
fn aliases_may_exchange_names() {
    let written = record_of(&[("a", "\"int\""), ("b", "\"int\"")]);
    let field = |name: &str, alias: &str| {
        let aliases = if alias.is_empty() { String::new() } else { format!(r#""aliases": ["{alias}"], "#) };
        format!(r#"{{"name": "{name}", {aliases}"type": "int", "default": 0}}"#)
    };
    for (fields, shown) in [
        ([("b", "a"), ("c", "b")], "1 2"),
        ([("c", "a"), ("a", "b")], "1 2"),
        ([("a", "b"), ("b", "a")], "2 1"),
        ([("c", "a"), ("a", "")], "1 0"),
        ([("b", "a"), ("x", "")], "2 0"),
    ] {
        let fields: Vec<_> = fields.iter().map(|(name, alias)| field(name, alias)).collect();
        let reader = format!(r#"{{"type": "record", "name": "R", "fields": [{}]}}"#, fields.join(", "));
        assert_eq!(decode_as(&reader, &written, "02 04"), shown, "{reader}");
    }
}

#[test]
fn the_reader_says_what_plain_values_mean() {
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    let millis = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;
    let fixed = |logical: &str| format!(r#"{{"type": "fixed", "name": "F", "size": 2{logical}}}"#);
    let of_fixed = fixed(r#", "logicalType": "decimal", "precision": 4, "scale": 2"#);
    for (reader, writer, payload, shown) in [
        (millis, r#""int""#, "0a", "1970-01-01T00:00:00.005"),
        (
            &format!(r#"["null", "string", {millis}]"#),
            r#""int""#,
            "0a",
            "{STRING: null, LONG: 1970-01-01T00:00:00.005}",
        ),
        (decimal, r#""bytes""#, "04 01 00", "2.56"),
        (decimal, r#""string""#, "04 01 00", "2.56"),
        (&format!(r#"["null", {decimal}]"#), r#"["string", "bytes"]"#, "02 04 01 00", "2.56"),
        (&of_fixed, &fixed(""), "01 00", "2.56"),
    ] {
        assert_eq!(decode_as(&with_v(reader), &with_v(writer), payload), shown, "{reader} of {writer}");
    }
}

#[test]
fn a_symbol_that_the_reader_lacks_is_its_default() {
    let of = |symbols: &str, more: &str| {
        let symbols = format!(r#"{{"type": "enum", "name": "E", "symbols": [{symbols}]{more}}}"#);
        format!(r#"{{"type": "array", "items": {symbols}}}"#)
    };
    let written = with_v(&of(r#""A", "B""#, ""));
    let reader = with_v(&of(r#""A", "OTHER""#, r#", "default": "OTHER""#));
    assert_eq!(decode_as(&reader, &written, "04 00 02 00"), "[A, OTHER]");
    let without = with_v(&of(r#""A""#, ""));
    assert_eq!(decode_as(&without, &written, "04 00 02 00"), "[A, B]", "a text holds any symbol");
}
