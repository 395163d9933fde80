//! JSON as ksqlDB reads and writes it: a golden row a type, a reject a kind of malformed payload.

use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array, StringArray, StringViewArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

use crate::format::testing::{TIME, TIMESTAMP, again, array, bare, decode, layout, map, record};
use crate::format::{FormatKind, Layout};

use FormatKind::Json;

/// Reads `{"v": <value>}` into a column V.
fn value(kind: DataType, value: &str) -> Result<String, String> {
    let json = format!("{{\"v\":{value}}}");
    decode(Json, &layout(&[("V", kind)]), &[0], json.as_bytes())
}

#[test]
fn each_type_takes_what_ksqldb_takes() {
    let decimal = DataType::Decimal128(4, 2);
    let wide = DataType::Decimal256(50, 10);
    for (kind, json, expected) in [
        (DataType::Boolean, "true", "true"),
        (DataType::Boolean, "false", "false"),
        (DataType::Boolean, "null", "null"),
        (DataType::Int32, "-17", "-17"),
        (DataType::Int32, "1.9", "1"),
        (DataType::Int32, "2147483648", "-2147483648"),
        (DataType::Int32, "\"42\"", "42"),
        (DataType::Int64, "9223372036854775807", "9223372036854775807"),
        (DataType::Int64, "9223372036854775808", "-9223372036854775808"),
        (DataType::Int64, "-1.5e3", "-1500"),
        (DataType::Int64, "\"-42\"", "-42"),
        (DataType::Float64, "1", "1.0"),
        (DataType::Float64, "0.1", "0.1"),
        (DataType::Float64, "\"1e3\"", "1000.0"),
        (DataType::Float64, "\"Infinity\"", "inf"),
        (decimal.clone(), "12.34", "12.34"),
        (decimal.clone(), "12.340", "12.34"),
        (decimal.clone(), "1", "1.00"),
        (decimal.clone(), "\"-0.5\"", "-0.50"),
        (
            wide,
            "1234567890123456789012345678901234567890.0123456789",
            "1234567890123456789012345678901234567890.0123456789",
        ),
        (DataType::Utf8, "\"h\\u00e9 \\\"\\ud83d\\ude00\\n\"", "h\u{e9} \"\u{1f600}\n"),
        (DataType::Utf8, "true", "true"),
        (DataType::Utf8, "-0", "0"),
        (DataType::Utf8, "42.000000001", "42.000000001"),
        (DataType::Utf8, "1e5", "1E+5"),
        (DataType::Utf8, "12345678901234567890123", "12345678901234567890123"),
        (DataType::Utf8, "[1, \"a\", null, [true], {\"x\": [1, \"b\"]}]", "[1, a, null, [true], {\"x\":[1,\"b\"]}]"),
        (DataType::Utf8, "{ \"b\" : 1.50, \"a\":{}, \"b\": \"\\u0041\\n\" }", "{\"b\":\"A\\n\",\"a\":{}}"),
        (DataType::Binary, "\"aGVsbG8=\"", "68656c6c6f"),
        (DataType::Date32, "19000", "2022-01-08"),
        (DataType::Date32, "\"19000\"", "2022-01-08"),
        (TIME, "3723004", "01:02:03.004"),
        (TIMESTAMP, "1700000000000", "2023-11-14T22:13:20"),
        (TIMESTAMP, "\"-1\"", "1969-12-31T23:59:59.999"),
        (array(DataType::Int32), "[1, null, \"3\"]", "[1, null, 3]"),
        (array(DataType::Int32), "[]", "[]"),
        (array(array(DataType::Utf8)), "[[\"a\"], [], null]", "[[a], [], null]"),
        (map(DataType::Int64), "{\"a\": 1, \"b\": null}", "{a: 1, b: null}"),
        (map(DataType::Int64), "{\"a\": \"bad\", \"b\": 2, \"a\": 3}", "{a: 3, b: 2}"),
        (map(DataType::Int64), "{}", "{}"),
        (
            record(&[("A", DataType::Int32), ("B", map(DataType::Utf8))]),
            "{\"b\":{\"x\":1},\"a\":2}",
            "{A: 2, B: {x: 1}}",
        ),
        (record(&[("A", DataType::Int32)]), "{\"other\":1}", "{A: null}"),
        (array(record(&[("A", DataType::Int32)])), "[{\"a\":1},{},null]", "[{A: 1}, {A: null}, null]"),
    ] {
        assert_eq!(value(kind.clone(), json).as_deref(), Ok(expected), "{json} as {kind}");
        assert_eq!(value(kind.clone(), "null").as_deref(), Ok("null"), "{kind}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_named_with_its_place() {
    let item = record(&[("PRICE", DataType::Decimal128(4, 2))]);
    for (kind, json, reason) in [
        (DataType::Boolean, "\"true\"", "$.V: cannot read a string as BOOLEAN (byte 5)"),
        (DataType::Boolean, "1", "$.V: cannot read a number as BOOLEAN (byte 5)"),
        (DataType::Int32, "\"1.5\"", "$.V: the text is not a valid INT (byte 5)"),
        (DataType::Int32, "\"2147483648\"", "$.V: the text is not a valid INT (byte 5)"),
        (DataType::Int32, "true", "$.V: cannot read a boolean as INT (byte 5)"),
        (DataType::Int64, "{}", "$.V: cannot read an object as BIGINT (byte 5)"),
        (DataType::Float64, "1e999", "$.V: the number is too large for DOUBLE (byte 5)"),
        (DataType::Float64, "\"1e999\"", "$.V: the text is not a valid DOUBLE (byte 5)"),
        (DataType::Decimal128(4, 2), "100", "$.V: the number does not fit DECIMAL(4, 2) (byte 5)"),
        (DataType::Decimal128(4, 2), "1.005", "$.V: the number does not fit DECIMAL(4, 2) (byte 5)"),
        (DataType::Binary, "\"a\"", "$.V: the text is not valid base64 (byte 5)"),
        (DataType::Binary, "[]", "$.V: cannot read an array as BYTES (byte 5)"),
        (DataType::Date32, "\"2022-01-08\"", "$.V: the text is not a number of days (byte 5)"),
        (TIME, "86400000", "$.V: a TIME must be between 0 and 86399999 milliseconds (byte 5)"),
        (TIME, "-1", "$.V: a TIME must be between 0 and 86399999 milliseconds (byte 5)"),
        (TIMESTAMP, "\"2022-01-08T00:00:00Z\"", "$.V: the text is not a number of milliseconds (byte 5)"),
        (array(DataType::Int32), "1", "$.V: cannot read a number as ARRAY<INT> (byte 5)"),
        (map(DataType::Int32), "[]", "$.V: cannot read an array as MAP<STRING, INT> (byte 5)"),
        (map(DataType::Int32), "{\"a b\":[]}", "$.V[\"a b\"]: cannot read an array as INT (byte 12)"),
        (array(item), "[{\"price\":1},{\"price\":\"x\"}]", "$.V[1].PRICE: the text is not a number (byte 27)"),
    ] {
        assert_eq!(value(kind, json).unwrap_err(), reason, "{json}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let layout = layout(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    let read = |payload: &[u8]| decode(Json, &layout, &[0, 1], payload).unwrap_err();
    let deep = "{\"x\":".to_owned() + &"[".repeat(100_000);
    for (payload, reason) in [
        (&b""[..], "not valid JSON: the payload is empty at byte 0"),
        (b"  ", "not valid JSON: the payload is empty at byte 2"),
        (b"hello", "not valid JSON: expected a value, found 'h' at byte 0"),
        (b"{\"a\":1", "not valid JSON: expected ',' or '}', found the end at byte 6"),
        (b"\xef\xbb\xbf", "not valid JSON: the payload is empty at byte 3"),
        (b" \xef\xbb\xbf{}", "not valid JSON: expected a value, found '\\u{feff}' at byte 1"),
        (b"{\"a\":1e9999999999}", "not valid JSON: the exponent of the number is too large at byte 5"),
        (b"{\"x\":1e-9999999999}", "not valid JSON: the exponent of the number is too large at byte 5"),
        (b"{\"a\":01}", "not valid JSON: expected no digit after a leading 0, found '1' at byte 6"),
        (b"{\"a\":NaN}", "not valid JSON: expected a value, found 'N' at byte 5"),
        (b"{a:1}", "not valid JSON: expected a field name, found 'a' at byte 1"),
        (b"{\"a\":\"x\" \"b\":1}", "not valid JSON: expected ',' or '}', found '\"' at byte 9"),
        (b"{\"b\":\"\xff\"}", "not UTF-8 at byte 6"),
        (b"{\"skipped\":\"\xff\"}", "not UTF-8 at byte 12"),
        (b"{\"b\":\"\t\"}", "not valid JSON: control character in a string at byte 6"),
        (b"{\"b\":\"\\ud8\"}", "not valid JSON: \\u escape without four hexadecimal digits at byte 6"),
        (b"nullx", "not valid JSON: expected the end of the word, found 'x' at byte 4"),
        (b"nul", "not valid JSON: expected `null`, found 'n' at byte 0"),
        (b"[1]", "$: the payload is not a JSON object (byte 0)"),
        (b"\"text\"", "$: the payload is not a JSON object (byte 0)"),
        (b"[1", "not valid JSON: expected ',' or ']', found the end at byte 2"),
        (deep.as_bytes(), "not valid JSON: nested deeper than 1000 at byte 1004"),
    ] {
        assert_eq!(read(payload), reason, "{}", String::from_utf8_lossy(&payload[..payload.len().min(40)]));
    }
}

/// Each row was read so by Jackson 2.21 (`readTree` of the bytes), too.
#[test]
fn what_jackson_takes_is_taken() {
    let layout = layout(&[("A", DataType::Int32), ("S", DataType::Utf8)]);
    let read = |payload: &[u8]| decode(Json, &layout, &[0, 1], payload);
    for (payload, expected) in [
        (&b"\xef\xbb\xbf{\"a\":1}"[..], "1 null"),
        (b"\xef\xbb\xbf \n{\"s\":\"\xc3\xa9\"}", "null \u{e9}"),
        (b"{\"a\":2} {\"a\":3}", "2 null"),
        (b"{\"a\":2}x", "2 null"),
        (b"{\"a\":2}}", "2 null"),
        (b"{\"a\":2}\xff", "2 null"),
        (b"{\"a\":2}\0", "2 null"),
        (b"{\"a\":4,\"s\":\"\\ud83d\"}", "4 ?"),
        (b"{\"a\":4,\"s\":\"x\\ude00\\ud83d\\ud83d\\ude00\"}", "4 x??\u{1f600}"),
        (b"{\"a\":5,\"x\":1e2147483647}", "5 null"),
        (b"{\"a\":5,\"a\":6,\"x\":\"\x7f\"}", "6 null"),
        (b"\0{\0\"\0a\0\"\0:\x001\0}", "1 null"),
        (b"\xff\xfe{\0\"\0s\0\"\0:\0\"\0\xe9\0\"\0}\0", "null \u{e9}"),
    ] {
        assert_eq!(read(payload).as_deref(), Ok(expected), "{}", payload.escape_ascii());
    }
    let deep = |levels: usize| format!("{{\"a\":7,\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(read(deep(999).as_bytes()).as_deref(), Ok("7 null"));
    assert!(read(deep(1000).as_bytes()).is_err());
    // Beyond Jackson's limit on the length of numbers there is no need to stop.
    assert!(read(format!("{{\"a\":{}}}", "1".repeat(1001)).as_bytes()).is_ok());
}

#[test]
fn a_field_that_nobody_reads_is_checked_like_one_that_is_read() {
    let item = record(&[("PRICE", DataType::Decimal128(4, 2)), ("AT", TIME)]);
    let fields = [("A", DataType::Int32), ("V", array(item)), ("M", map(DataType::Binary)), ("D", DataType::Float64)];
    let layout = layout(&fields);
    for (payload, reason) in [
        (r#"{"a":1,"v":[{"price":1},{"price":"x"}]}"#, "$.V[1].PRICE: the text is not a number (byte 33)"),
        (r#"{"a":1,"v":[{"price":100}]}"#, "$.V[0].PRICE: the number does not fit DECIMAL(4, 2) (byte 21)"),
        (r#"{"a":1,"v":[{"at":86400000}]}"#, "$.V[0].AT: a TIME must be between 0 and 86399999 milliseconds (byte 18)"),
        (r#"{"a":1,"v":7}"#, "$.V: cannot read a number as ARRAY<STRUCT<PRICE DECIMAL(4, 2), AT TIME>> (byte 11)"),
        (r#"{"a":1,"m":{"k":"AA==","l":"A"}}"#, "$.M[\"l\"]: the text is not valid base64 (byte 27)"),
        (r#"{"m":{"k":"A","k":"B"},"a":1}"#, "$.M[\"k\"]: the text is not valid base64 (byte 18)"),
        (r#"{"d":1e400,"a":1}"#, "$.D: the number is too large for DOUBLE (byte 5)"),
        (r#"{"d":true,"a":"x"}"#, "$.D: cannot read a boolean as DOUBLE (byte 5)"),
    ] {
        for projection in [&[0, 1, 2, 3][..], &[0], &[]] {
            assert_eq!(decode(Json, &layout, projection, payload.as_bytes()).unwrap_err(), reason, "{projection:?}");
        }
    }
    for good in [
        r#"{"m":{"k":"A","k":"AA=="},"d":"bad","d":"1.5","a":1,"v":[{"price":[]  ,"price":"99.99"},null]}"#,
        r#"{"m":null,"v":null,"d":null,"a":1,"other":[{"price":"x"}]}"#,
    ] {
        assert_eq!(decode(Json, &layout, &[0], good.as_bytes()).as_deref(), Ok("1"));
    }
}

#[test]
fn names_match_exactly_first_and_then_in_upper_case() {
    let layout = layout(&[("ID", DataType::Int32), ("id", DataType::Int32), ("\u{c9}T\u{c9}", DataType::Int32)]);
    for (json, expected) in [
        (r#"{"ID":1,"id":2}"#, "1 2 null"),
        (r#"{"id":2,"ID":1}"#, "1 2 null"),
        (r#"{"id":2}"#, "2 2 null"),
        (r#"{"Id":3}"#, "3 null null"),
        (r#"{"ID":1,"Id":3}"#, "1 null null"),
        (r#"{"iD":3,"Id":4}"#, "4 null null"),
        (r#"{"ID":null,"Id":3}"#, "null null null"),
        (r#"{"\u0049d":5}"#, "5 null null"),
        ("{\"\u{e9}t\u{e9}\":6}", "null null 6"),
    ] {
        assert_eq!(decode(Json, &layout, &[0, 1, 2], json.as_bytes()).as_deref(), Ok(expected), "{json}");
    }
}

#[test]
fn the_last_duplicate_counts_and_hides_the_faults_of_earlier_ones() {
    let layout = layout(&[("A", DataType::Int32), ("S", record(&[("X", DataType::Int32)]))]);
    for (json, expected) in [
        (r#"{"a":1,"a":2}"#, Ok("2 null")),
        (r#"{"a":"bad","a":2}"#, Ok("2 null")),
        (r#"{"a":2,"a":"bad"}"#, Err("$.A: the text is not a valid INT (byte 11)")),
        (r#"{"a":2,"a":null}"#, Ok("null null")),
        (r#"{"s":{"x":[],"x":1},"s":{"x":2,"x":3}}"#, Ok("null {X: 3}")),
        (r#"{"s":{"x":[]},"s":{}}"#, Ok("null {X: null}")),
        (r#"{"s":{"x":1},"s":{"x":{}}}"#, Err("$.S.X: cannot read an object as INT (byte 22)")),
        (r#"{"A":1,"a":"bad"}"#, Ok("1 null")),
    ] {
        assert_eq!(
            decode(Json, &layout, &[0, 1], json.as_bytes()),
            expected.map(Into::into).map_err(Into::into),
            "{json}"
        );
    }
}

#[test]
fn members_may_come_in_any_order_and_any_spacing() {
    let layout = layout(&[("A", DataType::Int32), ("B", DataType::Int32), ("C", DataType::Int32)]);
    let mut decoder = Json.decoder(&layout, &[2, 0]).unwrap();
    let payloads = [
        r#"{"a":1,"b":2,"c":3}"#,
        r#"{"a": 1, "b": 2, "c": 3}"#,
        r#"{"a":1,"c":3}"#,
        r#"{"c":3,"b":2,"a":1}"#,
        r#" { "x" : [ ] , "c" : 3 , "a" : 1 } "#,
        r#"{"a":   1,"b":2,"c":3}"#,
        r#"{"x":{"a":9,"c":9},"a":1,"c":3}"#,
        "{\"a\"\t:\r\n1,\"c\":3}",
    ];
    let decoded = decoder.decode(&BinaryArray::from_iter_values(payloads.iter().cycle().take(100)));
    assert_eq!(decoded.bad, []);
    for row in 0..100 {
        let shown: Vec<_> = decoded.columns.iter().map(|column| crate::format::testing::show(column, row)).collect();
        assert_eq!(shown, ["3", "1"], "{}", payloads[row % payloads.len()]);
    }
}

#[test]
fn records_of_more_fields_than_are_remembered_are_read_in_any_order() {
    let names: Vec<String> = (0..700).map(|n| format!("F{n}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), DataType::Int32)).collect();
    let member = |n: usize| format!("\"f{n}\":{n}");
    let object = |members: Vec<String>| format!("{{{}}}", members.join(","));
    let payloads = [
        object((0..700).map(member).collect()),
        object((0..700).rev().map(member).collect()),
        object((0..3000).map(|n| if n % 2 == 0 { format!("\"x{n}\":[]") } else { member(n / 2) }).collect()),
        object((0..700).map(|n| if n == 7 { "\"f7\":[]".to_owned() } else { member(n) }).collect()),
    ];
    let mut decoder = Json.decoder(&layout(&fields), &[650, 3]).unwrap();
    for _ in 0..2 {
        let decoded = decoder.decode(&BinaryArray::from_iter_values(&payloads));
        assert_eq!(decoded.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3]);
        for row in 0..3 {
            let shown = decoded.columns.iter().map(|column| crate::format::testing::show(column, row));
            assert_eq!(shown.collect::<Vec<_>>(), ["650", "3"]);
        }
    }
}

#[test]
fn guessed_names_do_not_hide_a_missing_comma() {
    let layout = layout(&[("A", DataType::Int32), ("B", DataType::Int32)]);
    let mut decoder = Json.decoder(&layout, &[0, 1]).unwrap();
    let good = r#"{"a":1,"b":2}"#;
    let payloads =
        [good, r#"{"a":1{"b":2}"#, r#"{"a":1"b":2}"#, r#"{,"a":1}"#, r#"{"a":1,}"#, r#"{"a":1,,"b":2}"#, good];
    let decoded = decoder.decode(&BinaryArray::from_iter_values(payloads));
    assert_eq!(decoded.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_payload_that_says_null_is_absent() {
    let mut decoder = Json.decoder(&layout(&[("A", DataType::Int32)]), &[0]).unwrap();
    let decoded = decoder.decode(&BinaryArray::from_iter_values(["null", "{}", " null ", "null7", "null null"]));
    assert_eq!(decoded.absent, [0, 2, 4]);
    assert_eq!(decoded.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3]);
    assert_eq!(decoded.columns[0].null_count(), 5);
}

#[test]
fn a_single_value_may_be_bare() {
    assert_eq!(decode(Json, &bare(DataType::Int32), &[0], b" 12 ").as_deref(), Ok("12"));
    assert_eq!(decode(Json, &bare(array(DataType::Int32)), &[0], b"[1]").as_deref(), Ok("[1]"));
    assert_eq!(decode(Json, &bare(record(&[("A", DataType::Int32)])), &[0], b"{\"a\":1}").as_deref(), Ok("{A: 1}"));
    let read = |payload: &[u8]| decode(Json, &bare(DataType::Int32), &[0], payload).unwrap_err();
    assert_eq!(read(b"[1]"), "$: cannot read an array as INT (byte 0)");
    assert_eq!(read(b"[1"), "not valid JSON: expected ',' or ']', found the end at byte 2");
    assert_eq!(decode(Json, &bare(DataType::Int32), &[0], b"1 2").as_deref(), Ok("1"));
    assert_eq!(read(b"1x"), "not valid JSON: expected a space, found 'x' at byte 1");
    assert_eq!(read(b"1\xff"), "not UTF-8 at byte 1");
    let skipped = decode(Json, &bare(DataType::Int32), &[], b"[").unwrap_err();
    assert_eq!(skipped, "not valid JSON: expected a value, found the end at byte 1");
    let unread = decode(Json, &bare(DataType::Int32), &[], b"[1]").unwrap_err();
    assert_eq!(unread, "$: cannot read an array as INT (byte 0)");
}

#[test]
fn each_type_is_written_as_ksqldb_writes_it() {
    let fields = [
        ("B", DataType::Boolean),
        ("I", DataType::Int32),
        ("L", DataType::Int64),
        ("D", DataType::Float64),
        ("C", DataType::Decimal128(6, 3)),
        ("W", DataType::Decimal256(40, 1)),
        ("S", DataType::Utf8),
        ("Y", DataType::Binary),
        ("DT", DataType::Date32),
        ("T", TIME),
        ("TS", TIMESTAMP),
        ("A", array(DataType::Float64)),
        ("M", map(DataType::Utf8)),
        ("R", record(&[("x\"", DataType::Int32), ("Y", array(DataType::Int32))])),
    ];
    let json = concat!(
        r#"{"B":true,"I":-1,"L":9007199254740993,"D":1.0E10,"C":0.050,"W":-12.0,"S":"a\"\\\n\u001Fé/","#,
        r#""Y":"AAE=","DT":-1,"T":5,"TS":1700000000000,"A":[0.1,null,"NaN"],"M":{"k":"v","n":null},"#,
        r#""R":{"x\"":1,"Y":[]}}"#
    );
    assert_eq!(again(Json, &layout(&fields), json.as_bytes()), json);
    let nulls: Vec<_> = fields.iter().map(|(name, _)| format!("\"{name}\":null")).collect();
    assert_eq!(again(Json, &layout(&fields), b"{}"), format!("{{{}}}", nulls.join(",")));
}

#[test]
fn null_rows_and_bare_nulls_are_null_payloads() {
    let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let nulls = arrow::buffer::NullBuffer::from(vec![true, true, false]);
    let encode = |layout: &Layout| {
        let encoded = Json.encoder(layout).unwrap().encode(std::slice::from_ref(&column), 3, Some(&nulls));
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        encoded.payloads.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(encode(&bare(DataType::Utf8)), [Some("\"a\"".into()), None, None]);
    let wrapped = layout(&[("S", DataType::Utf8)]);
    assert_eq!(encode(&wrapped), [Some("{\"S\":\"a\"}".into()), Some("{\"S\":null}".into()), None]);
}

#[test]
fn columns_of_a_near_type_are_turned_and_others_refused() {
    let mut encoder = Json.encoder(&layout(&[("S", DataType::Utf8)])).unwrap();
    let view: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    assert_eq!(encoder.encode(&[view], 1, None).payloads.value(0), b"{\"S\":\"a\"}");
    let mut encoder = Json.encoder(&layout(&[("S", array(map(DataType::Utf8)))])).unwrap();
    let double: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let encoded = encoder.encode(&[double], 2, None);
    assert_eq!(encoded.bad.len(), 2);
    assert!(encoded.bad[0].reason.starts_with("column \"S\" has a different type"), "{:?}", encoded.bad);
}
