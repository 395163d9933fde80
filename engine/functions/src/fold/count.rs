//! COUNT(*), the number of rows of a group, and COUNT(x), the number of rows in which `x` is not null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::error::ArrowError;

use super::{Added, Fold};

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

    fn add(&self, state: &[ArrayRef], groups: &[u32], args: &[ArrayRef], running: bool) -> Result<Added, ArrowError> {
        let mut counts = counts(&state[0]);
        let mut after = Vec::with_capacity(if running { groups.len() } else { 0 });
        let nulls = args.first().and_then(|arg| arg.logical_nulls());
        for (row, group) in groups.iter().enumerate() {
            let count = &mut counts[*group as usize];
            *count += i64::from(nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
            if running {
                after.push(*count);
            }
        }
        let running = running.then(|| Arc::new(Int64Array::from(after)) as ArrayRef);
        Ok(Added { state: vec![Arc::new(Int64Array::from(counts))], running })
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

    use super::super::fold;
    use super::*;

    /// Goal: rows are counted by group, onto what there was. Method: one group is new, one has no row.
    #[test]
    fn rows_are_counted_by_group() {
        let state: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(5), Some(7)]));
        let count = |args: &[ArrayRef]| {
            let types: Vec<_> = args.iter().map(|arg| arg.data_type().clone()).collect();
            let fold = fold("COUNT", &types).expect("COUNT takes one argument or none");
            let added = fold.add(std::slice::from_ref(&state), &[0, 1, 0, 1], args, true).expect("nothing fails");
            assert!(
                fold.add(std::slice::from_ref(&state), &[0], args, false).is_ok_and(|added| added.running.is_none())
            );
            let running = added.running.expect("it was asked for").as_primitive::<Int64Type>().values().to_vec();
            (fold.result(&added.state).as_primitive::<Int64Type>().values().to_vec(), running)
        };
        assert_eq!(count(&[]), (vec![2, 7, 7], vec![1, 6, 2, 7]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some(""), None]));
        assert_eq!(count(&[texts]), (vec![1, 6, 7], vec![0, 6, 1, 6]));
    }

    #[test]
    fn other_calls_are_not_in_the_list() {
        assert!(fold("COUNT", &[DataType::Int32, DataType::Int32]).is_none());
        assert!(fold("TOPK", &[DataType::Int32]).is_none());
    }
}
