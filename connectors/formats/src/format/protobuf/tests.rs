//! Golden bytes of each type, what readers take of other writers, and payloads that are bad. Round trips and a peer are
//! in `tests/protobuf.rs`. `tests/registered.rs`, `tests/writing.rs` and `tests/columns.rs` are about registered schemas.

mod columns;
mod registered;
mod writing;

use arrow::array::BinaryArray;
use arrow::datatypes::DataType;

use super::super::testing::{TIME, TIMESTAMP, array, decode, layout, map, record};
use super::super::{FormatKind, Layout, Presence};

use FormatKind::{Json, ProtobufNosr};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Bytes in hexadecimal, and texts in quotes.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let byte = |byte: &str| u8::from_str_radix(byte, 16).unwrap();
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => part.split_whitespace().map(byte).collect(),
        _ => part.as_bytes().to_vec(),
    };
    text.split('\'').enumerate().flat_map(part).collect()
}

/// The row that a JSON object gives, as a payload; or why it cannot be written.
fn written(layout: &Layout, json: &str) -> Result<String, String> {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let decoded = Json.decoder(layout, &all).unwrap().decode(&BinaryArray::from_vec(vec![json.as_bytes()]));
    assert_eq!(decoded.bad, [], "{json}");
    let mut encoded = ProtobufNosr.encoder(layout).unwrap().encode(&decoded.columns, 1, None);
    match encoded.bad.pop() {
        Some(bad) => Err(bad.reason),
        None => Ok(hex(encoded.payloads.value(0))),
    }
}

fn read(layout: &Layout, payload: &str) -> Result<String, String> {
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let whole = decode(ProtobufNosr, layout, &all, &bytes(payload));
    let none = decode(ProtobufNosr, layout, &[], &bytes(payload));
    assert_eq!(whole.as_ref().err(), none.as_ref().err(), "{payload}: what is bad does not depend on the columns");
    whole
}

fn one(kind: DataType) -> Layout {
    layout(&[("V", kind)])
}

#[test]
fn each_type_has_its_bytes() {
    let wide = DataType::Decimal256(50, 1);
    for (kind, json, payload, shown) in [
        (DataType::Boolean, "true", "08 01", "true"),
        (DataType::Int32, "150", "08 96 01", "150"),
        (DataType::Int32, "-1", "08 ff ff ff ff ff ff ff ff ff 01", "-1"),
        (DataType::Int64, "300", "08 ac 02", "300"),
        (DataType::Float64, "1.5", "09 00 00 00 00 00 00 f8 3f", "1.5"),
        (DataType::Utf8, "\"a\u{e9}\"", "0a 03 61 c3 a9", "a\u{e9}"),
        (DataType::Binary, "\"AAE=\"", "0a 02 00 01", "0001"),
        (DataType::Decimal128(4, 2), "1.5", "0a 08 0a 02 00 96 10 04 18 02", "1.50"),
        (DataType::Decimal128(4, 0), "0", "0a 05 0a 01 00 10 04", "0"),
        (wide, "-30", "0a 08 0a 02 fe d4 10 32 18 01", "-30.0"),
        (DataType::Date32, "10", "0a 07 08 b2 0f 10 01 18 0b", "1970-01-11"),
        (TIME, "3723004", "0a 0b 08 01 10 02 18 03 20 80 92 f4 01", "01:02:03.004"),
        (TIMESTAMP, "1001", "0a 06 08 01 10 c0 84 3d", "1970-01-01T00:00:01.001"),
        (TIMESTAMP, "0", "0a 00", "1970-01-01T00:00:00"),
        (array(DataType::Int32), "[1, 0, 300]", "0a 04 01 00 ac 02", "[1, 0, 300]"),
        (array(DataType::Utf8), "[\"a\", \"\"]", "0a 01 61 0a 00", "[a, ]"),
        (map(DataType::Int32), "{\"k\": 0}", "0a 05 0a 01 6b 10 00", "{k: 0}"),
        (map(array(DataType::Int32)), "{\"k\": [1, 2]}", "0a 07 0a 01 6b 12 02 01 02", "{k: [1, 2]}"),
        (
            record(&[("A", DataType::Boolean), ("B", DataType::Utf8)]),
            "{\"B\": \"x\"}",
            "0a 03 12 01 78",
            "{A: false, B: x}",
        ),
        (array(record(&[("A", DataType::Int32)])), "[{\"A\": 1}, {}]", "0a 02 08 01 0a 00", "[{A: 1}, {A: 0}]"),
    ] {
        assert_eq!(written(&one(kind.clone()), &format!("{{\"V\": {json}}}")).as_deref(), Ok(payload), "{kind}");
        assert_eq!(read(&one(kind.clone()), payload).as_deref(), Ok(shown), "{kind}");
    }
}

#[test]
fn what_is_absent_is_a_default_or_null() {
    let all = [
        (DataType::Boolean, "false"),
        (DataType::Int32, "0"),
        (DataType::Int64, "0"),
        (DataType::Float64, "0.0"),
        (DataType::Utf8, ""),
        (DataType::Binary, ""),
        (DataType::Decimal128(4, 2), "null"),
        (DataType::Date32, "null"),
        (TIME, "null"),
        (TIMESTAMP, "null"),
        (array(DataType::Int32), "[]"),
        (map(DataType::Int32), "{}"),
        (record(&[("A", DataType::Int32)]), "null"),
    ];
    for (kind, shown) in all {
        let implicit = one(kind.clone());
        assert_eq!(read(&implicit, "").as_deref(), Ok(shown), "{kind}");
        assert_eq!(written(&implicit, "{}").as_deref(), Ok(""), "{kind}");
        for presence in [Presence::Optional, Presence::Wrapper] {
            let layout = Layout { presence, ..one(kind.clone()) };
            let expected = if kind.is_nested() && shown != "null" { shown } else { "null" };
            assert_eq!(read(&layout, "").as_deref(), Ok(expected), "{kind}");
            assert_eq!(written(&layout, "{}").as_deref(), Ok(""), "{kind}");
        }
    }
}

#[test]
fn defaults_are_told_from_null_if_the_layout_says_so() {
    for (kind, json, optional, wrapper, shown) in [
        (DataType::Boolean, "false", "08 00", "0a 00", "false"),
        (DataType::Int32, "0", "08 00", "0a 00", "0"),
        (DataType::Int32, "7", "08 07", "0a 02 08 07", "7"),
        (DataType::Float64, "0", "09 00 00 00 00 00 00 00 00", "0a 00", "0.0"),
        (DataType::Utf8, "\"\"", "0a 00", "0a 00", ""),
        (DataType::Utf8, "\"x\"", "0a 01 78", "0a 03 0a 01 78", "x"),
        (record(&[("A", DataType::Int32)]), "{\"A\": 0}", "0a 02 08 00", "0a 02 0a 00", "{A: 0}"),
        (record(&[("A", DataType::Int32)]), "{}", "0a 00", "0a 00", "{A: null}"),
        (array(DataType::Int32), "[0]", "0a 01 00", "0a 00", "[0]"),
        (map(DataType::Int32), "{\"\": 5}", "0a 04 0a 00 10 05", "0a 06 0a 00 12 02 08 05", "{: 5}"),
    ] {
        for (presence, payload) in [(Presence::Optional, optional), (Presence::Wrapper, wrapper)] {
            let layout = Layout { presence, ..one(kind.clone()) };
            assert_eq!(written(&layout, &format!("{{\"V\": {json}}}")).as_deref(), Ok(payload), "{kind}");
            assert_eq!(read(&layout, payload).as_deref(), Ok(shown), "{kind}");
        }
    }
}

#[test]
fn nulls_in_arrays_and_maps_are_refused() {
    for (kind, json, reason) in [
        (array(DataType::Int32), "[1, null]", "$.V[1]: an array in PROTOBUF cannot contain null"),
        (array(DataType::Utf8), "[null]", "$.V[0]: an array in PROTOBUF cannot contain null"),
        (map(array(TIME)), "{\"k\": [null]}", "$.V[\"k\"][0]: an array in PROTOBUF cannot contain null"),
        (
            record(&[("A", array(record(&[("B", array(TIME))])))]),
            "{\"A\": [{}, {\"B\": [null]}]}",
            "$.V.A[1].B[0]: an array in PROTOBUF cannot contain null",
        ),
    ] {
        assert_eq!(written(&one(kind), &format!("{{\"V\": {json}}}")), Err(reason.to_owned()));
    }
}

#[test]
fn nulls_in_maps_become_defaults() {
    for (kind, shown) in [
        (DataType::Int32, "0"),
        (DataType::Utf8, ""),
        (array(DataType::Int32), "[]"),
        (DataType::Date32, "null"),
        (TIMESTAMP, "1970-01-01T00:00:00"),
        (DataType::Decimal128(4, 1), "0.0"),
        (record(&[("A", DataType::Int32), ("T", TIME)]), "{A: 0, T: null}"),
    ] {
        assert_eq!(written(&one(map(kind.clone())), "{\"V\": {\"k\": null}}").as_deref(), Ok("0a 03 0a 01 6b"));
        assert_eq!(read(&one(map(kind)), "0a 03 0a 01 6b"), Ok(format!("{{k: {shown}}}")));
    }
    let layout = Layout { presence: Presence::Optional, ..one(map(DataType::Int32)) };
    assert_eq!(written(&layout, "{\"V\": {\"k\": null}}").as_deref(), Ok("0a 03 0a 01 6b"));
    assert_eq!(read(&layout, "0a 03 0a 01 6b").as_deref(), Ok("{k: 0}"));
}

#[test]
fn fields_of_other_writers_are_read() {
    let rows = layout(&[("A", DataType::Int32), ("B", DataType::Utf8), ("C", array(DataType::Int32))]);
    for (payload, shown) in [
        ("12 01 'x' 08 05", "5 x []"),
        ("08 05 08 06 12 01 'x' 12 01 'y'", "6 y []"),
        ("08 85 80 80 80 f0 ff ff ff ff 01", "5  []"),
        ("18 01 18 02 1a 02 03 04 18 05", "0  [1, 2, 3, 4, 5]"),
        // Field 15 is not known: a varint, eight bytes, a text, a group in a group and four bytes.
        ("78 01 79 00 00 00 00 00 00 00 00 7a 01 'x' 7b 08 01 0b 0c 7c 7d 00 00 00 00 08 07", "7  []"),
        ("fa ff ff ff 0f 01 'x' 08 07", "7  []"),
    ] {
        assert_eq!(read(&rows, payload).as_deref(), Ok(shown), "{payload}");
    }
}

#[test]
fn parts_of_a_message_are_put_together() {
    let inner =
        record(&[("A", DataType::Int32), ("B", array(DataType::Int32)), ("C", record(&[("D", DataType::Utf8)]))]);
    for (payload, shown) in [
        ("0a 02 08 01 0a 02 10 02", "{A: 1, B: [2], C: null}"),
        ("0a 04 08 01 10 01 0a 04 10 02 08 03 0a 02 10 03", "{A: 3, B: [1, 2, 3], C: null}"),
        ("0a 05 1a 03 0a 01 'x' 0a 02 1a 00", "{A: 0, B: [], C: {D: x}}"),
        ("0a 05 1a 03 0a 01 'x' 0a 05 1a 03 0a 01 'y'", "{A: 0, B: [], C: {D: y}}"),
    ] {
        assert_eq!(read(&one(inner.clone()), payload).as_deref(), Ok(shown), "{payload}");
    }
    assert_eq!(read(&one(DataType::Date32), "0a 03 08 b2 0f 0a 04 10 01 18 0b").as_deref(), Ok("1970-01-11"));
    let wrapped = Layout { presence: Presence::Wrapper, ..one(DataType::Int32) };
    assert_eq!(read(&wrapped, "0a 02 08 05 0a 00").as_deref(), Ok("5"));
    assert_eq!(
        read(&one(inner), "0a 02 08 01 0a 02 08 ff"),
        Err("$.V.A: the payload ends within a varint".to_owned()),
        "the byte is not known"
    );
}

#[test]
fn entries_of_maps_are_read() {
    let numbers = one(map(DataType::Int32));
    for (payload, shown) in [
        ("0a 00", "{: 0}"),
        ("0a 02 10 05", "{: 5}"),
        ("0a 05 10 05 0a 01 'k'", "{k: 5}"),
        ("0a 07 0a 01 'k' 10 05 18 01", "{k: 5}"),
        ("0a 05 0a 01 'k' 10 01 0a 05 0a 01 'l' 10 02 0a 05 0a 01 'k' 10 03", "{k: 3, l: 2}"),
    ] {
        assert_eq!(read(&numbers, payload).as_deref(), Ok(shown), "{payload}");
    }
    let entry = |at: usize| format!("0a 05 0a 01 {:02x} 10 {at:02x} ", b'a' + (at % 10) as u8);
    let twenty: String = (0..20).map(entry).collect();
    let shown: Vec<_> = (0..10).map(|at| format!("{}: {}", char::from(b'a' + at), at + 10)).collect();
    assert_eq!(read(&numbers, &twenty), Ok(format!("{{{}}}", shown.join(", "))));
    let records = one(map(record(&[("A", DataType::Int32)])));
    assert_eq!(read(&records, "0a 03 0a 01 'k'").as_deref(), Ok("{k: {A: 0}}"), "a default that was left out");
    assert_eq!(read(&records, "0a 09 0a 01 'k' 12 00 12 02 08 01").as_deref(), Ok("{k: {A: 1}}"));
}

#[test]
fn bad_payloads_are_named() {
    let rows = layout(&[
        ("I", DataType::Int32),
        ("S", DataType::Utf8),
        ("R", record(&[("A", DataType::Utf8), ("D", DataType::Date32)])),
        ("L", array(DataType::Boolean)),
        ("T", TIME),
        ("N", DataType::Decimal128(4, 2)),
        ("M", map(record(&[("B", DataType::Utf8)]))),
        ("TS", TIMESTAMP),
        ("F", DataType::Float64),
    ]);
    for (payload, reason) in [
        ("80", "not valid Protobuf: the payload ends within a varint (byte 0)"),
        ("00", "not valid Protobuf: 0 is not a valid field number (byte 0)"),
        ("08 01 02", "not valid Protobuf: 0 is not a valid field number (byte 2)"),
        ("80 80 80 80 10", "not valid Protobuf: 536870912 is not a valid field number (byte 0)"),
        ("08 ff ff ff ff ff ff ff ff ff 02", "$.I: a varint has more than 64 bits (byte 1)"),
        ("08 ff ff ff ff ff ff ff ff ff ff 01", "$.I: a varint has more than 64 bits (byte 1)"),
        ("08 ff ff ff ff ff ff ff ff ff", "$.I: the payload ends within a varint (byte 1)"),
        ("0d 00 00 00 00", "$.I: field 1 has the wrong wire type 5 (byte 1)"),
        ("0a 01 01", "$.I: field 1 has the wrong wire type 2 (byte 1)"),
        ("10 01", "$.S: field 2 has the wrong wire type 0 (byte 1)"),
        ("12 05 'x'", "$.S: a length of 5 bytes, but 1 follow (byte 1)"),
        ("12 ff ff ff ff 07 'x'", "$.S: a length of 2147483647 bytes, but 1 follow (byte 1)"),
        ("08 01 12 02 61 ff", "$.S: the text is not valid UTF-8 (byte 4)"),
        ("1a 04 0a 02 61 ff", "$.R.A: the text is not valid UTF-8 (byte 4)"),
        ("1a 04 12 02 10 01", "$.R.D: 0-01-00 is not a date (byte 4)"),
        ("1a 09 12 07 08 b2 0f 10 02 18 1d", "$.R.D: 1970-02-29 is not a date (byte 4)"),
        ("1a 02 08 00", "$.R.A: field 1 has the wrong wire type 0 (byte 3)"),
        ("22 02 01 80", "$.L: the payload ends within a varint (byte 3)"),
        ("21 00 00 00 00 00 00 00 00", "$.L: field 4 has the wrong wire type 1 (byte 1)"),
        ("2a 02 08 18", "$.T: 24:00:00 and 0 ns is not a time of day (byte 2)"),
        ("2a 03 0a 01 00", "$.T: field 1 has the wrong wire type 2 (byte 3)"),
        ("32 06 0a 02 27 10 18 02", "$.N: the number does not fit DECIMAL(4, 2) (byte 2)"),
        ("32 05 0a 01 05 18 03", "$.N: the number does not fit DECIMAL(4, 2) (byte 2)"),
        ("3a 07 0a 01 'k' 12 02 0a 05", "$.M[0].value.B: a length of 5 bytes, but 0 follow (byte 8)"),
        ("3a 03 0a 01 ff", "$.M[0].key: the text is not valid UTF-8 (byte 4)"),
        ("42 06 10 ff ff ff ff 0f", "$.TS: a TIMESTAMP cannot have -1 ns in addition to its seconds (byte 2)"),
        ("42 0b 08 ff ff ff ff ff ff ff ff 7f", "$.TS: a length of 11 bytes, but 10 follow (byte 1)"),
        (
            "42 0a 08 ff ff ff ff ff ff ff ff 7f",
            "$.TS: 9223372036854775807 seconds are out of range for TIMESTAMP (byte 2)",
        ),
        ("49 00 00 00", "$.F: the payload ends within a number (byte 1)"),
        ("7b 08 01", "not valid Protobuf: the payload ends within a group (byte 3)"),
        ("7b 08 01 84 01", "not valid Protobuf: the end of a group that did not begin (byte 5)"),
        ("7c", "not valid Protobuf: the end of a group that did not begin (byte 1)"),
        ("7e", "not valid Protobuf: wire type 6 does not exist (byte 1)"),
        ("7f", "not valid Protobuf: wire type 7 does not exist (byte 1)"),
    ] {
        assert_eq!(read(&rows, payload), Err(reason.to_owned()), "{payload}");
    }
}

#[test]
fn groups_are_skipped_up_to_a_depth() {
    let groups = |depth: usize| [vec![0x7b; depth], vec![0x7c; depth]].concat();
    let read = |depth| decode(ProtobufNosr, &one(DataType::Int32), &[0], &groups(depth));
    assert_eq!(read(100).as_deref(), Ok("0"));
    let reason = "not valid Protobuf: more than 100 groups within each other (byte 101)";
    assert_eq!(read(1_000_000), Err(reason.to_owned()));
}

#[test]
fn decimals_of_other_scales_are_read_if_they_fit() {
    let read = |payload| read(&one(DataType::Decimal128(4, 2)), payload);
    assert_eq!(read("0a 03 0a 01 05").as_deref(), Ok("5.00"), "a scale of 0 is left out");
    assert_eq!(read("0a 0e 0a 01 05 18 ff ff ff ff ff ff ff ff ff 01").as_deref(), Ok("50.00"), "a scale of -1");
    assert_eq!(read("0a 06 0a 02 13 88 18 03").as_deref(), Ok("5.00"));
    assert_eq!(read("0a 05 0a 00 18 b8 17").as_deref(), Ok("0.00"));
}

#[test]
fn names_of_columns_do_not_matter() {
    let first = layout(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    let second = layout(&[("x y", DataType::Int32), ("", DataType::Utf8)]);
    let payload = written(&first, "{\"A\": 1, \"B\": \"b\"}").unwrap();
    assert_eq!(decode(ProtobufNosr, &second, &[1, 0], &bytes(&payload)).as_deref(), Ok("b 1"));
}
