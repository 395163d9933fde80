//! Reads a JSON object into a MAP, or checks it for one: every member is an entry, and the last of several members
//! with the same name wins.

use std::collections::{HashMap, HashSet};

use super::check::Check;
use super::fault::{Fault, Read};
use super::scan::{Place, Scan};
use super::value::{self, Plan, column_full};
use crate::format::column::Map;

/// Up to this number of keys, duplicates are found by comparing all pairs; beyond it, with a hash set.
const PAIRWISE_MAX: usize = 8;

/// Reads the object at the cursor as one row. Objects without duplicates, which are nearly all, are read in one pass;
/// if there is a duplicate, the entries are located first, and only the last one of each name is read.
pub(super) fn read(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<()> {
    let start = scan.place();
    let first = map.closed_entries();
    let misfit = read_all(scan, plan, map)?;
    if has_duplicate(map, first) {
        map.truncate_entries(first);
        scan.return_to(start);
        read_last(scan, plan, map)?;
    } else if let Some(misfit) = misfit {
        return Err(misfit);
    }
    map.close();
    Ok(())
}

/// Reads every member; returns the first whose value does not fit, which a duplicate may replace.
fn read_all(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<Option<Box<Fault>>> {
    let mut misfit = None;
    if scan.open(b'}')? {
        return Ok(misfit);
    }
    loop {
        let at = scan.at();
        scan.name()?.write(&mut map.keys.data);
        map.keys.close().map_err(|full| column_full(at, &full))?;
        if let Some(fault) = read_value(scan, plan, map)? {
            misfit.get_or_insert(fault);
        }
        if !scan.another(b'}')? {
            return Ok(misfit);
        }
    }
}

/// Reads a value, or skips it and returns the fault if it does not fit.
fn read_value(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<Option<Box<Fault>>> {
    let start = scan.place();
    let len = map.values.len();
    match value::read(scan, plan, &mut map.values) {
        Ok(()) => Ok(None),
        Err(fault) if fault.is_misfit() => {
            scan.return_to(start);
            map.values.truncate(len);
            map.values.push_null();
            scan.skip_value()?;
            Ok(Some(within(fault, map.keys.get(map.keys.len() - 1))))
        }
        Err(fault) => Err(fault),
    }
}

/// Adds the entry with this key to the path of the fault.
#[cold]
fn within(fault: Box<Fault>, key: &[u8]) -> Box<Fault> {
    fault.within(format!("[{:?}]", String::from_utf8_lossy(key)))
}

/// True if two of the entries from `first` on have the same key.
pub(super) fn has_duplicate(map: &Map, first: usize) -> bool {
    let keys = first..map.keys.len();
    if keys.len() <= PAIRWISE_MAX {
        return keys.clone().any(|a| (first..a).any(|b| map.keys.get(a) == map.keys.get(b)));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.into_iter().any(|at| !seen.insert(map.keys.get(at)))
}

fn read_last(scan: &mut Scan<'_>, plan: &mut Plan, map: &mut Map) -> Read<()> {
    let entries = locate(scan)?;
    let end = scan.place();
    for (key, place) in entries {
        scan.return_to(place);
        map.keys.push(&key).map_err(|full| column_full(scan.at(), &full))?;
        value::read(scan, plan, &mut map.values).map_err(|fault| within(fault, &key))?;
    }
    scan.return_to(end);
    Ok(())
}

/// The distinct names, in the order in which they first occur, each with the position of its last value.
fn locate(scan: &mut Scan<'_>) -> Read<Vec<(Vec<u8>, Place)>> {
    let mut entries: Vec<(Vec<u8>, Place)> = Vec::new();
    let mut index = HashMap::new();
    if scan.open(b'}')? {
        return Ok(entries);
    }
    loop {
        let mut key = Vec::new();
        scan.name()?.write(&mut key);
        let slot = *index.entry(key.clone()).or_insert(entries.len());
        match entries.get_mut(slot) {
            Some(entry) => entry.1 = scan.place(),
            None => entries.push((key, scan.place())),
        }
        scan.skip_value()?;
        if !scan.another(b'}')? {
            return Ok(entries);
        }
    }
}

/// Returns the error with which [`read`] would reject the object at the cursor. Names are only compared if a value
/// does not fit, because a later duplicate may replace it.
pub(super) fn check(scan: &mut Scan<'_>, values: &mut Check) -> Read<()> {
    let start = scan.place();
    if all_fit(scan, values)? {
        return Ok(());
    }
    scan.return_to(start);
    let entries = locate(scan)?;
    let end = scan.place();
    for (key, place) in entries {
        scan.return_to(place);
        values.read(scan).map_err(|fault| within(fault, &key))?;
    }
    scan.return_to(end);
    Ok(())
}

/// Skips the object, and returns whether every value fits.
fn all_fit(scan: &mut Scan<'_>, values: &mut Check) -> Read<bool> {
    let mut all = true;
    if scan.open(b'}')? {
        return Ok(all);
    }
    loop {
        scan.name()?;
        all &= values.fits(scan)?;
        if !scan.another(b'}')? {
            return Ok(all);
        }
    }
}
