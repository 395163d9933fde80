//! Maps: Avro's own, whose keys are texts, and those that Connect wrote as an array of records with a key and a value.
//!
//! Of several entries with the same key the last one wins, as in Java, where a map is a hash map.

use std::collections::HashSet;

use super::super::column::{Bytes, Map};
use super::check::check;
use super::plan::{Entries, Plan};
use super::read::{Run, push_bytes, read};
use super::text::push_text;
use crate::format::fault::Outcome;

/// Up to this number of keys, duplicates are found by comparing all pairs; beyond it, with a hash set.
const PAIRWISE_MAX: usize = 8;

/// Reads a map as one row.
pub(super) fn read_map(run: &mut Run<'_>, entries: &Entries, map: &mut Map) -> Outcome<()> {
    let first = map.closed_entries();
    let start = run.cursor.place();
    while let Some(block) = run.cursor.block(entries.empty)? {
        for _ in 0..block.items {
            read_entry(run, entries, map)?;
        }
    }
    if let Some(kept) = without_duplicates(map, first) {
        map.truncate_entries(first);
        run.cursor.return_to(start);
        read_kept(run, entries, map, &kept)?;
    }
    map.close();
    Ok(())
}

#[inline]
fn read_entry(run: &mut Run<'_>, entries: &Entries, map: &mut Map) -> Outcome<()> {
    read_key(run, &entries.key, &mut map.keys)?;
    read(run, &entries.value, &mut map.values).map_err(|fault| fault.in_entry(map.keys.get(map.keys.len() - 1)))
}

/// Reads a map again, without the entries that another one replaces.
#[cold]
fn read_kept(run: &mut Run<'_>, entries: &Entries, map: &mut Map, kept: &[bool]) -> Outcome<()> {
    let mut kept = kept.iter();
    while let Some(block) = run.cursor.block(entries.empty)? {
        for _ in 0..block.items {
            match kept.next() {
                Some(true) => read_entry(run, entries, map)?,
                _ => check_entry(run, entries)?,
            }
        }
    }
    Ok(())
}

/// Returns the error with which [`read_map`] would reject the map.
pub(super) fn check_map(run: &mut Run<'_>, entries: &Entries) -> Outcome<()> {
    while let Some(block) = run.cursor.block(entries.empty)? {
        for _ in 0..block.items {
            check_entry(run, entries)?;
        }
    }
    Ok(())
}

fn check_entry(run: &mut Run<'_>, entries: &Entries) -> Outcome<()> {
    let start = run.cursor.place();
    check_key(run, &entries.key)?;
    check(run, &entries.value).map_err(|fault| {
        // The key is read once more, for the path alone.
        let mut key = Bytes::new();
        run.cursor.return_to(start);
        let is_read = read_key(run, &entries.key, &mut key).is_ok();
        if is_read { fault.in_entry(key.get(0)) } else { fault }
    })
}

fn read_key(run: &mut Run<'_>, plan: &Plan, keys: &mut Bytes) -> Outcome<()> {
    match plan {
        Plan::String => {
            let key = run.cursor.text()?;
            push_bytes(keys, key, &run.cursor)
        }
        Plan::Text(text) => push_text(&mut run.cursor, *text, keys),
        Plan::Enum(symbols) => {
            let symbol = &symbols[run.cursor.symbol(symbols.len())?];
            push_bytes(keys, symbol.as_bytes(), &run.cursor)
        }
        Plan::Optional(..) | Plan::Union(_) => {
            let plan = key_branch(run, plan)?;
            read_key(run, plan, keys)
        }
        plan => check_key(run, plan),
    }
}

fn check_key(run: &mut Run<'_>, plan: &Plan) -> Outcome<()> {
    match plan {
        Plan::Optional(..) | Plan::Union(_) => {
            let plan = key_branch(run, plan)?;
            check_key(run, plan)
        }
        Plan::Null => Err(run.cursor.fault("the key of an entry is null")),
        plan => check(run, plan),
    }
}

/// The plan for the branch of a union that comes next.
fn key_branch<'a>(run: &mut Run<'_>, plan: &'a Plan) -> Outcome<&'a Plan> {
    match plan {
        Plan::Optional(null, plan) => match run.cursor.branch(2)? {
            branch if branch == *null => Ok(&Plan::Null),
            _ => Ok(plan),
        },
        Plan::Union(branches) => Ok(&branches[run.cursor.branch(branches.len())?]),
        plan => Ok(plan),
    }
}

/// If some of the entries from `first` on have the same key, for each of them whether it is the last with its key.
fn without_duplicates(map: &Map, first: usize) -> Option<Vec<bool>> {
    let keys = first..map.keys.len();
    if keys.len() <= PAIRWISE_MAX {
        let is_new = |at: usize| (first..at).all(|earlier| map.keys.get(earlier) != map.keys.get(at));
        if keys.clone().all(is_new) {
            return None;
        }
    }
    let mut seen = HashSet::with_capacity(keys.len());
    let mut kept: Vec<_> = keys.rev().map(|at| seen.insert(map.keys.get(at))).collect();
    kept.reverse();
    kept.contains(&false).then_some(kept)
}
