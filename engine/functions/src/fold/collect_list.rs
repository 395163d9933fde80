//! COLLECT_LIST: all values of a group in the order of its rows, NULL among them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::lists::{self, Collected, Lists};
use super::{Fold, Folded, Rows};
use crate::aggregate::values::Codec;
use crate::choice::list_of;

/// COLLECT_LIST of values of this type, at most `limit` of them.
pub(super) fn collect_list(ty: &DataType, limit: usize) -> Option<Arc<dyn Fold>> {
    let codec = Codec::new(std::slice::from_ref(ty)).ok()?;
    Some(Arc::new(List { ty: list_of(ty.clone()), codec, limit }))
}

#[derive(Debug)]
struct List {
    ty: DataType,
    codec: Codec,
    limit: usize,
}

impl List {
    fn collected(
        &self,
        state: &ArrayRef,
        values: &ArrayRef,
        rows: &Rows<'_>,
        running: bool,
    ) -> Result<Collected, ArrowError> {
        let lists = Lists::read(state, values)?;
        let undone = rows.undone.map(|_| self.codec.encode_equal(&lists.values)).transpose()?;
        lists.fold(rows, running, |row, _, items, place| match &undone {
            // The last of equal values is taken out. If there is none, the limit had kept it out.
            Some(values) if rows.is_undone(row) => {
                let is_it = |item: &u32| values.row(*item as usize) == values.row(place as usize);
                if let Some(at) = items.iter().rposition(is_it) {
                    items.remove(at);
                }
            }
            _ if items.len() < self.limit => items.push(place),
            _ => {}
        })
    }
}

impl Fold for List {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("values", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let Collected { state, running } = self.collected(&state[0], &rows.args[0], rows, running)?;
        Ok(Folded { state: vec![state], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        lists::merge(&state[0], into, groups, |state, items, rows| self.collected(state, items, rows, false))
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        state[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};

    use super::super::for_tests::{folded, running};
    use super::*;

    /// Goal: undoing what a limit had kept out is nothing, and the last of equal values is the one that goes. Method: rows of a
    /// table of which some are undone, with a limit and without.
    #[test]
    fn a_value_that_the_limit_kept_out_is_not_undone() {
        let values = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let limited = collect_list(&DataType::Utf8, 2).expect("texts can be collected");
        let rows = values(&["A", "B", "C", "C", "D", "D", "A"]);
        let expected = ["[A]", "[A, B]", "[A, B]", "[A, B]", "[A, B]", "[A, B]", "[B]"];
        assert_eq!(running(&*limited, &[rows], &[3, 5, 6]), expected);
        let all = collect_list(&DataType::Utf8, usize::MAX).expect("texts can be collected");
        let expected = ["[x]", "[x, y]", "[x, y, x]", "[x, y]"];
        assert_eq!(running(&*all, &[values(&["x", "y", "x", "x"])], &[3]), expected);
    }

    /// Goal: a batch whose results are too large at once fails, so that it is folded in halves. Method: two rows, and one, beside
    /// millions of values.
    #[test]
    fn a_batch_of_large_results_fails() {
        let list = collect_list(&DataType::Int32, usize::MAX).expect("numbers can be collected");
        let many: ArrayRef = Arc::new(Int32Array::from(vec![1; 1 << 22]));
        let groups = vec![0; many.len()];
        let order = arrow::array::Int64Array::from(vec![0; many.len()]);
        let rows = Rows { groups: &groups, args: &[many], undone: None, order: &order };
        let empty = folded(&*list, &[Arc::new(Int32Array::from(vec![0; 0]))], &[]);
        let state = list.fold(&empty.state, &rows, false).expect("one array is not too large").state;
        let some = |rows: usize| {
            let args: ArrayRef = Arc::new(Int32Array::from(vec![2; rows]));
            let order = arrow::array::Int64Array::from(vec![0; rows]);
            list.fold(&state, &Rows { groups: &vec![0; rows], args: &[args], undone: None, order: &order }, true)
        };
        assert!(some(1).is_ok());
        assert!(some(2).expect_err("it is too large").to_string().contains("the arrays of 2 rows are too large"));
    }
}
