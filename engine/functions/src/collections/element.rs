//! Elements and slices of arrays.

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::{SortOptions, concat as arrow_concat};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use crate::call::Call;
use crate::one_form::in_one_form;

/// ARRAY_LENGTH.
pub fn length(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    call.each::<Int32Type>(|row| Ok(lists.range(row).map(|range| range.len() as i32)))
}

/// ARRAY_CONTAINS.
pub fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    let (lists, wanted) = (call.lists(0), in_one_form(&call.array(1)?)?);
    let same = make_comparator(&in_one_form(lists.array().values())?, &wanted, SortOptions::default())?;
    call.each_flag(|row| Ok(Some(lists.range(row).is_some_and(|mut range| range.any(|at| same(at, row).is_eq())))))
}

/// ARRAY_REMOVE.
pub fn remove(call: &Call<'_>) -> Result<ArrayRef> {
    let (lists, victims) = (call.lists(0), in_one_form(&call.array(1)?)?);
    let same = make_comparator(&in_one_form(lists.array().values())?, &victims, SortOptions::default())?;
    call.each_taken(lists.array().values(), |row, places| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        places.extend(range.filter(|at| !same(*at, row).is_eq()).map(|at| Some(at as u32)));
        Ok(Some(()))
    })
}

/// ARRAY_CONCAT.
pub fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (call.lists(0), call.lists(1));
    let all = arrow_concat(&[left.array().values().as_ref(), right.array().values().as_ref()])?;
    let second = left.array().values().len();
    call.each_taken(&all, |row, places| {
        let (left, right) = (left.range(row), right.range(row));
        if left.is_none() && right.is_none() {
            return Ok(None);
        }
        places.extend(left.into_iter().flatten().map(|at| Some(at as u32)));
        places.extend(right.into_iter().flatten().map(|at| Some((second + at) as u32)));
        Ok(Some(()))
    })
}

/// SLICE.
pub fn slice(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let (from, to) = (call.numbers::<Int32Type>(1), call.numbers::<Int32Type>(2));
    call.each_taken(lists.array().values(), |row, places| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        let start = from.get(row).map_or(0, |from| i64::from(from) - 1);
        let end = to.get(row).map_or(range.len() as i64, i64::from);
        if start < 0 || end > range.len() as i64 {
            return Ok(None);
        }
        if start > end {
            return Err(format!("the position {} is after {end}", start + 1));
        }
        places.extend((start..end).map(|at| Some((range.start as i64 + at) as u32)));
        Ok(Some(()))
    })
}
