//! Golden bytes of each type, and payloads that are bad. What is written is read back in `tests/format_round_trip.rs`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float64Array, Int32Array};
use arrow::datatypes::{DataType, Field, Fields, Float64Type};

use super::super::testing::{TIME, TIMESTAMP, array, bare, decode, layout, map, record};
use super::super::{FormatError, FormatKind, Layout};
use crate::record::Side;

use FormatKind::Compact;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn unhex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The value of a single column that a JSON text gives, as a payload.
fn written(kind: &DataType, json: &str) -> String {
    let layout = bare(kind.clone());
    let decoded =
        FormatKind::Json.decoder(&layout, &[0]).unwrap().decode(&BinaryArray::from_vec(vec![json.as_bytes()]));
    assert_eq!(decoded.bad, [], "{json}");
    let encoded = Compact.encoder(&layout).unwrap().encode(&decoded.columns, 1, None);
    assert_eq!(encoded.bad, []);
    hex(encoded.payloads.value(0))
}

#[test]
fn each_type_has_its_bytes() {
    let wide = |bytes: &str| format!("01 00 {bytes}{}", " ff".repeat(30));
    for (kind, json, payload) in [
        (DataType::Boolean, "true", "01 00 01"),
        (DataType::Int32, "-2", "01 00 fe ff ff ff"),
        (DataType::Int64, "258", "01 00 02 01 00 00 00 00 00 00"),
        (DataType::Float64, "-0.0", "01 00 00 00 00 00 00 00 00 80"),
        (DataType::Decimal128(4, 2), "1.5", "01 00 96 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
        (DataType::Decimal256(50, 1), "-30", &wide("d4 fe")),
        (DataType::Utf8, "\"a\u{e9}\"", "01 00 03 61 c3 a9"),
        (DataType::Binary, "\"AAE=\"", "01 00 02 00 01"),
        (DataType::Date32, "1", "01 00 01 00 00 00"),
        (TIME, "5", "01 00 05 00 00 00"),
        (TIMESTAMP, "-1", "01 00 ff ff ff ff ff ff ff ff"),
        (array(DataType::Int32), "[1, null]", "01 00 02 02 01 00 00 00"),
        (
            array(array(DataType::Utf8)),
            "[[\"a\"], null, [], [\"b\", \"c\"]]",
            "01 00 04 02 01 00 02 00 01 61 01 62 01 63",
        ),
        (map(DataType::Boolean), "{\"k\": null, \"l\": false}", "01 00 02 01 6b 01 6c 01 00"),
        (record(&[("A", DataType::Boolean), ("B", DataType::Utf8)]), "{\"B\": \"x\"}", "01 00 01 00 01 78"),
    ] {
        assert_eq!(written(&kind, json), payload, "{kind}");
        assert_eq!(written(&kind, "null"), "01 01", "{kind}");
        assert!(decode(Compact, &bare(kind), &[0], &unhex(payload)).is_ok(), "{payload}");
    }
}

#[test]
fn long_values_and_many_fields() {
    let text = "x".repeat(300);
    assert!(written(&DataType::Utf8, &format!("\"{text}\"")).starts_with("01 00 ac 02 78 78"));
    let nine = layout(&["A", "B", "C", "D", "E", "F", "G", "H", "I"].map(|name| (name, DataType::Boolean)));
    let all: Vec<_> = (0..9).collect();
    let shown = decode(Compact, &nine, &all, &unhex("01 7f 00 01 00"));
    assert_eq!(shown.as_deref(), Ok("null null null null null null null true false"));
    assert_eq!(decode(Compact, &nine, &[8, 6], &unhex("01 7f 00 01 00")).as_deref(), Ok("false null"));
    assert_eq!(decode(Compact, &layout(&[]), &[], &[1]).as_deref(), Ok(""));
}

#[test]
fn bad_payloads_are_named() {
    let rows = layout(&[("I", DataType::Int32), ("S", DataType::Utf8), ("L", array(DataType::Boolean))]);
    for (payload, reason) in [
        ("", "the payload is empty"),
        ("02 00", "version 2 of format COMPACT is not supported"),
        ("01", "the payload ends within a bitmap of nulls"),
        ("01 0f", "a bitmap of nulls has bits beyond its values"),
        ("01 00 00 00 00", "field 1 (I): the payload ends within a value of type INT"),
        ("01 07 00 00", "2 bytes follow the last value"),
        ("01 05", "field 2 (S): the payload ends within a value of type STRING"),
        ("01 05 02 61", "field 2 (S): the payload ends within a value of type STRING"),
        ("01 05 01 ff", "field 2 (S): a STRING is not valid UTF-8"),
        ("01 05 ff ff ff ff 0f", "field 2 (S): the payload ends within a value of type STRING"),
        ("01 05 ff ff ff ff 1f", "field 2 (S): the length of a value of type STRING is not valid"),
        ("01 05 ff ff ff ff ff 01", "field 2 (S): the length of a value of type STRING is not valid"),
        ("01 05 81 00 61", "field 2 (S): the length of a value of type STRING is not valid"),
        ("01 03 01 00 02", "field 3 (L): a BOOLEAN is neither 0 nor 1"),
        ("01 03 01 02 00", "field 3 (L): a bitmap of nulls has bits beyond its values"),
        ("01 03 ff ff ff ff 0f 00", "field 3 (L): the payload ends within a value of type ARRAY<BOOLEAN>"),
        ("01 03 02 00 01", "field 3 (L): the payload ends within a value of type BOOLEAN"),
    ] {
        for projection in [&[0, 1, 2][..], &[0], &[]] {
            assert_eq!(decode(Compact, &rows, projection, &unhex(payload)), Err(reason.to_owned()), "{payload}");
        }
    }
}

/// Goal: no payload asks for more room than it is worth. Method: lists in lists, each of which claims to be long.
#[test]
fn lengths_do_not_multiply() {
    let mut payload = vec![1, 0, 0xe8, 7];
    payload.extend([0; 125]);
    payload.extend([0xff, 0x3f].repeat(1_000));
    let refused = decode(Compact, &bare(array(array(DataType::Decimal256(76, 0)))), &[0], &payload);
    let reason = "field 1 (V): the payload ends within a value of type ARRAY<DECIMAL(76, 0)>";
    assert_eq!(refused, Err(reason.to_owned()));
}

#[test]
fn doubles_keep_their_bits() {
    let bits = [0x7ff8_0000_0000_0001_u64, 0xfff8_dead_beef_0000, 0x7ff0_0000_0000_0001, 1 << 63, 1, 0x7ff0 << 48];
    let column: ArrayRef = Arc::new(bits.iter().map(|bits| Some(f64::from_bits(*bits))).collect::<Float64Array>());
    let layout = bare(DataType::Float64);
    let encoded = Compact.encoder(&layout).unwrap().encode(&[column], bits.len(), None);
    let decoded = Compact.decoder(&layout, &[0]).unwrap().decode(&encoded.payloads);
    let found: Vec<_> = decoded.columns[0].as_primitive::<Float64Type>().values().iter().map(|d| d.to_bits()).collect();
    assert_eq!(found, bits);
}

#[test]
fn the_keys_of_a_map_have_any_type() {
    let entry =
        Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Utf8, true)]);
    let kind = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false);
    assert!(Compact.supports_type(&kind) && !FormatKind::Json.supports_type(&kind));
    let payload = unhex("01 00 02 01 00 00 00 02 00 00 00 02 01 61");
    assert_eq!(decode(Compact, &bare(kind.clone()), &[0], &payload).as_deref(), Ok("{1: a, 2: null}"));
    let columns = Compact.decoder(&bare(kind.clone()), &[0]).unwrap().decode(&BinaryArray::from_vec(vec![&payload]));
    let encoded = Compact.encoder(&bare(kind)).unwrap().encode(&columns.columns, 1, None);
    assert_eq!(encoded.payloads.value(0), payload);
}

#[test]
fn users_cannot_name_it_but_definitions_can() {
    assert_eq!(FormatKind::of_definition("COMPACT"), Ok(Compact));
    assert_eq!(FormatKind::of_definition("JSON"), Ok(FormatKind::Json));
    for name in ["COMPACT", "compact"] {
        assert!(matches!(name.parse::<FormatKind>(), Err(FormatError::Unknown { nearest: None, .. })), "{name}");
    }
    let rows = layout(&[("A", DataType::Int32), ("B", array(TIME))]);
    assert_eq!(Compact.check(&rows, Side::Key), Ok(()));
    assert_eq!(Compact.check(&Layout { wrapped: false, ..rows }, Side::Value), Ok(()));
    assert!(!Compact.takes_any_payload(&bare(DataType::Utf8)));
    let other = bare(DataType::Utf8);
    let encoded = Compact.encoder(&other).unwrap().encode(&[Arc::new(Int32Array::from(vec![1]))], 1, None);
    assert_eq!(encoded.payloads.value(0), b"\x01\x00\x011", "another type is converted, as in every format");
}
