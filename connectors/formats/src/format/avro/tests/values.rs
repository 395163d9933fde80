//! A value of each type in each type of column that can hold it.

use arrow::datatypes::DataType;

use super::super::super::testing::{TIME, TIMESTAMP, array, bare, map, record};
use super::{decode, unhex};

#[test]
fn each_type_becomes_a_column() {
    let entries = r#"{"type": "array", "items": {"type": "record", "name": "E", "connect.internal.type": "MapEntry",
        "fields": [{"name": "key", "type": ["null", "int"]}, {"name": "value", "type": "boolean"}]}}"#;
    let point =
        r#"{"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "long"}]}"#;
    for (schema, kind, payload, shown) in [
        (r#""boolean""#, DataType::Boolean, "01", "true"),
        (r#""int""#, DataType::Int32, "03", "-2"),
        (r#""int""#, DataType::Int32, "ff ff ff ff 0f", "-2147483648"),
        (r#""int""#, DataType::Int64, "80 01", "64"),
        (r#""int""#, DataType::Float64, "03", "-2.0"),
        (r#""int""#, DataType::Date32, "02", "1970-01-02"),
        (r#""int""#, TIME, "0a", "00:00:00.005"),
        (r#""long""#, DataType::Int64, "fe ff ff ff ff ff ff ff ff 01", "9223372036854775807"),
        (r#""long""#, DataType::Float64, "03", "-2.0"),
        (r#""long""#, TIMESTAMP, "01", "1969-12-31T23:59:59.999"),
        (r#""float""#, DataType::Float64, "00 00 c0 3f", "1.5"),
        (r#""double""#, DataType::Float64, "00 00 00 00 00 00 f8 3f", "1.5"),
        (r#""bytes""#, DataType::Binary, "04 00 ff", "00ff"),
        (r#""bytes""#, DataType::Utf8, "04 c3 a9", "\u{e9}"),
        (r#""string""#, DataType::Utf8, "04 c3 a9", "\u{e9}"),
        (r#""string""#, DataType::Binary, "04 c3 a9", "c3a9"),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, DataType::Binary, "00 ff", "00ff"),
        (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, DataType::Utf8, "02", "B"),
        (r#"{"type": "array", "items": "int"}"#, array(DataType::Int32), "04 02 04 00", "[1, 2]"),
        (r#"{"type": "array", "items": "int"}"#, array(DataType::Utf8), "03 04 02 04 02 06 00", "[1, 2, 3]"),
        (r#"{"type": "array", "items": "null"}"#, array(DataType::Utf8), "02 00", "[null]"),
        (r#"{"type": "map", "values": "int"}"#, map(DataType::Int32), "02 02 61 0a 02 02 62 0c 00", "{a: 5, b: 6}"),
        (entries, map(DataType::Boolean), "04 02 0a 01 02 0c 00 00", "{5: true, 6: false}"),
        (point, record(&[("X", DataType::Int32), ("Z", DataType::Utf8)]), "02 04", "{X: 1, Z: null}"),
        (r#"["null", "int"]"#, DataType::Int32, "02 0e", "7"),
        (r#"["int", "null"]"#, DataType::Int32, "00 0e", "7"),
        (r#"["null", "int"]"#, DataType::Int32, "00", "null"),
        (r#""null""#, DataType::Int32, "", "null"),
        (r#"["int", "string", "null"]"#, DataType::Utf8, "02 02 61", "a"),
        (r#"["int", "string", "null"]"#, DataType::Utf8, "00 0e", "7"),
        (r#"["int", "string", "null"]"#, DataType::Utf8, "04", "null"),
    ] {
        assert_eq!(decode(schema, &bare(kind.clone()), &unhex(payload)).as_deref(), Ok(shown), "{schema} as {kind}");
    }
}

/// Debezium's names for times are not logical types of Avro.
#[test]
fn times_of_debezium_become_columns() {
    for (encoding, name, kind, payload, shown) in [
        ("int", "Date", DataType::Date32, "02", "1970-01-02"),
        ("int", "Time", TIME, "0a", "00:00:00.005"),
        ("long", "MicroTime", TIME, "9e 4e", "00:00:00.005"),
        ("long", "Timestamp", TIMESTAMP, "04", "1970-01-01T00:00:00.002"),
        ("long", "MicroTimestamp", TIMESTAMP, "d0 0f", "1970-01-01T00:00:00.001"),
        ("long", "MicroTimestamp", DataType::Int64, "d0 0f", "1000"),
        ("long", "NanoTimestamp", TIMESTAMP, "80 89 7a", "1970-01-01T00:00:00.001"),
    ] {
        let schema = format!(r#"{{"type": "{encoding}", "connect.name": "io.debezium.time.{name}"}}"#);
        assert_eq!(decode(&schema, &bare(kind), &unhex(payload)).as_deref(), Ok(shown), "{schema}");
    }
}

/// Debezium writes times with a zone as texts.
#[test]
fn zoned_times_of_debezium_become_columns() {
    let read = |name: &str, kind: DataType, text: &str| {
        let schema = format!(r#"["null", {{"type": "string", "connect.name": "io.debezium.time.{name}"}}]"#);
        let payload = [&[2, 2 * text.len() as u8], text.as_bytes()].concat();
        decode(&schema, &bare(kind), &payload)
    };
    for (name, kind, text, shown) in [
        ("ZonedTimestamp", TIMESTAMP, "2024-02-29T10:11:12.123456Z", "2024-02-29T10:11:12.123"),
        ("ZonedTimestamp", TIMESTAMP, "2024-02-29T10:11:12+02:00", "2024-02-29T08:11:12"),
        ("ZonedTimestamp", TIMESTAMP, "1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999"),
        ("ZonedTimestamp", DataType::Utf8, "2024-02-29T10:11:12+02:00", "2024-02-29T10:11:12+02:00"),
        ("ZonedTime", TIME, "10:11:12.123456Z", "10:11:12.123"),
        ("ZonedTime", TIME, "01:00:00+02:00", "23:00:00"),
    ] {
        assert_eq!(read(name, kind, text).as_deref(), Ok(shown), "{name} {text}");
    }
    for (name, kind, text, reason) in [
        ("ZonedTimestamp", TIMESTAMP, "soon", "$: the text is not a timestamp in ISO 8601 with an offset (byte 1)"),
        ("ZonedTime", TIME, "10:11:12", "$: the text is not a time in ISO 8601 with an offset (byte 1)"),
        (
            "ZonedTime",
            TIMESTAMP,
            "10:11Z",
            "$: string (io.debezium.time.ZonedTime) cannot be read as TIMESTAMP (byte 1)",
        ),
    ] {
        assert_eq!(read(name, kind, text), Err(reason.to_owned()), "{name} {text}");
    }
    let infer = super::super::infer(
        &super::schema(r#"{"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}"#),
        crate::format::Names::Upper,
        "V",
    );
    assert_eq!(infer.fields, bare(DataType::Utf8).fields);
}

#[test]
fn logical_types_become_columns() {
    let typed = |encoding: &str, logical: &str| format!(r#"{{"type": "{encoding}", "logicalType": "{logical}"}}"#);
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    let fixed = r#"{"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 6, "scale": 2}"#;
    let open = r#"{"type": "bytes", "logicalType": "decimal"}"#;
    let connect = r#"{"type": "int", "connect.version": 1, "connect.name": "org.apache.kafka.connect.data.Date"}"#;
    let uuid = r#"{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}"#;
    let id = "00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff";
    for (schema, kind, payload, shown) in [
        (decimal, DataType::Decimal128(6, 2), "04 30 39", "123.45"),
        (decimal, DataType::Decimal128(6, 2), "02 ff", "-0.01"),
        (decimal, DataType::Decimal128(8, 4), "04 30 39", "123.4500"),
        (decimal, DataType::Decimal128(6, 1), "04 04 d8", "12.4"),
        (decimal, DataType::Decimal256(50, 2), "04 30 39", "123.45"),
        (decimal, DataType::Decimal128(6, 2), &format!("28 {} 30 39", "00 ".repeat(18)), "123.45"),
        (fixed, DataType::Decimal128(6, 2), "ff ff cf c7", "-123.45"),
        (open, DataType::Decimal256(64, 0), "04 30 39", "12345"),
        (&typed("int", "date"), DataType::Date32, "02", "1970-01-02"),
        (&typed("int", "date"), DataType::Int32, "02", "1"),
        (&typed("int", "date"), DataType::Utf8, "02", "1"),
        (connect, DataType::Date32, "02", "1970-01-02"),
        (&typed("int", "time-millis"), TIME, "0a", "00:00:00.005"),
        (&typed("long", "time-micros"), TIME, "9e 4e", "00:00:00.005"),
        (&typed("long", "timestamp-millis"), TIMESTAMP, "02", "1970-01-01T00:00:00.001"),
        (&typed("long", "timestamp-micros"), TIMESTAMP, "01", "1969-12-31T23:59:59.999"),
        (&typed("long", "timestamp-micros"), DataType::Int64, "01", "-1"),
        (&typed("long", "timestamp-nanos"), TIMESTAMP, "80 89 7a", "1970-01-01T00:00:00.001"),
        (&typed("long", "local-timestamp-millis"), TIMESTAMP, "02", "1970-01-01T00:00:00.001"),
        (&typed("long", "local-timestamp-micros"), TIMESTAMP, "d0 0f", "1970-01-01T00:00:00.001"),
        (&typed("string", "uuid"), DataType::Utf8, "02 61", "a"),
        (uuid, DataType::Utf8, id, "00112233-4455-6677-8899-aabbccddeeff"),
        (uuid, DataType::Binary, id, "00112233445566778899aabbccddeeff"),
    ] {
        assert_eq!(decode(schema, &bare(kind.clone()), &unhex(payload)).as_deref(), Ok(shown), "{schema} as {kind}");
    }
}

#[test]
fn scalars_become_texts_as_in_java() {
    for (schema, payload, shown) in [
        (r#""boolean""#, "01", "true"),
        (r#""int""#, "03", "-2"),
        (r#""long""#, "80 01", "64"),
        (r#""float""#, "cd cc 8c 3f", "1.1"),
        (r#""double""#, "00 00 00 20 5f a0 02 42", "1.0E10"),
    ] {
        assert_eq!(decode(schema, &bare(DataType::Utf8), &unhex(payload)).as_deref(), Ok(shown), "{schema}");
    }
}

#[test]
fn a_union_of_several_types_is_a_struct_or_what_all_of_them_are() {
    let union =
        r#"["null", "int", {"type": "record", "name": "a.b.Point", "fields": [{"name": "x", "type": "long"}]}]"#;
    let point = record(&[("X", DataType::Int64)]);
    let branches = record(&[("INT", DataType::Int32), ("POINT", point.clone())]);
    for (kind, payload, shown) in [
        (branches.clone(), "02 0e", "{INT: 7, POINT: null}"),
        (branches.clone(), "04 0e", "{INT: null, POINT: {X: 7}}"),
        (branches, "00", "null"),
        (point.clone(), "04 0e", "{X: 7}"),
    ] {
        assert_eq!(decode(union, &bare(kind), &unhex(payload)).as_deref(), Ok(shown), "{payload}");
    }
    let misfit = decode(union, &bare(point), &unhex("02 0e"));
    assert_eq!(misfit.unwrap_err(), "$: int cannot be read as STRUCT<X BIGINT> (byte 1)");
}

#[test]
fn the_last_of_equal_keys_wins() {
    let schema = r#"{"type": "map", "values": "int"}"#;
    let few = "06 02 61 02 02 62 04 02 61 06 00";
    assert_eq!(decode(schema, &bare(map(DataType::Int32)), &unhex(few)).as_deref(), Ok("{b: 2, a: 3}"));
    let mut many: Vec<u8> = (0..20).flat_map(|at| [2, 2, b'a' + at % 10, 2 * at]).collect();
    many.push(0);
    let shown = "{a: 10, b: 11, c: 12, d: 13, e: 14, f: 15, g: 16, h: 17, i: 18, j: 19}";
    assert_eq!(decode(schema, &bare(map(DataType::Int32)), &many).as_deref(), Ok(shown));
    let wrong = "04 02 61 02 02 61 80";
    assert!(decode(schema, &bare(map(DataType::Int32)), &unhex(wrong)).is_err(), "an entry that loses must be good");
}
