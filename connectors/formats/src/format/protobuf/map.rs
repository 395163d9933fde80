//! Duplicate keys of a map: the last entry wins and stays where its key came first, as in ksqlDB.
//!
//! Separate because entries are read as they come, and few maps have a duplicate: only those are read twice.

use std::collections::HashMap;

use super::decode::MADE_FOR_COLUMN;
use super::plan::FieldPlan;
use super::wire::{BYTES, Input};
use crate::format::column::{Column, Map, Values};
use crate::format::fault::Outcome;

/// Up to this number of keys, duplicates are found by comparing all pairs; beyond it, by sorting.
const PAIRWISE_MAX: usize = 8;

/// The values of a MAP column.
pub(super) fn of_column(column: &mut Column) -> &mut Map {
    match &mut column.values {
        Values::Map(map) => map,
        _ => unreachable!("{MADE_FOR_COLUMN}"),
    }
}

/// Completes a row with the entries that were read from `input`.
pub(super) fn finish(field: &mut FieldPlan, input: &Input<'_>, column: &mut Column) -> Outcome<()> {
    let map = of_column(column);
    let first = map.closed_entries();
    if has_duplicate(map, first, &mut field.order) {
        map.truncate_entries(first);
        for entry in last_entries(field, input)? {
            field.read_entry(entry, input, Some(column))?;
        }
    }
    of_column(column).close();
    column.close();
    Ok(())
}

fn has_duplicate(map: &Map, first: usize, order: &mut Vec<usize>) -> bool {
    let keys = first..map.keys.len();
    if keys.len() <= PAIRWISE_MAX {
        return keys.clone().any(|a| (first..a).any(|b| map.keys.get(a) == map.keys.get(b)));
    }
    order.clear();
    order.extend(keys);
    order.sort_unstable_by(|a, b| map.keys.get(*a).cmp(map.keys.get(*b)));
    order.windows(2).any(|pair| map.keys.get(pair[0]) == map.keys.get(pair[1]))
}

/// The last entry of each key, in the order in which the keys first occur.
#[cold]
fn last_entries(field: &mut FieldPlan, input: &Input<'_>) -> Outcome<Vec<u64>> {
    let mut entries = Vec::new();
    let mut by_key = HashMap::new();
    let mut rest = input.again();
    while !rest.is_empty() {
        let tag = rest.tag()?;
        if tag != field.tag {
            rest.skip(tag)?;
            continue;
        }
        let entry = rest.value(BYTES)?;
        field.read_entry(entry, input, None)?;
        let key = field.entry_key(&input.inner(entry))?;
        match *by_key.entry(key).or_insert(entries.len()) {
            new if new == entries.len() => entries.push(entry),
            known => entries[known] = entry,
        }
    }
    Ok(entries)
}
