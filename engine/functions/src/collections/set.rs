//! Arrays as sets: distinct elements, in the order in which they first appear.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::row::{Row as Key, RowConverter, SortField};
use datafusion::error::Result;

use crate::call::{Call, Lists};
use crate::one_form::in_one_form;

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

/// Which elements are kept: all, or those of the first array that are, or are not, in the second.
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
    // Elements of any type as bytes that are equal if the elements are.
    let converter = RowConverter::new(vec![SortField::new(all.data_type().clone())])?;
    let keys = converter.convert_columns(&[in_one_form(&all)?])?;
    let (mut seen, mut other) = (Set::default(), Set::default());
    call.each_taken(&all, |row, places| {
        let Some(left) = lists[0].range(row) else { return Ok(None) };
        let right = lists.get(1).and_then(|list| list.range(row)).unwrap_or(0..0);
        let right = second + right.start..second + right.end;
        seen.clear();
        other.clear();
        if keep != Keep::All {
            for at in right.clone() {
                other.insert(keys.row(at));
            }
        }
        let right = if keep == Keep::All { right } else { 0..0 };
        for at in left.chain(right) {
            let key = keys.row(at);
            if keep != Keep::All && other.contains(key) != (keep == Keep::Common) {
                continue;
            }
            if seen.insert(key) {
                places.push(Some(at as u32));
            }
        }
        Ok(Some(()))
    })
}

/// Up to this number of elements, a linear search is faster than hashing.
const FEW_MAX: usize = 16;

/// Keys that were seen.
#[derive(Default)]
struct Set<'a> {
    few: Vec<Key<'a>>,
    /// A hash set of all keys, once there are many.
    many: HashSet<Key<'a>>,
}

impl<'a> Set<'a> {
    fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }

    fn contains(&self, key: Key<'a>) -> bool {
        if self.many.is_empty() { self.few.contains(&key) } else { self.many.contains(&key) }
    }

    /// Adds a key; returns false if it was already present.
    fn insert(&mut self, key: Key<'a>) -> bool {
        if !self.many.is_empty() {
            return self.many.insert(key);
        }
        if self.few.contains(&key) {
            return false;
        }
        self.few.push(key);
        if self.few.len() > FEW_MAX {
            self.many.extend(self.few.drain(..));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn few_and_many_keys_are_found_again() {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values((0..50).map(|at| at % 25)));
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())]).expect("a converter");
        let keys = converter.convert_columns(&[values]).expect("keys");
        let mut set = Set::default();
        let inserted = (0..50).filter(|at| set.insert(keys.row(*at))).count();
        assert_eq!(inserted, 25);
        assert!((0..50).all(|at| set.contains(keys.row(at))));
        set.clear();
        assert!(!set.contains(keys.row(0)));
    }
}
