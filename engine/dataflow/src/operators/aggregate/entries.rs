//! The entries of a batch by their groups. An entry is a row in one of its windows.

use std::ops::Range;

use arrow::array::{Array, AsArray, BinaryArray, UInt32Array};
use arrow::compute::{concat, take};
use arrow::error::ArrowError;
use headwater_state::Store;

use super::deadlines::Due;
use super::folding::rows_at;
use super::{Aggregate, Incoming};
use crate::operators::encoding::States;
use crate::operators::grouping::{Groups, group};

/// Entries, followed by groups without rows in the batch, by their groups.
#[derive(Debug)]
pub(super) struct Grouped {
    /// The groups.
    pub groups: Groups,
    /// The key of each group.
    pub keys: BinaryArray,
    /// The start of each group's window.
    pub starts: Vec<i64>,
}

impl Grouped {
    /// The window and the key of a group.
    pub fn item(&self, group: u32) -> (i64, &[u8]) {
        (self.starts[group as usize], self.keys.value(group as usize))
    }

    /// The values of all groups in a store.
    pub fn values(&self, store: &dyn Store) -> Result<BinaryArray, ArrowError> {
        let get =
            |(start, groups): &(i64, Range<usize>)| store.get(*start, &self.keys.slice(groups.start, groups.len()));
        let mut values = self.groups.windows.iter().map(get).collect::<Result<Vec<_>, _>>()?;
        if values.len() == 1 {
            return Ok(values.remove(0));
        }
        let several: Vec<&dyn Array> = values.iter().map(|values| values as &dyn Array).collect();
        Ok(concat(&several)?.as_binary().clone())
    }

    /// The keys and values to be put, by window.
    pub fn puts(&self, values: &BinaryArray) -> Vec<(i64, BinaryArray, BinaryArray)> {
        let part = |array: &BinaryArray, groups: &Range<usize>| array.slice(groups.start, groups.len());
        let put = |(start, groups): &(i64, Range<usize>)| (*start, part(&self.keys, groups), part(values, groups));
        self.groups.windows.iter().map(put).collect()
    }
}

impl Aggregate {
    /// The entries at these rows and in these windows, and groups that are due, by their groups. A row is encoded once, in however
    /// many windows it is.
    pub(super) fn grouped(
        &self,
        incoming: Incoming<'_>,
        rows: &[u32],
        starts: &[i64],
        due: &[Due],
    ) -> Result<Grouped, ArrowError> {
        let mut distinct = rows.to_vec();
        distinct.dedup();
        let encoded = self.key.encode(&self.group_columns(&rows_at(incoming.chunk, &distinct)?), distinct.len())?;
        let keys = if distinct.len() == rows.len() { encoded } else { repeated(&encoded, rows, &distinct)? };
        let (mut starts, mut all) = (starts.to_vec(), keys);
        if !due.is_empty() {
            let due_keys = BinaryArray::from_iter_values(due.iter().map(|(_, key)| key));
            all = concat(&[&all, &due_keys])?.as_binary().clone();
            starts.extend(due.iter().map(|(start, _)| *start));
        }
        let groups = group(&all, &starts);
        let keys = take(&all, &UInt32Array::from(groups.firsts.clone()), None)?.as_binary().clone();
        let starts = groups.firsts.iter().map(|first| starts[*first as usize]).collect();
        Ok(Grouped { groups, keys, starts })
    }

    /// The states of groups in the store.
    pub(super) fn states(&self, grouped: &Grouped, store: &dyn Store) -> Result<States, ArrowError> {
        States::decode(&self.state, &grouped.values(store)?)
    }
}

/// The keys of distinct rows for all entries.
fn repeated(keys: &BinaryArray, rows: &[u32], distinct: &[u32]) -> Result<BinaryArray, ArrowError> {
    let mut at = 0;
    let place = |row: &u32| {
        at += usize::from(distinct[at] != *row);
        at as u32
    };
    let places = UInt32Array::from(rows.iter().map(place).collect::<Vec<_>>());
    Ok(take(keys, &places, None)?.as_binary().clone())
}
