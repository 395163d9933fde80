//! Bad payloads: what is wrong and where; and what is in front of payloads.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::datatypes::DataType;

use super::super::super::Layout;
use super::super::super::testing::{TIME, TIMESTAMP, array, bare, layout, map, record};
use super::super::{bare_decoder, decoder};
use super::{decode, row, schema, unhex};
use crate::schema::{Schema, SchemaKind};

const ROW: &str = r#"{"type": "record", "name": "R", "fields": [
    {"name": "id", "type": "int"},
    {"name": "name", "type": ["null", "string"]},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "sizes", "type": {"type": "map", "values": "boolean"}},
    {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
    {"name": "more", "type": {"type": "array", "items": "long"}}]}"#;

fn columns() -> Layout {
    layout(&[
        ("ID", DataType::Int32),
        ("NAME", DataType::Utf8),
        ("TAGS", array(DataType::Utf8)),
        ("SIZES", map(DataType::Boolean)),
        ("KIND", DataType::Utf8),
    ])
}

#[test]
fn bad_payloads_are_named() {
    let good = decode(ROW, &columns(), &unhex("02 02 02 61 02 02 62 00 02 02 63 01 00 02 02 08 00"));
    assert_eq!(good.as_deref(), Ok("1 a [b] {c: true} B"));
    for (payload, reason) in [
        ("", "$.id: the payload ends within a value (byte 0)"),
        ("80", "$.id: the payload ends within a value (byte 1)"),
        ("80 80 80 80 80 01", "$.id: the number is too long for an int (byte 0)"),
        ("80 80 80 80 10", "$.id: the number is too long for an int (byte 0)"),
        ("02", "$.name: the payload ends within a value (byte 1)"),
        ("02 04", "$.name: branch 2 does not exist in a union of 2 (byte 1)"),
        ("02 01", "$.name: branch -1 does not exist in a union of 2 (byte 1)"),
        ("02 02 04 61", "$.name: a value of 2 bytes does not fit in the 1 bytes that are left (byte 2)"),
        ("02 02 01", "$.name: the length -1 is negative (byte 2)"),
        ("02 02 04 61 ff", "$.name: the text is not UTF-8 (byte 4)"),
        ("02 00 02 02 ff", "$.tags[0]: the text is not UTF-8 (byte 4)"),
        ("02 00 04 02 61 05", "$.tags[1]: the length -3 is negative (byte 5)"),
        ("02 00 fe ff ff ff 0f 02", "$.tags: a block of 2147483647 items does not fit in the payload (byte 2)"),
        ("02 00 ff ff ff ff ff ff ff ff ff 01 02", "$.tags: a block of 1 bytes does not fit in the payload (byte 12)"),
        ("02 00 01 08 02 61 00", "$.tags: a block of 4 bytes does not fit in the payload (byte 3)"),
        ("02 00 00 02 02 61 02 00", "$.sizes[\"a\"]: a boolean is 0 or 1, not 2 (byte 6)"),
        ("02 00 00 02 02 ff 01 00", "$.sizes: the text is not UTF-8 (byte 5)"),
        ("02 00 00 00 04", "$.kind: symbol 2 does not exist in an enum of 2 (byte 4)"),
        ("02 00 00 00 00 04 80", "$.more: a block of 2 items does not fit in the payload (byte 5)"),
        ("02 00 00 00 00 02 80", "$.more[0]: the payload ends within a value (byte 7)"),
        ("02 00 00 00 00 00 07", "1 bytes follow the value (byte 6)"),
    ] {
        let found = decode(ROW, &columns(), &unhex(payload)).unwrap_err();
        assert!(found.contains(reason), "{payload}: {found}");
    }
}

/// An int has at most 5 bytes and a long 10, whether the field is read, checked or skipped, whatever is in front of it
/// and whatever follows.
#[test]
fn numbers_are_too_long_wherever_they_are() {
    for (kind, column, number, is_valid) in [
        ("int", DataType::Int32, "80 80 80 80 00", true),
        ("int", DataType::Int32, "ff ff ff ff 0f", true),
        ("int", DataType::Int32, "80 80 80 80 10", false),
        ("int", DataType::Int32, "80 80 80 80 80 00", false),
        ("int", DataType::Int32, "80 80 80 80 80 80 80 00", false),
        ("int", DataType::Int32, "80 80 80 80 80 80 80 80 00", false),
        ("long", DataType::Int64, "80 80 80 80 80 80 80 00", true),
        ("long", DataType::Int64, "80 80 80 80 80 80 80 80 80 01", true),
        ("long", DataType::Int64, "80 80 80 80 80 80 80 80 80 02", false),
        ("long", DataType::Int64, "80 80 80 80 80 80 80 80 80 80 00", false),
    ] {
        let text = format!(
            r#"{{"type": "record", "name": "R", "fields": [{{"name": "n", "type": "{kind}"}},
            {{"name": "tail", "type": "bytes"}}]}}"#
        );
        let columns = [layout(&[("N", column)]), layout(&[("TAIL", DataType::Binary)])];
        for tail in 0..12 {
            let payload = [unhex(number), vec![2 * tail], vec![0xff; tail.into()]].concat();
            for columns in &columns {
                let found = decode(&text, columns, &payload);
                let reason =
                    format!("$.n: the number is too long for {}", if kind == "int" { "an int" } else { "a long" });
                let expected = if is_valid { Ok(()) } else { Err(format!("{reason} (byte 0)")) };
                assert_eq!(found.map(drop), expected, "{kind} {number}, {tail} bytes behind it");
            }
        }
    }
}

#[test]
fn values_that_a_column_cannot_hold_are_bad() {
    let typed = |encoding: &str, logical: &str| format!(r#"{{"type": "{encoding}", "logicalType": "{logical}"}}"#);
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    for (schema, kind, payload, reason) in [
        (r#""string""#, DataType::Int32, "02 61", "$: string cannot be read as INT (byte 0)"),
        (r#""long""#, DataType::Int32, "02", "$: long cannot be read as INT (byte 0)"),
        (r#"["null", "string"]"#, DataType::Int32, "02 02 61", "$: string cannot be read as INT (byte 1)"),
        (decimal, DataType::Utf8, "02 61", "$: bytes (decimal) cannot be read as STRING (byte 0)"),
        (decimal, DataType::Decimal128(4, 2), "06 30 39 00", "$: the number does not fit DECIMAL(4, 2) (byte 0)"),
        (decimal, DataType::Decimal128(4, 1), "02 01", "$: the number does not fit DECIMAL(4, 1) (byte 0)"),
        (decimal, DataType::Decimal128(4, 1), "00", "$: a decimal has no bytes (byte 0)"),
        (r#""int""#, TIME, "01", "$: a TIME must be within a day (byte 0)"),
        (&typed("int", "time-millis"), DataType::Date32, "02", "$: int (time-millis) cannot be read as DATE (byte 0)"),
        (&typed("int", "date"), TIME, "02", "$: int (date) cannot be read as TIME (byte 0)"),
        (&typed("long", "time-micros"), TIMESTAMP, "02", "$: long (time-micros) cannot be read as TIMESTAMP (byte 0)"),
        (&typed("long", "timestamp-millis"), TIME, "02", "$: long (timestamp-millis) cannot be read as TIME (byte 0)"),
        (
            r#"{"type": "long", "logicalType": "time-micros"}"#,
            TIME,
            "80 80 bb dd 83 05",
            "$: a TIME must be within a day",
        ),
        (
            r#"{"type": "array", "items": "string"}"#,
            array(DataType::Int32),
            "02 02 61 00",
            "$[0]: string cannot be read",
        ),
    ] {
        let found = decode(schema, &bare(kind), &unhex(payload)).unwrap_err();
        assert!(found.starts_with(reason), "{schema}: {found}");
    }
    let empty = decode(r#"{"type": "array", "items": "string"}"#, &bare(array(DataType::Int32)), &[0]);
    assert_eq!(empty.as_deref(), Ok("[]"), "what is not there cannot misfit");
}

#[test]
fn a_payload_asks_for_no_more_room_than_it_is_worth() {
    let nulls = r#"{"type": "array", "items": "null"}"#;
    let two = unhex("fe ff ff ff 0f 00");
    let reason = "$: a block of 2147483647 items does not fit in the payload (byte 0)";
    assert_eq!(decode(nulls, &bare(array(DataType::Int32)), &two).unwrap_err(), reason);
    // What no column asks for needs no room.
    let row = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "skipped", "type": {nulls}}}]}}"#);
    let columns = layout(&[("A", DataType::Int32)]);
    assert_eq!(decode(&row, &columns, &two).as_deref(), Ok("null"));
    let with_bytes = unhex("ff ff ff ff 1f 02 00 fe ff ff ff 0f 00");
    assert_eq!(decode(&row, &columns, &with_bytes).as_deref(), Ok("null"));
    let beyond = decode(&row, &columns, &unhex("ff ff ff ff 1f 08 00")).unwrap_err();
    assert_eq!(beyond, "$.skipped: a block of 4 bytes does not fit in the payload (byte 5)");
}

/// Records that are doubled in each other and take no bytes are skipped at once.
#[test]
fn records_without_bytes_take_no_time() {
    let mut fields = r#"{"name": "f0", "type": {"type": "record", "name": "R0", "fields": []}}"#.to_owned();
    for at in 1..60 {
        let inner = at - 1;
        fields += &format!(
            r#", {{"name": "f{at}", "type": {{"type": "record", "name": "R{at}", "fields":
            [{{"name": "a", "type": "R{inner}"}}, {{"name": "b", "type": "R{inner}"}}]}}}}"#
        );
    }
    let schema = format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
    assert_eq!(decode(&schema, &layout(&[("A", DataType::Int32)]), &[]).as_deref(), Ok("null"));
    let nested = record(&[("A", record(&[("B", record(&[("C", DataType::Int32)]))]))]);
    assert_eq!(decode(&schema, &layout(&[("F59", nested)]), &[]).as_deref(), Ok("{A: {B: {C: null}}}"));
}

#[test]
fn recursion_is_skipped_up_to_a_depth() {
    let list = r#"{"type": "record", "name": "List", "fields":
        [{"name": "value", "type": "int"}, {"name": "next", "type": ["null", "List"]}]}"#;
    let chain = |links: usize| [vec![2; 2 * links], vec![4, 0]].concat();
    let value = layout(&[("VALUE", DataType::Int32)]);
    assert_eq!(decode(list, &value, &chain(200)).as_deref(), Ok("1"));
    let found = decode(list, &value, &chain(100_000)).unwrap_err();
    let start = format!("${}….value: values are nested", ".next".repeat(16));
    assert!(found.starts_with(&start.replace(".value", ".next")) && found.contains("more than 256 deep"), "{found}");
    let next = record(&[("NEXT", record(&[("VALUE", DataType::Int32)]))]);
    assert_eq!(decode(list, &layout(&[("NEXT", next)]), &chain(3)).as_deref(), Ok("{NEXT: {VALUE: 1}}"));
}

#[test]
fn blocks_of_a_known_size_are_skipped_whole() {
    // The texts in the block are not looked at: its size is enough.
    let payload = unhex("02 00 00 00 00 03 04 ff ff 00");
    assert_eq!(decode(ROW, &columns(), &payload).as_deref(), Ok("1 null [] {} A"));
}

fn registered(text: &str) -> Result<Arc<Schema>, String> {
    Ok(Arc::new(Schema { kind: SchemaKind::Avro, text: text.into(), references: Vec::new() }))
}

#[test]
fn each_payload_has_its_schema() {
    let mut decoder = decoder(&layout(&[("A", DataType::Int64)]), &[0]).unwrap();
    let record = |field: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{field}]}}"#);
    let payloads = ["00 00 00 00 07 02", "00 00 00 01 00 02 06", "00 00 00 00 07 04", "00 00 00 00 09 08", "00 00"];
    let payloads: BinaryArray = payloads.iter().map(|payload| Some(unhex(payload))).collect();
    assert_eq!(decoder.missing_schemas(&payloads), [7, 9, 256]);
    decoder.learn(7, registered(&record(r#"{"name": "a", "type": "int"}"#)));
    decoder.learn(256, registered(&record(r#"{"name": "b", "type": "int"}, {"name": "A", "type": "long"}"#)));
    assert_eq!(decoder.missing_schemas(&payloads), [9]);
    decoder.learn(9, Err("there is no schema with id 9".to_owned()));
    assert!(decoder.missing_schemas(&payloads).is_empty());
    let decoded = decoder.decode(&payloads);
    let shown: Vec<_> = (0..5).map(|row| super::shown(&decoded, row)).collect();
    assert_eq!(shown, ["1", "3", "2", "null", "null"]);
    let reasons: Vec<_> = decoded.bad.iter().map(|bad| (bad.row, &*bad.reason)).collect();
    assert_eq!(reasons, [(3, "there is no schema with id 9"), (4, "the payload ends within its schema id")]);
}

#[test]
fn payloads_without_a_known_schema_are_bad() {
    let mut decoder = decoder(&layout(&[("A", DataType::Int32), ("B", DataType::Int32)]), &[0]).unwrap();
    let mut bad = |payload: &str| row(&mut *decoder, &unhex(payload)).unwrap_err();
    assert_eq!(bad(""), "the payload is empty");
    assert_eq!(bad("00 00 00 00 01 02"), "the schema with id 1 is not known");
    assert!(bad("02 04").starts_with("the payload does not begin with a schema id"));
    assert!(bad("02 04").contains("VALUE_SCHEMA"));
    let mut learned = |id, schema| {
        decoder.learn(id, schema);
        row(&mut *decoder, &unhex(&format!("00 00 00 00 {id:02x} 02"))).unwrap_err()
    };
    let proto = Schema { kind: SchemaKind::Protobuf, text: "".into(), references: Vec::new() };
    assert_eq!(
        learned(1, Ok(Arc::new(proto))),
        "the schema with id 1 cannot be used: the schema is PROTOBUF, not AVRO"
    );
    assert!(learned(2, registered("{")).starts_with("the schema with id 2 cannot be used: the schema is not JSON"));
    assert_eq!(learned(3, registered("\"int\"")), "$: the payload is an int, not a record (byte 5)");
}

#[test]
fn a_root_that_is_null_is_no_row() {
    let union = r#"["null", {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}]"#;
    let columns = layout(&[("A", DataType::Int32)]);
    let mut decoder = bare_decoder(&columns, &[0], Arc::new(schema(union))).unwrap();
    let decoded = decoder.decode(&BinaryArray::from_vec(vec![&[0], &[2, 2], &[0]]));
    assert_eq!((decoded.bad.len(), decoded.absent), (0, vec![0, 2]));
    let mut bare = bare_decoder(&bare(DataType::Utf8), &[0], Arc::new(schema(r#"["int", "null", "string"]"#))).unwrap();
    let decoded = bare.decode(&BinaryArray::from_vec(vec![&[2], &[0, 2], &[4, 2, 97]]));
    assert_eq!((decoded.bad.len(), &*decoded.absent), (0, &[0][..]));
    assert_eq!((super::shown(&decoded, 1), super::shown(&decoded, 2)), ("1".into(), "a".into()));
}
