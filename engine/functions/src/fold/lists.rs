//! Arrays that are collected for groups. An item is copied only when all rows have been read; until then it is known by its
//! place in one column, which has the items in the states followed by the values of the rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, nullif, take};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

use super::Rows;
use crate::choice::list_of;

/// The maximum number of items in the arrays of all rows of a batch. Its caller then folds fewer rows at once.
const RUNNING_ITEMS_MAX: usize = 1 << 22;

/// The arrays of groups.
pub struct Lists {
    /// The items in the states, then the values of the rows.
    pub values: ArrayRef,
    /// The places of each group's items.
    items: Vec<Vec<u32>>,
    first_row: u32,
}

/// Arrays that were collected.
pub struct Collected {
    /// The array of each group.
    pub state: ArrayRef,
    /// The array of each row's group after that row, if it was requested.
    pub running: Option<ArrayRef>,
}

impl Lists {
    /// The arrays in states, and the values of rows.
    pub fn read(state: &ArrayRef, rows: &ArrayRef) -> Result<Self, ArrowError> {
        let lists = state.as_list::<i32>();
        let (start, end) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
        let place = |offset: i32| (offset - start).unsigned_abs();
        let items = |group: usize| match lists.is_valid(group) {
            true => (place(lists.value_offsets()[group])..place(lists.value_offsets()[group + 1])).collect(),
            false => Vec::new(),
        };
        let stored = lists.values().slice(start.unsigned_abs() as usize, place(end) as usize);
        let values = concat(&[stored.as_ref(), rows.as_ref()])?;
        Ok(Self { values, items: (0..lists.len()).map(items).collect(), first_row: place(end) })
    }

    /// Each item in the states: its group and its place.
    pub fn stored(&self) -> impl Iterator<Item = (usize, usize)> {
        let items = self.items.iter().enumerate();
        items.flat_map(|(group, items)| items.iter().map(move |place| (group, *place as usize)))
    }

    /// Calls `change` for each row with its index, its group, the places of the group's items, and the place of its value.
    pub fn fold(
        mut self,
        rows: &Rows<'_>,
        running: bool,
        mut change: impl FnMut(usize, usize, &mut Vec<u32>, u32),
    ) -> Result<Collected, ArrowError> {
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for ((row, group), place) in rows.groups.iter().enumerate().zip(self.first_row..) {
            let items = &mut self.items[*group as usize];
            change(row, *group as usize, items, place);
            if running {
                places.extend_from_slice(items);
                lengths.push(items.len());
                check_running(places.len(), rows)?;
            }
        }
        let running = running.then(|| list_array(&self.values, places, lengths)).transpose()?;
        let lengths = self.items.iter().map(Vec::len).collect();
        Ok(Collected { state: list_array(&self.values, self.items.concat(), lengths)?, running })
    }
}

/// Fails if the arrays of all rows have too many items to be created at once. Those of a single row never have.
pub fn check_running(items: usize, rows: &Rows<'_>) -> Result<(), ArrowError> {
    match items > RUNNING_ITEMS_MAX && rows.groups.len() > 1 {
        true => Err(ArrowError::ComputeError(format!("the arrays of {} rows are too large", rows.groups.len()))),
        false => Ok(()),
    }
}

/// The offsets of arrays of these lengths. Fails if there are too many items.
pub fn offsets(lengths: Vec<usize>) -> Result<OffsetBuffer<i32>, ArrowError> {
    match i32::try_from(lengths.iter().sum::<usize>()) {
        Ok(_) => Ok(OffsetBuffer::from_lengths(lengths)),
        Err(_) => Err(ArrowError::ComputeError("the arrays of all groups are too large".to_owned())),
    }
}

fn list_array(values: &ArrayRef, places: Vec<u32>, lengths: Vec<usize>) -> Result<ArrayRef, ArrowError> {
    let (offsets, items) = (offsets(lengths)?, take(values, &UInt32Array::from(places), None)?);
    let field = item_field(&list_of(items.data_type().clone()));
    Ok(Arc::new(ListArray::try_new(field, offsets, items, None)?))
}

/// The field of the items of an array.
pub fn item_field(ty: &DataType) -> FieldRef {
    crate::call::item_field(ty).expect("the type is an array")
}

/// The states of new groups.
pub fn new_lists(ty: &DataType, groups: usize) -> ArrayRef {
    new_null_array(ty, groups)
}

/// Merges the arrays of groups by collecting their items as if they were the values of rows.
pub fn merge(
    state: &ArrayRef,
    into: &[u32],
    groups: usize,
    collect: impl FnOnce(&ArrayRef, &ArrayRef, &Rows<'_>) -> Result<Collected, ArrowError>,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let (items, numbers) = flattened(state, into)?;
    let order = Int64Array::from(vec![0; numbers.len()]);
    let rows = Rows { groups: &numbers, args: &[], undone: None, order: &order };
    let merged = collect(&new_lists(state.data_type(), groups), &items, &rows)?;
    only_merged(&merged.state, state, into)
}

/// The items of arrays, each with the group into which its array is merged.
pub fn flattened(state: &ArrayRef, into: &[u32]) -> Result<(ArrayRef, Vec<u32>), ArrowError> {
    let lists = state.as_list::<i32>();
    let (mut places, mut numbers) = (Vec::new(), Vec::new());
    for (row, group) in into.iter().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
        let items = lists.value_offsets()[row]..lists.value_offsets()[row + 1];
        numbers.extend(items.clone().map(|_| *group));
        places.extend(items.map(i32::unsigned_abs));
    }
    Ok((take(lists.values(), &UInt32Array::from(places), None)?, numbers))
}

/// The merged states; null for groups into which nothing was merged.
pub fn only_merged(merged: &ArrayRef, state: &ArrayRef, into: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut is_new = vec![true; merged.len()];
    for (_, group) in into.iter().enumerate().filter(|(row, _)| state.is_valid(*row)) {
        is_new[*group as usize] = false;
    }
    Ok(vec![nullif(merged, &BooleanArray::from(is_new))?])
}
