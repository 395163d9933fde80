//! COUNT(*), the number of rows of a group, and COUNT(x), the number of rows in which `x` is not null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::error::ArrowError;

use super::{Fold, Folded, Rows};

/// The fold for COUNT.
#[derive(Debug)]
pub(super) struct Count;

impl Fold for Count {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("count", DataType::Int64, true)]
    }

    fn data_type(&self) -> DataType {
        DataType::Int64
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let mut counts = counts(&state[0]);
        let mut after = Vec::with_capacity(if running { rows.groups.len() } else { 0 });
        let nulls = rows.args.first().and_then(|arg| arg.logical_nulls());
        for (row, group) in rows.groups.iter().enumerate() {
            let count = &mut counts[*group as usize];
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                *count += if rows.undone.is_some_and(|undone| undone.value(row)) { -1 } else { 1 };
            }
            if running {
                after.push(*count);
            }
        }
        let running = running.then(|| Arc::new(Int64Array::from(after)) as ArrayRef);
        Ok(Folded { state: vec![Arc::new(Int64Array::from(counts))], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut merged: Vec<Option<i64>> = vec![None; groups];
        for (count, group) in state[0].as_primitive::<Int64Type>().iter().zip(into) {
            let total = &mut merged[*group as usize];
            *total = count.map_or(*total, |count| Some(total.unwrap_or(0) + count));
        }
        Ok(vec![Arc::new(Int64Array::from(merged))])
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        Arc::new(Int64Array::from(counts(&state[0])))
    }
}

/// The counts of groups, 0 for a new one.
fn counts(state: &ArrayRef) -> Vec<i64> {
    state.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::buffer::BooleanBuffer;

    use super::super::fold;
    use super::*;

    fn numbers(counts: &ArrayRef) -> Vec<Option<i64>> {
        counts.as_primitive::<Int64Type>().iter().collect()
    }

    /// Goal: rows are counted by group, onto what there was. Method: one group is new, one has no row.
    #[test]
    fn rows_are_counted_by_group() {
        let state: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(5), Some(7)]));
        let order = Int64Array::from(vec![0, 1, 2, 3]);
        let count = |args: &[ArrayRef], undone: Option<&BooleanBuffer>| {
            let types: Vec<_> = args.iter().map(|arg| arg.data_type().clone()).collect();
            let fold = fold("COUNT", &types, &[]).expect("COUNT takes one argument or none");
            let rows = Rows { groups: &[0, 1, 0, 1], args, undone, order: &order };
            let folded = fold.fold(std::slice::from_ref(&state), &rows, true).expect("nothing fails");
            let silent = fold.fold(std::slice::from_ref(&state), &rows, false).expect("nothing fails");
            assert!(silent.running.is_none() && silent.state == folded.state);
            let of = |counts: &ArrayRef| numbers(counts).into_iter().flatten().collect::<Vec<_>>();
            (of(&fold.result(&folded.state)), of(&folded.running.expect("it was asked for")))
        };
        assert_eq!(count(&[], None), (vec![2, 7, 7], vec![1, 6, 2, 7]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some(""), None]));
        assert_eq!(count(std::slice::from_ref(&texts), None), (vec![1, 6, 7], vec![0, 6, 1, 6]));
        let undone = BooleanBuffer::from(vec![false, true, true, true]);
        assert_eq!(count(&[], Some(&undone)), (vec![0, 3, 7], vec![1, 4, 0, 3]));
        assert_eq!(count(&[texts], Some(&undone)), (vec![-1, 4, 7], vec![0, 4, -1, 4]));
    }

    #[test]
    fn counts_are_merged() {
        let state: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(4)]));
        let merged = Count.merge(&[state], &[1, 0, 1], 3).expect("nothing fails");
        assert_eq!(numbers(&merged[0]), [None, Some(5), None]);
    }

    #[test]
    fn other_calls_are_not_in_the_list() {
        assert!(fold("COUNT", &[DataType::Int32, DataType::Int32], &[]).is_none());
        assert!(fold("NOTHING", &[DataType::Int32], &[]).is_none());
    }
}
