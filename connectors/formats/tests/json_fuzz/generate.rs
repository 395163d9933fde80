//! Random payloads: JSON of the shape the columns expect, JSON of any shape, and damage.

use rand::Rng;
use rand::rngs::StdRng;

const NAMES: [&str; 16] =
    ["bool", "a", "dbl", "dec", "s", "arr", "m", "r", "A", "S", "Arr", "x", "", "\\u0061", "\\ud83d\\ude00", "\u{e9}"];
const BID: &str = r#"{"auction":1000,"bidder":2001,"a":12345,"s":"channel-123","url":"https://www.nexmark.com/item.htm?query=1","dateTime":1700000000000,"extra":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
/// What damage is made of: bytes that mean something to a JSON reader, and some that are no UTF-8.
const SHRAPNEL: &[u8] = b"{}[]\",:\\/u0123456789aAeE+-.tfnrs \t\n\x00\x1f\x7f\x80\xc3\xed\xa0\xf0\xff";

/// A payload; about half of them are damaged.
pub fn payload(rng: &mut StdRng) -> Vec<u8> {
    let mut out = String::new();
    match rng.random_range(0..20) {
        0 => value(rng, 4, &mut out),
        1..=4 => out.push_str(BID),
        _ => object(rng, 4, &mut out),
    }
    space(rng, &mut out);
    surround(rng, &mut out);
    let mut bytes = out.into_bytes();
    if rng.random_bool(0.5) {
        for _ in 0..rng.random_range(1..4) {
            damage(rng, &mut bytes);
        }
    }
    bytes
}

/// Sometimes a byte order mark before the value, and something behind it.
fn surround(rng: &mut StdRng, out: &mut String) {
    if rng.random_bool(0.05) {
        out.insert(0, '\u{feff}');
    }
    if rng.random_bool(0.1) {
        out.push_str([" ", "x", "}", "]", ",", "{\"a\":1}", "null", "\"", "\u{e9}"][rng.random_range(0..9)]);
    }
}

fn object(rng: &mut StdRng, depth: u32, out: &mut String) {
    out.push('{');
    for index in 0..rng.random_range(0..7) {
        if index > 0 {
            out.push(',');
        }
        space(rng, out);
        let name = NAMES[rng.random_range(0..NAMES.len())];
        out.push_str(&format!("\"{name}\""));
        space(rng, out);
        out.push(':');
        space(rng, out);
        member_value(rng, name, depth, out);
        space(rng, out);
    }
    out.push('}');
}

/// Mostly a value of the kind the column of this name holds.
fn member_value(rng: &mut StdRng, name: &str, depth: u32, out: &mut String) {
    if rng.random_bool(0.08) || depth == 0 {
        return value(rng, depth, out);
    }
    match name {
        "bool" => out.push_str(["true", "false", "null"][rng.random_range(0..3)]),
        "a" | "A" | "dbl" | "\\u0061" => number(rng, out),
        "dec" if rng.random_bool(0.7) => out.push_str(&rng.random_range(-2_000_000..2_000_000).to_string()),
        "dec" => out.push_str(&format!("{}.{}", rng.random_range(0..2000), rng.random_range(0..2000))),
        "arr" | "Arr" => list(rng, out, number),
        "m" => entries(rng, out),
        "r" => list(rng, out, |rng, out| object(rng, depth - 1, out)),
        "s" => string(rng, out),
        _ => value(rng, depth, out),
    }
}

fn value(rng: &mut StdRng, depth: u32, out: &mut String) {
    match rng.random_range(0..if depth == 0 { 4 } else { 7 }) {
        0 => number(rng, out),
        1 => string(rng, out),
        2 => out.push_str(["true", "false", "null"][rng.random_range(0..3)]),
        3 => out.push_str(["\"12\"", "\"-1.5\"", "\" 7\"", "\"\"", "\"true\""][rng.random_range(0..5)]),
        4 => list(rng, out, |rng, out| value(rng, depth - 1, out)),
        _ => object(rng, depth - 1, out),
    }
}

fn list(rng: &mut StdRng, out: &mut String, mut item: impl FnMut(&mut StdRng, &mut String)) {
    out.push('[');
    for index in 0..rng.random_range(0..4) {
        if index > 0 {
            out.push(',');
        }
        space(rng, out);
        item(rng, out);
        space(rng, out);
    }
    out.push(']');
}

fn entries(rng: &mut StdRng, out: &mut String) {
    out.push('{');
    for index in 0..rng.random_range(0..12) {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&format!("\"{}\":", NAMES[rng.random_range(0..NAMES.len())]));
        if rng.random_bool(0.9) { number(rng, out) } else { string(rng, out) }
    }
    out.push('}');
}

fn number(rng: &mut StdRng, out: &mut String) {
    let text = match rng.random_range(0..9) {
        0 => rng.random::<i64>().to_string(),
        1 => rng.random::<u64>().to_string(),
        2 => format!("{:?}", f64::from_bits(rng.random())).replace("NaN", "0").replace("inf", "1"),
        3 => format!("{}e{}", rng.random_range(0..100), rng.random_range(-30..30)),
        4 => "-0".into(),
        5 => format!("{}.{}", rng.random_range(-100..100), rng.random_range(0..100)),
        _ => rng.random_range(-1000..1000).to_string(),
    };
    out.push_str(&text);
}

fn string(rng: &mut StdRng, out: &mut String) {
    out.push('"');
    for _ in 0..rng.random_range(0..12) {
        match rng.random_range(0..24) {
            0 => out.push_str("\\n"),
            1 => out.push_str("\\\""),
            2 => out.push_str("\\u00E9"),
            3 => out.push_str("\\ud83d\\ude00"),
            7 => out.push_str(["\\ud83d", "\\uDE00"][rng.random_range(0..2)]),
            4 => out.push('\u{1f600}'),
            5 => out.push('\u{e9}'),
            6 => out.push_str("\\\\"),
            _ => out.push((b'a' + rng.random_range(0..26)) as char),
        }
    }
    out.push('"');
}

fn space(rng: &mut StdRng, out: &mut String) {
    if rng.random_bool(0.1) {
        out.push([' ', '\n', '\t', '\r'][rng.random_range(0..4)]);
    }
}

fn damage(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let at = rng.random_range(0..=bytes.len());
    let shrapnel = SHRAPNEL[rng.random_range(0..SHRAPNEL.len())];
    match rng.random_range(0..7) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, shrapnel),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 if at < bytes.len() => bytes[at] = shrapnel,
        4 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        5 => {
            let end = rng.random_range(at..=bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
        _ => bytes
            .splice(at..at, [b"[", b"{\"a\":" as &[u8]][rng.random_range(0..2)].repeat(rng.random_range(1..200)))
            .for_each(drop),
    }
}
