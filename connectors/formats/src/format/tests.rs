//! What holds for every format: names, capabilities, and the small formats whole.

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::DataType;

use super::testing::{TIME, TIMESTAMP, again, array, bare, decode, layout, map, record};
use super::{FormatError, FormatKind, Layout, parse_delimiter};
use crate::record::Side;
use crate::schema::SchemaKind;

use FormatKind::{Avro, Delimited, Json, JsonSr, Kafka, None as NoneFormat, Protobuf, ProtobufNosr};

#[test]
fn names_are_read_in_any_case() {
    for kind in FormatKind::ALL {
        assert_eq!(kind.to_string().to_lowercase().parse(), Ok(kind));
    }
    let refused = |name: &str| name.parse::<FormatKind>().unwrap_err();
    assert_eq!(refused("json_schema"), FormatError::NotYet("JSON_SCHEMA".into()));
    assert_eq!(refused("json_schema").to_string(), "format JSON_SCHEMA is not supported yet");
    assert_eq!(refused("jsno").hint().as_deref(), Some("Did you mean JSON?"));
    assert_eq!(refused("xml").to_string(), "format \"xml\" does not exist");
    let all = "The formats are JSON, AVRO, PROTOBUF, JSON_SR, DELIMITED, KAFKA, PROTOBUF_NOSR, NONE.";
    assert_eq!(refused("xml").hint().as_deref(), Some(all));
}

#[test]
fn formats_say_what_they_can() {
    // The schemas, whether a single value can be a record, and is one in a key and in a value by default, and whether
    // null can be told from a default.
    for (kind, schemas, wraps, in_key, in_value, has_presence) in [
        (Json, None, true, false, true, false),
        (Avro, Some(SchemaKind::Avro), true, false, true, false),
        (JsonSr, Some(SchemaKind::Json), true, false, true, false),
        (Protobuf, Some(SchemaKind::Protobuf), true, true, true, true),
        (ProtobufNosr, None, true, true, true, true),
        (Delimited, None, false, false, false, false),
        (Kafka, None, false, false, false, false),
    ] {
        assert_eq!(kind.schema_kind(), schemas, "{kind}");
        assert_eq!(FormatKind::is_registered(&kind.to_string().to_lowercase()), schemas.is_some(), "{kind}");
        assert_eq!(kind.supports_wrapping(), wraps, "{kind}");
        assert_eq!(kind.wraps_by_default(Side::Key), in_key, "{kind}");
        assert_eq!(kind.wraps_by_default(Side::Value), in_value, "{kind}");
        assert_eq!(kind.always_wraps(), in_key, "{kind}");
        assert_eq!(kind.supports_presence(), has_presence, "{kind}");
        assert!(kind.supports_side(Side::Key) && kind.supports_side(Side::Value), "{kind}");
        assert!(!FormatKind::is_unbuilt(&kind.to_string()), "{kind}");
        let is_any = kind.takes_any_payload(&bare(DataType::Utf8));
        assert_eq!(is_any, kind == Kafka, "{kind}");
    }
    assert!(FormatKind::is_unbuilt("json_schema") && !FormatKind::is_registered("json_schema"));
}

/// A MAP with keys that are not texts.
fn int_map() -> DataType {
    DataType::Map(
        std::sync::Arc::new(arrow::datatypes::Field::new(
            "entries",
            record(&[("key", DataType::Int32), ("value", DataType::Int32)]),
            false,
        )),
        false,
    )
}

/// A single column without a record.
fn one(kind: DataType) -> Layout {
    Layout { wrapped: false, ..layout(&[("A", kind)]) }
}

#[test]
fn what_registered_formats_cannot_hold_is_named() {
    for (kind, layout, side, reason) in [
        (
            Avro,
            one(int_map()),
            Side::Value,
            "format AVRO cannot hold value column \"A\" of type MAP<INT, INT>: its maps have STRING keys",
        ),
        (Avro, layout(&[("A", DataType::Int32)]), Side::Key, "format AVRO cannot wrap a single key column"),
        (
            JsonSr,
            one(map(DataType::Int32)),
            Side::Key,
            "key column \"A\" has the type MAP<STRING, INT>: a key cannot contain a MAP",
        ),
        (Protobuf, one(DataType::Int32), Side::Value, "format PROTOBUF always wraps a single value column"),
        (
            Protobuf,
            layout(&[("A", array(array(DataType::Int32)))]),
            Side::Value,
            "format PROTOBUF cannot hold value column \"A\" of type ARRAY<ARRAY<INT>>: its arrays contain neither an \
             ARRAY nor a MAP",
        ),
    ] {
        assert_eq!(kind.check(&layout, side).unwrap_err().to_string(), reason);
    }
}

#[test]
fn what_a_format_cannot_hold_is_named() {
    let two = layout(&[("A", DataType::Int32), ("B", DataType::Int32)]);
    let int_map = one(int_map());
    for (kind, layout, side, reason) in [
        (NoneFormat, layout(&[]), Side::Value, "format NONE holds no columns, so it cannot be used for the value"),
        (
            NoneFormat,
            two.clone(),
            Side::Key,
            "format NONE holds no columns, but there are key columns: \"A\" INT, \"B\" INT",
        ),
        (Kafka, two.clone(), Side::Value, "format KAFKA holds exactly one value column, not \"A\" INT, \"B\" INT"),
        (Kafka, one(DataType::Boolean), Side::Key, "format KAFKA cannot hold key column \"A\" of type BOOLEAN"),
        (Kafka, layout(&[("A", DataType::Int32)]), Side::Value, "format KAFKA cannot wrap a single value column"),
        (Json, layout(&[("A", DataType::Int32)]), Side::Key, "format JSON cannot wrap a single key column"),
        (
            Delimited,
            one(array(DataType::Int32)),
            Side::Value,
            "format DELIMITED cannot hold value column \"A\" of type ARRAY<INT>",
        ),
        (
            Json,
            one(record(&[("M", map(DataType::Int32))])),
            Side::Key,
            "key column \"A\" has the type STRUCT<M MAP<STRING, INT>>: a key cannot contain a MAP",
        ),
        (
            Json,
            int_map.clone(),
            Side::Value,
            "format JSON cannot hold value column \"A\" of type MAP<INT, INT>: its maps have STRING keys",
        ),
        (ProtobufNosr, one(DataType::Int32), Side::Key, "format PROTOBUF_NOSR always wraps a single key column"),
        (
            ProtobufNosr,
            layout(&[("A", array(map(DataType::Int32)))]),
            Side::Value,
            "format PROTOBUF_NOSR cannot hold value column \"A\" of type ARRAY<MAP<STRING, INT>>: its arrays contain \
             neither an ARRAY nor a MAP",
        ),
        (
            ProtobufNosr,
            Layout { wrapped: true, ..int_map.clone() },
            Side::Value,
            "format PROTOBUF_NOSR cannot hold value column \"A\" of type MAP<INT, INT>: its maps have STRING keys",
        ),
        (
            Delimited,
            Layout { delimiter: b'"', ..two.clone() },
            Side::Value,
            "'\"' cannot be the delimiter of format DELIMITED",
        ),
    ] {
        assert_eq!(kind.check(&layout, side).unwrap_err().to_string(), reason);
    }
    for (kind, layout, side) in [
        (NoneFormat, layout(&[]), Side::Key),
        (Kafka, layout(&[]), Side::Key),
        (Kafka, one(DataType::Utf8), Side::Value),
        (Json, layout(&[("A", map(array(TIME)))]), Side::Value),
        (Json, two.clone(), Side::Key),
        (Delimited, two.clone(), Side::Key),
        (ProtobufNosr, layout(&[("A", DataType::Int32)]), Side::Key),
        (Protobuf, layout(&[("A", DataType::Int32)]), Side::Key),
        (Avro, one(DataType::Int32), Side::Key),
        (Avro, layout(&[("A", map(array(TIME)))]), Side::Value),
        (JsonSr, one(array(map(TIME))), Side::Value),
        (ProtobufNosr, layout(&[("A", map(array(TIME)))]), Side::Value),
    ] {
        assert_eq!(kind.check(&layout, side), Ok(()), "{kind} {side}");
    }
}

#[test]
fn fields_that_do_not_exist_or_come_twice_are_refused() {
    let layout = layout(&[("A", DataType::Int32)]);
    assert!(Json.decoder(&layout, &[1]).is_err());
    assert!(Json.decoder(&layout, &[0, 0]).is_err());
}

#[test]
fn delimiters_have_names() {
    assert_eq!(parse_delimiter("space"), Ok(b' '));
    assert_eq!(parse_delimiter("TAB"), Ok(b'\t'));
    assert_eq!(parse_delimiter("|"), Ok(b'|'));
    for wrong in ["", "||", "\"", "\n", "\u{e9}"] {
        assert!(parse_delimiter(wrong).is_err(), "{wrong:?}");
    }
}

fn delimited() -> Layout {
    layout(&[
        ("B", DataType::Boolean),
        ("I", DataType::Int32),
        ("L", DataType::Int64),
        ("D", DataType::Float64),
        ("C", DataType::Decimal128(4, 2)),
        ("S", DataType::Utf8),
        ("Y", DataType::Binary),
        ("DT", DataType::Date32),
        ("T", TIME),
        ("TS", TIMESTAMP),
    ])
}

#[test]
fn delimited_reads_and_writes_each_type() {
    let all: Vec<_> = (0..10).collect();
    let line = "true,-1,9007199254740993,1.0E10,0.05,\"a,\"\"b\",AAE=,-1,5,1700000000000";
    let shown = "true -1 9007199254740993 10000000000.0 0.05 a,\"b 0001 1969-12-31 00:00:00.005 2023-11-14T22:13:20";
    assert_eq!(decode(Delimited, &delimited(), &all, line.as_bytes()).as_deref(), Ok(shown));
    assert_eq!(again(Delimited, &delimited(), line.as_bytes()), line);
    assert_eq!(decode(Delimited, &delimited(), &[5, 1], line.as_bytes()).as_deref(), Ok("a,\"b -1"));
    let empty = ",\"\",,,,,,,,\n";
    assert_eq!(decode(Delimited, &delimited(), &all, empty.as_bytes()).unwrap(), ["null"; 10].join(" "));
    assert_eq!(again(Delimited, &delimited(), empty.as_bytes()), ",,,,,,,,,");
    let alone = layout(&[("S", DataType::Utf8)]);
    assert_eq!(again(Delimited, &alone, b"\"\""), "\"\"", "an empty line would be no record");
    assert_eq!(decode(Delimited, &delimited(), &[0], b"yes,,,,,,,,,").as_deref(), Ok("false"));
}

#[test]
fn delimited_refuses_what_does_not_fit() {
    let read = |payload: &[u8]| decode(Delimited, &delimited(), &(0..10).collect::<Vec<_>>(), payload).unwrap_err();
    for (payload, reason) in [
        (&b""[..], "expected 10 fields, found 0"),
        (b"true,1", "expected 10 fields, found 2"),
        (b",,,,,,,,,,", "expected 10 fields, found 11"),
        (b",1.5,,,,,,,,", "field 2 (I): the text is not a valid INT"),
        (b",, 1,,,,,,,", "field 3 (L): the text is not a valid BIGINT"),
        (b",,,x,,,,,,", "field 4 (D): the text is not a valid DOUBLE"),
        (b",,,,100,,,,,", "field 5 (C): the number does not fit DECIMAL(4, 2)"),
        (b",\xff,,,,,,,,", "field 2 (I): the text is not a valid INT"),
        (b",,,,,,*,,,", "field 7 (Y): the text is not valid base64"),
        (b",,,,,,,2020-01-01,,", "field 8 (DT): the text is not a number of days"),
        (b",,,,,,,,86400000,", "field 9 (T): a TIME must be between 0 and 86399999 milliseconds"),
        (b",,,,,\"x,,,,", "the quote opened at byte 5 is not closed"),
        (b",,,,,\"x\"y,,,,", "text after a closing quote at byte 8"),
    ] {
        assert_eq!(read(payload), reason, "{}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn delimited_checks_the_fields_that_nobody_reads() {
    for (payload, reason) in [
        (&b"true,x,,,,,,,,"[..], "field 2 (I): the text is not a valid INT"),
        (b"true,,,,100,,,,,", "field 5 (C): the number does not fit DECIMAL(4, 2)"),
        (b"true,,,,,,AAE,,,", "field 7 (Y): the text is not valid base64"),
        (b"true,,,,,,,,86400000,", "field 9 (T): a TIME must be between 0 and 86399999 milliseconds"),
    ] {
        for projection in [&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[0], &[]] {
            assert_eq!(decode(Delimited, &delimited(), projection, payload).unwrap_err(), reason);
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters_in_text() {
    let two = layout(&[("I", DataType::Int32), ("S", DataType::Utf8)]);
    assert_eq!(decode(Delimited, &two, &[0, 1], b"1,Montr\xe9al").as_deref(), Ok("1 Montr\u{fffd}al"));
    assert_eq!(decode(Delimited, &two, &[1], b"1,\"\xe2\x82,\"").as_deref(), Ok("\u{fffd},"));
    assert_eq!(decode(Kafka, &bare(DataType::Utf8), &[0], b"\xed\xa0\x80\xff").as_deref(), Ok("\u{fffd}\u{fffd}"));
    assert_eq!(decode(Kafka, &bare(DataType::Binary), &[0], b"\xff").as_deref(), Ok("ff"));
}

#[test]
fn delimited_takes_other_delimiters_and_quotes_by_them() {
    let layout = Layout { delimiter: b'|', ..layout(&[("A", DataType::Utf8), ("B", DataType::Utf8)]) };
    assert_eq!(decode(Delimited, &layout, &[0, 1], b"a,b|c").as_deref(), Ok("a,b c"));
    for line in ["a,b|c", "\"a|b\"|c", "\" x\"|\"y \"", "|x", "\"-1\"|-1", "\"#a\"|\"#b\"", "\"a\nb\"|c"] {
        assert_eq!(again(Delimited, &layout, line.as_bytes()), line);
    }
}

#[test]
fn kafka_is_what_its_serializers_write() {
    for (kind, payload, shown) in [
        (DataType::Int32, &[0xFF, 0xFF, 0xFF, 0xFE][..], "-2"),
        (DataType::Int64, &[0, 0, 0, 0, 0, 0, 1, 0], "256"),
        (DataType::Float64, &[0x3F, 0xF8, 0, 0, 0, 0, 0, 0], "1.5"),
        (DataType::Utf8, "h\u{e9}".as_bytes(), "h\u{e9}"),
        (DataType::Utf8, b"", ""),
        (DataType::Binary, &[0, 255], "00ff"),
    ] {
        let layout = bare(kind.clone());
        assert_eq!(decode(Kafka, &layout, &[0], payload).as_deref(), Ok(shown));
        let decoded = Kafka.decoder(&layout, &[0]).unwrap().decode(&BinaryArray::from(vec![Some(payload), None]));
        let encoded = Kafka.encoder(&layout).unwrap().encode(&decoded.columns, 2, None);
        assert_eq!(encoded.payloads, BinaryArray::from(vec![Some(payload), None]));
    }
    let read = |kind, payload: &[u8]| decode(Kafka, &bare(kind), &[0], payload).unwrap_err();
    assert_eq!(read(DataType::Int32, b"12345678"), "INT takes 4 bytes, but the payload has 8");
    assert_eq!(read(DataType::Int64, b""), "BIGINT takes 8 bytes, but the payload has 0");
    assert_eq!(read(DataType::Float64, b"1.5"), "DOUBLE takes 8 bytes, but the payload has 3");
    let unread = |kind, payload: &[u8]| decode(Kafka, &bare(kind), &[], payload);
    assert_eq!(unread(DataType::Float64, b"1.5").unwrap_err(), "DOUBLE takes 8 bytes, but the payload has 3");
    assert_eq!(unread(DataType::Int32, b"1234").as_deref(), Ok(""));
}

#[test]
fn none_has_no_columns_and_no_payloads() {
    let decoded = NoneFormat.decoder(&layout(&[]), &[]).unwrap().decode(&BinaryArray::from(vec![&b"x"[..]]));
    assert!(decoded.columns.is_empty() && decoded.bad.is_empty());
    assert_eq!(NoneFormat.encoder(&layout(&[])).unwrap().encode(&[], 2, None).payloads.null_count(), 2);
    assert!(NoneFormat.decoder(&layout(&[("A", DataType::Int32)]), &[]).is_err());
}
