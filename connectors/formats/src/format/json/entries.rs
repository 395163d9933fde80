//! Reads an array of entries, `[{"key": "a", "value": 1}]`, into a MAP, or checks it for one: the form that Kafka
//! Connect writes maps in whose keys are not texts, or may be null.
//!
//! Of several entries with the same key the last one wins and stays where its key came first, as in an object; but
//! unlike there, each of them must fit. A value that is missing is null, and a key must be a scalar, which becomes a
//! text.

use std::collections::HashMap;

use super::check::Check;
use super::fault::{Fault, Read};
use super::map::has_duplicate;
use super::scan::{Place, Scan};
use super::value::{self, Plan, column_full, in_item};
use crate::format::column::Map;

/// Reads the array at the cursor as one row.
pub(super) fn read(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<()> {
    let start = scan.place();
    let first = map.closed_entries();
    each(scan, |scan, _| read_entry(scan, plan, map))?;
    if has_duplicate(map, first) {
        read_last(scan, start, plan, map, first)?;
    }
    map.close();
    Ok(())
}

/// Returns the error with which [`read`] would reject the array at the cursor.
pub(super) fn check(scan: &mut Scan<'_>, values: &mut Check) -> Read<()> {
    let mut key = Vec::new();
    each(scan, |scan, _| entry(scan, &mut key, |scan| values.read(scan)).map(drop))
}

fn each(scan: &mut Scan<'_>, mut read: impl FnMut(&mut Scan<'_>, Place) -> Read<()>) -> Read<()> {
    if scan.open(b']')? {
        return Ok(());
    }
    for index in 0_usize.. {
        let place = scan.place();
        read(scan, place).map_err(|fault| in_item(fault, index))?;
        if !scan.another(b']')? {
            break;
        }
    }
    Ok(())
}

fn read_entry(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<()> {
    let at = scan.at();
    let len = map.values.len();
    let mut key = Vec::new();
    let has_value = entry(scan, &mut key, |scan| {
        map.values.truncate(len);
        value::read(scan, plan, &mut map.values)
    })?;
    if !has_value {
        map.values.push_null();
    }
    map.keys.push(&key).map_err(|full| column_full(at, &full))
}

/// Reads an entry: its key, and its value with `read`, which is called again if there is another one. Returns whether
/// there is a value.
fn entry(scan: &mut Scan<'_>, key: &mut Vec<u8>, mut read: impl FnMut(&mut Scan<'_>) -> Read<()>) -> Read<bool> {
    let at = scan.at();
    if scan.peek() != Some(b'{') {
        scan.skip_value()?;
        return Err(Fault::misfit(at, "an entry of a MAP is an object with a key and a value"));
    }
    let (mut has_key, mut has_value) = (false, false);
    let mut is_open = !scan.open(b'}')?;
    while is_open {
        match &*scan.name()?.text() {
            "key" => {
                has_key = true;
                read_key(scan, key).map_err(|fault| fault.within(".key".to_owned()))?;
            }
            "value" => {
                has_value = true;
                read(scan).map_err(|fault| fault.within(".value".to_owned()))?;
            }
            _ => scan.skip_value()?,
        }
        is_open = scan.another(b'}')?;
    }
    match has_key {
        true => Ok(has_value),
        false => Err(Fault::misfit(at, "the entry of a MAP has no key")),
    }
}

fn read_key(scan: &mut Scan<'_>, key: &mut Vec<u8>) -> Read<()> {
    let at = scan.at();
    key.clear();
    match scan.peek() {
        Some(b'"') => scan.string()?.write(key),
        Some(b'-' | b'0'..=b'9') => key.extend_from_slice(scan.number()?.0),
        Some(b't' | b'f') => {
            scan.skip_value()?;
            key.extend_from_slice(scan.since(at));
        }
        _ => {
            scan.skip_value()?;
            return Err(Fault::misfit(at, "the key of a MAP is not a scalar"));
        }
    }
    Ok(())
}

/// Reads the entries again, of each key the last one.
#[cold]
fn read_last(scan: &mut Scan<'_>, start: Place, plan: &mut Plan, map: &mut Map, first: usize) -> Read<()> {
    let end = scan.place();
    map.truncate_entries(first);
    scan.return_to(start);
    let (mut places, mut by_key, mut key) = (Vec::new(), HashMap::new(), Vec::new());
    each(scan, |scan, place| {
        entry(scan, &mut key, |scan| scan.skip_value())?;
        match *by_key.entry(key.clone()).or_insert(places.len()) {
            new if new == places.len() => places.push(place),
            known => places[known] = place,
        }
        Ok(())
    })?;
    for place in places {
        scan.return_to(place);
        read_entry(scan, plan, map)?;
    }
    scan.return_to(end);
    Ok(())
}
