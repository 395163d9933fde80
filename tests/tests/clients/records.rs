//! The records that every client writes: keys, values and headers that are missing, empty, binary, or large.

use serde_json::{Value, json};

/// Records without an offset, as JSON: bytes are hex, and null is not the same as empty. Header values are without
/// commas and zero bytes, because kcat ends a header there.
pub fn all() -> Vec<Value> {
    let binary: Vec<u8> = (0..=255).collect();
    let large = vec![b'a'; 20_000];
    let unordered: Vec<u8> = (0..3000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let one_header = [("name", Some(&b"value"[..]))];
    let repeated = [("a", Some(&b"1"[..])), ("b", Some(b"\xff\n=\x7f")), ("a", Some(b"2")), ("a", Some(b"1"))];
    let without_values = [("empty", Some(&b""[..])), ("null", None), ("größe", Some("µ".as_bytes()))];
    let all = [
        record(Some(b"key"), Some(b"value"), &[]),
        record(None, Some(b"without a key"), &[]),
        record(Some(b""), Some(b"empty key"), &[]),
        record(Some(b"tombstone"), None, &[]),
        record(Some(b"tombstone with a header"), None, &one_header),
        record(None, None, &[]),
        record(Some(b""), None, &[]),
        record(Some(b"empty value"), Some(b""), &[]),
        record(None, Some(b""), &[]),
        record(Some(&binary[1..]), Some(&binary), &one_header),
        record(Some(&binary), Some(b"lines\nand\r\nends\n"), &[("binary", Some(b"\x01\xfe"))]),
        record(Some(b"headers"), Some(b"repeated"), &repeated),
        record(Some(b"headers"), Some(b"without values"), &without_values),
        record(Some(b"large"), Some(&large), &[]),
        record(Some(b"hard to compress"), Some(&unordered), &[]),
    ];
    // Neither in order nor near the present.
    let timestamps = (0..).map(|i| 1_700_000_000_000_i64 + (i * 7919 % 1000) - 500);
    let stamped = all.into_iter().zip(timestamps).map(|(mut record, timestamp)| {
        record["timestamp"] = timestamp.into();
        record
    });
    stamped.collect()
}

/// The bytes of a value that is hex or null.
pub fn bytes(hex: &Value) -> Option<Vec<u8>> {
    let digits = hex.as_str()?;
    Some((0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect())
}

/// Hex, or null for what is missing.
pub fn hex(bytes: Option<&[u8]>) -> Value {
    bytes.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).into()
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]) -> Value {
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!([name, hex(*value)])).collect();
    json!({ "key": hex(key), "value": hex(value), "headers": headers })
}
