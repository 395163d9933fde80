//! COLLECT_SET and COUNT_DISTINCT: the distinct values of a group, in the order in which they first appear, and their
//! number. The state has all of them, so the number is exact.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::lists::{self, Collected, Lists};
use super::{Fold, Folded, Rows};
use crate::aggregate::values::Codec;
use crate::choice::list_of;
use crate::one_form::in_one_form;

/// COLLECT_SET of values of this type, at most `limit` of them; NULL is a value.
pub(super) fn collect_set(ty: &DataType, limit: usize) -> Option<Arc<dyn Fold>> {
    Distinct::new(ty, limit, false).map(|set| Arc::new(set) as Arc<dyn Fold>)
}

/// COUNT_DISTINCT of values of this type; NULL is ignored.
pub(super) fn count_distinct(ty: &DataType) -> Option<Arc<dyn Fold>> {
    Distinct::new(ty, usize::MAX, true).map(|set| Arc::new(set) as Arc<dyn Fold>)
}

#[derive(Debug)]
struct Distinct {
    ty: DataType,
    codec: Codec,
    limit: usize,
    /// Whether the result is the number of values that are not NULL.
    counts: bool,
}

impl Distinct {
    fn new(ty: &DataType, limit: usize, counts: bool) -> Option<Self> {
        let codec = Codec::new(std::slice::from_ref(ty)).ok()?;
        Some(Self { ty: list_of(ty.clone()), codec, limit, counts })
    }

    /// Collects values, and passes the number of distinct ones after each row to `counted`.
    fn collected(
        &self,
        (state, values): (&ArrayRef, &ArrayRef),
        rows: &Rows<'_>,
        running: bool,
        mut counted: impl FnMut(usize),
    ) -> Result<Collected, ArrowError> {
        let mut lists = Lists::read(state, values)?;
        lists.values = in_one_form(&lists.values)?;
        let encoded = self.codec.encode(std::slice::from_ref(&lists.values))?;
        let nulls = lists.values.logical_nulls().filter(|_| self.counts);
        let is_ignored = |place: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(place));
        let mut seen: HashSet<_> = lists.stored().map(|(group, place)| (group, encoded.row(place))).collect();
        lists.fold(rows, running, |_, group, items, place| {
            let at = place as usize;
            if !is_ignored(at) && items.len() < self.limit && seen.insert((group, encoded.row(at))) {
                items.push(place);
            }
            counted(items.len());
        })
    }
}

impl Fold for Distinct {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("values", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        if self.counts { DataType::Int64 } else { self.ty.clone() }
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let mut counts = Vec::new();
        let (lists, arrays) = ((&state[0], &rows.args[0]), running && !self.counts);
        let collected = self.collected(lists, rows, arrays, |count| counts.push(count as i64))?;
        let counts = (running && self.counts).then(|| Arc::new(Int64Array::from(counts)) as ArrayRef);
        Ok(Folded { state: vec![collected.state], running: collected.running.or(counts), rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let collect = |state: &_, items: &_, rows: &Rows<'_>| self.collected((state, items), rows, false, |_| {});
        lists::merge(&state[0], into, groups, collect)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        let lists = state[0].as_list::<i32>();
        let count = |group: usize| if lists.is_valid(group) { i64::from(lists.value_length(group)) } else { 0 };
        match self.counts {
            true => Arc::new((0..lists.len()).map(|group| Some(count(group))).collect::<Int64Array>()),
            false => state[0].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::super::for_tests::running;
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let doubles = vec![Some(-0.0), Some(0.0), None, Some(f64::NAN), Some(-f64::NAN), None, Some(1.0)];
        let doubles: ArrayRef = Arc::new(Float64Array::from(doubles));
        let set = collect_set(&DataType::Float64, 3).expect("DOUBLEs can be collected");
        let last = "[0.0, null, NaN]";
        let expected = ["[0.0]", "[0.0]", "[0.0, null]", last, last, last, last];
        assert_eq!(running(&*set, std::slice::from_ref(&doubles), &[]), expected);
        let count = count_distinct(&DataType::Float64).expect("DOUBLEs can be counted");
        assert_eq!(running(&*count, &[doubles], &[]), ["1", "1", "1", "2", "2", "2", "3"]);
    }
}
