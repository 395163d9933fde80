//! Records that were written with other versions of a schema.

use arrow::datatypes::{DataType, FieldRef};

use super::super::super::testing::{array, layout, record};
use super::super::super::{Layout, Names, sql_name};
use super::super::infer;
use super::{decode, schema, unhex};

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

#[test]
fn renamed_fields_keep_their_columns() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "fullName", "aliases": ["name"], "type": "string"}, {"name": "id", "type": "int"}]}"#;
    let payload = unhex("02 61 02");
    let columns = layout(&[("NAME", DataType::Utf8), ("FULLNAME", DataType::Utf8), ("ID", DataType::Int32)]);
    assert_eq!(decode(schema, &columns, &payload).as_deref(), Ok("a a 1"));
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
