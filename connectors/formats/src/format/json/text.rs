//! Prints JSON arrays and objects as text, for STRING columns, in the same way as ksqlDB.
//!
//! An array is printed as `[a, b]`, with unquoted strings and `null` for nulls. An object is printed as compact JSON,
//! with the last of several equal names in the position of the first. Numbers are printed as by `BigDecimal`. An
//! array within an object is printed as JSON. Nothing recurses, however deeply a value is nested.

use std::collections::HashMap;
use std::ops::Range;

use super::encode::write_string;
use super::fault::{Fault, Read};
use super::scan::Scan;
use crate::format::number::Literal;

/// Up to this number of names, duplicates are found by comparing all pairs; beyond it, with a hash map.
const PAIRWISE_MAX: usize = 8;

/// An array or object that is being printed.
enum Level {
    /// An array that is not part of an object, printed like a Java list.
    List,
    Array,
    Object(Members),
}

/// The members of an object so far, as ranges of the text.
#[derive(Default)]
struct Members {
    names: Vec<Range<usize>>,
}

/// Writes the array or object at the cursor.
pub(super) fn write(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    let mut levels = Vec::new();
    loop {
        if begin_value(scan, &mut levels, out)? {
            continue;
        }
        loop {
            let Some(level) = levels.last_mut() else { return Ok(()) };
            if scan.another(level.closing())? {
                level.begin_element(scan, out, true)?;
                break;
            }
            level.end(out);
            levels.pop();
        }
    }
}

/// Writes the value at the cursor, or only the beginning of an array or object; returns true if its first element
/// comes next.
fn begin_value(scan: &mut Scan<'_>, levels: &mut Vec<Level>, out: &mut Vec<u8>) -> Read<bool> {
    let mut level = match scan.peek() {
        Some(b'{') => Level::Object(Members::default()),
        Some(b'[') if matches!(levels.last(), None | Some(Level::List)) => Level::List,
        Some(b'[') => Level::Array,
        _ => return write_scalar(scan, levels.last(), out).map(|()| false),
    };
    out.push(if level.closing() == b'}' { b'{' } else { b'[' });
    if scan.open(level.closing())? {
        out.push(level.closing());
        return Ok(false);
    }
    level.begin_element(scan, out, false)?;
    levels.push(level);
    Ok(true)
}

fn write_scalar(scan: &mut Scan<'_>, level: Option<&Level>, out: &mut Vec<u8>) -> Read<()> {
    match (scan.peek(), level) {
        (Some(b'"'), Some(Level::List)) => scan.string()?.write(out),
        (Some(b'"'), _) => write_string(scan.string()?.text().as_bytes(), out),
        (Some(b'-' | b'0'..=b'9'), _) => return write_number(scan, out),
        _ => {
            let start = scan.at();
            scan.skip_value()?;
            out.extend_from_slice(scan.since(start));
        }
    }
    Ok(())
}

fn write_number(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    let at = scan.at();
    let (text, _) = scan.number()?;
    Literal::parse(text).ok_or_else(|| Fault::misfit(at, "not a number"))?.write_java(out);
    Ok(())
}

impl Level {
    fn closing(&self) -> u8 {
        if matches!(self, Self::Object(_)) { b'}' } else { b']' }
    }

    /// Writes what precedes an element's value; `more` is true if it is not the first.
    fn begin_element(&mut self, scan: &mut Scan<'_>, out: &mut Vec<u8>, more: bool) -> Read<()> {
        if more {
            out.extend_from_slice(if matches!(self, Self::List) { b", " } else { b"," });
        }
        if let Self::Object(members) = self {
            let start = out.len();
            write_string(scan.name()?.text().as_bytes(), out);
            members.names.push(start..out.len());
            out.push(b':');
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Self::Object(members) = self {
            members.keep_last(out);
        }
        out.push(self.closing());
    }
}

impl Members {
    /// Removes members that a later member with the same name replaces.
    fn keep_last(&self, out: &mut Vec<u8>) {
        let Some(first) = self.names.first().map(|name| name.start) else { return };
        let last_of_each = self.last_of_each(out);
        if last_of_each.len() == self.names.len() {
            return;
        }
        let end_of = |member: usize| self.names.get(member + 1).map_or(out.len(), |next| next.start - 1);
        let mut kept = Vec::with_capacity(out.len() - first);
        for member in last_of_each {
            if !kept.is_empty() {
                kept.push(b',');
            }
            kept.extend_from_slice(&out[self.names[member].start..end_of(member)]);
        }
        out.truncate(first);
        out.extend_from_slice(&kept);
    }

    /// The last member of each name, in the order in which the names first occur.
    fn last_of_each(&self, out: &[u8]) -> Vec<usize> {
        let name = |member: usize| &out[self.names[member].clone()];
        let count = self.names.len();
        if count <= PAIRWISE_MAX && (0..count).all(|a| (0..a).all(|b| name(a) != name(b))) {
            return (0..count).collect();
        }
        let mut slots = HashMap::with_capacity(count);
        let mut last = Vec::with_capacity(count);
        for member in 0..count {
            match slots.entry(name(member)) {
                std::collections::hash_map::Entry::Occupied(slot) => last[*slot.get()] = member,
                std::collections::hash_map::Entry::Vacant(slot) => {
                    slot.insert(last.len());
                    last.push(member);
                }
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::NESTING_MAX;
    use super::*;

    fn written(json: &str) -> String {
        let mut out = b"before".to_vec();
        write(&mut Scan::new(json.as_bytes()), &mut out).unwrap();
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn arrays_are_lists_and_objects_are_json() {
        for (json, expected) in [
            ("[ ]", "[]"),
            ("{ }", "{}"),
            (r#"["a", 1.0e2, null, ["b", {"c": ["d", "e"]}]]"#, r#"[a, 1.0E+2, null, [b, {"c":["d","e"]}]]"#),
            (r#"{"a": [["b", -0], {}], "c": "\u00e9\ud83d"}"#, "{\"a\":[[\"b\",0],{}],\"c\":\"\u{e9}?\"}"),
        ] {
            assert_eq!(written(json), expected);
        }
    }

    #[test]
    fn the_last_of_equal_names_is_in_the_place_of_the_first() {
        assert_eq!(written(r#"{"a":1,"b":{"x":1,"x":[2]},"\u0061":{"y":3}}"#), r#"{"a":{"y":3},"b":{"x":[2]}}"#);
        assert_eq!(written(r#"{"a":1,"a":2,"a":3}"#), r#"{"a":3}"#);
        let many: Vec<String> = (0..40).map(|n| format!("\"m{}\":{n}", n % 20)).collect();
        let last: Vec<String> = (20..40).map(|n| format!("\"m{}\":{n}", n % 20)).collect();
        assert_eq!(written(&format!("{{{}}}", many.join(","))), format!("{{{}}}", last.join(",")));
    }

    #[test]
    fn nesting_to_the_limit_is_written_on_a_small_stack() {
        let levels = NESTING_MAX as usize / 2;
        let json = "[{\"a\":".repeat(levels) + "1" + &"}]".repeat(levels);
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        let expected = json.clone();
        thread.spawn(move || assert_eq!(written(&json), expected)).unwrap().join().unwrap();
    }
}
