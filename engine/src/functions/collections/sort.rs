//! The order of elements.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use datafusion::error::Result;

use crate::functions::call::Call;

/// ARRAY_MAX.
pub fn max(call: &Call<'_>) -> Result<ArrayRef> {
    extreme(call, Ordering::Greater)
}

/// ARRAY_MIN.
pub fn min(call: &Call<'_>) -> Result<ArrayRef> {
    extreme(call, Ordering::Less)
}

fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let values = lists.array().values();
    let order = make_comparator(values, values, SortOptions::default())?;
    let best = |row: usize| {
        let present = lists.range(row)?.filter(|at| values.is_valid(*at));
        present.reduce(|best, at| if order(at, best) == wanted { at } else { best }).map(|at| at as u32)
    };
    let places: UInt32Array = (0..call.rows()).map(best).collect();
    Ok(take(values, &places, None)?)
}

/// ARRAY_SORT.
pub fn sort(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.lists(0);
    let directions = (call.len() > 1).then(|| call.texts(1));
    let values = lists.array().values();
    let [up, down] =
        [false, true].map(|descending| make_comparator(values, values, SortOptions { descending, nulls_first: false }));
    let (up, down) = (up?, down?);
    call.each_taken(values, |row, places| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        let is = |text: &str, words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        let order = match directions.as_ref().map_or("ASC", |directions| directions.value(row)) {
            text if is(text, ["ASC", "ASCENDING"]) => &up,
            text if is(text, ["DESC", "DESCENDING"]) => &down,
            _ => return Ok(None),
        };
        let first = places.len();
        places.extend(range.map(|at| Some(at as u32)));
        places[first..].sort_by(|a, b| order(a.unwrap_or(0) as usize, b.unwrap_or(0) as usize));
        Ok(Some(()))
    })
}
