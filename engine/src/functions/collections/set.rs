//! Arrays as sets: each element once, in the order of its first appearance.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::row::{Row as Key, RowConverter, SortField};
use datafusion::error::Result;

use crate::functions::call::{Call, Lists};

/// ARRAY_DISTINCT.
pub fn distinct(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, Keep::All)
}

/// ARRAY_UNION.
pub fn union(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, Keep::All)
}

/// ARRAY_INTERSECT.
pub fn intersect(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, Keep::Common)
}

/// ARRAY_EXCEPT.
pub fn except(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, Keep::Others)
}

/// Which elements stay: all, or those of the first array by whether the second has them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Common,
    Others,
}

fn each(call: &Call<'_>, keep: Keep) -> Result<ArrayRef> {
    let lists: Vec<Lists<'_>> = (0..call.len()).map(|at| call.lists(at)).collect();
    let values: Vec<&dyn Array> = lists.iter().map(|list| list.array().values().as_ref()).collect();
    let second = values[0].len();
    let all = concat(&values)?;
    // Elements as bytes that are equal when the elements are, whatever their type.
    let converter = RowConverter::new(vec![SortField::new(all.data_type().clone())])?;
    let keys = converter.convert_columns(std::slice::from_ref(&all))?;
    let (mut seen, mut other): (HashSet<Key<'_>>, HashSet<Key<'_>>) = (HashSet::new(), HashSet::new());
    call.each_taken(&all, |row, places| {
        let Some(left) = lists[0].range(row) else { return Ok(None) };
        let right = lists.get(1).and_then(|list| list.range(row)).unwrap_or(0..0);
        let right = second + right.start..second + right.end;
        seen.clear();
        other.clear();
        if keep != Keep::All {
            other.extend(right.clone().map(|at| keys.row(at)));
        }
        let right = if keep == Keep::All { right } else { 0..0 };
        for at in left.chain(right) {
            let key = keys.row(at);
            if keep != Keep::All && other.contains(&key) != (keep == Keep::Common) {
                continue;
            }
            if seen.insert(key) {
                places.push(Some(at as u32));
            }
        }
        Ok(Some(()))
    })
}
