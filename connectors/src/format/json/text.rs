//! JSON values as text, for STRING columns: what ksqlDB prints for an array or object.
//!
//! An array is `[a, b]`, its strings bare and its nulls `null`; an object is compact JSON with the
//! last of equal names, in the place of the first; numbers are as `BigDecimal` prints them.

use std::collections::HashMap;

use super::encode::write_string;
use super::fault::{Fault, Read};
use super::scan::Scan;
use super::token::Token;
use crate::format::number::Literal;

/// Writes the array at the cursor.
pub(super) fn write_array(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    out.push(b'[');
    if !scan.open(b']')? {
        loop {
            write_element(scan, out)?;
            if !scan.another(b']')? {
                break;
            }
            out.extend_from_slice(b", ");
        }
    }
    out.push(b']');
    Ok(())
}

fn write_element(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    match scan.peek() {
        Some(b'[') => write_array(scan, out),
        Some(b'"') => {
            scan.string()?.write(out);
            Ok(())
        }
        _ => write_json(scan, out),
    }
}

/// Writes the value at the cursor as JSON.
fn write_json(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    match scan.peek() {
        Some(b'{') => write_object(scan, out),
        Some(b'[') => write_json_array(scan, out),
        Some(b'"') => {
            write_token(scan.string()?, out);
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') => write_number(scan, out),
        _ => {
            let start = scan.at();
            scan.skip_value()?;
            out.extend_from_slice(scan.since(start));
            Ok(())
        }
    }
}

fn write_token(token: Token<'_>, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    token.write(&mut text);
    write_string(&text, out);
}

fn write_number(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    let at = scan.at();
    let (text, _) = scan.number()?;
    let literal = Literal::parse(text).ok_or_else(|| Fault::misfit(at, "the exponent of the number is too large"))?;
    literal.write_java(out);
    Ok(())
}

fn write_json_array(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    out.push(b'[');
    if !scan.open(b']')? {
        loop {
            write_json(scan, out)?;
            if !scan.another(b']')? {
                break;
            }
            out.push(b',');
        }
    }
    out.push(b']');
    Ok(())
}

/// Writes the object at the cursor. Its members are gathered first, as a later one may replace an
/// earlier one.
pub(super) fn write_object(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    out.push(b'{');
    if !scan.open(b'}')? {
        let members = members(scan)?;
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member);
        }
    }
    out.push(b'}');
    Ok(())
}

fn members(scan: &mut Scan<'_>) -> Read<Vec<Vec<u8>>> {
    let mut members: Vec<Vec<u8>> = Vec::new();
    let mut index = HashMap::new();
    loop {
        let mut member = Vec::new();
        write_token(scan.name()?, &mut member);
        let slot = *index.entry(member.clone()).or_insert(members.len());
        member.push(b':');
        write_json(scan, &mut member)?;
        match members.get_mut(slot) {
            Some(earlier) => *earlier = member,
            None => members.push(member),
        }
        if !scan.another(b'}')? {
            return Ok(members);
        }
    }
}
