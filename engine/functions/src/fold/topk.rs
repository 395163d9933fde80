//! TOPK and TOPKDISTINCT: the largest values of a group, in descending order; NULL is ignored. Of equal values, the one that
//! arrived first comes first, which matters if TOPK has other columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::row;
use datafusion::common::ScalarValue;

use super::extremes::has_order;
use super::lists::{self, Collected, Lists, item_field};
use super::{Fold, Folded, Rows};
use crate::aggregate::topk::rows_type;
use crate::aggregate::values::Codec;
use crate::choice::list_of;
use crate::one_form::in_one_form;

/// TOPK of columns of these types, the first of which is the value.
pub(super) fn topk(types: &[DataType], count: &ScalarValue) -> Option<Arc<dyn Fold>> {
    let ty = match types {
        [only] => list_of(only.clone()),
        // The type is computed from the arguments, the last of which is the number of rows.
        several => rows_type(&several.iter().chain([&DataType::Int32]).cloned().collect::<Vec<_>>()),
    };
    top(types, ty, count, false)
}

/// TOPKDISTINCT of values of this type.
pub(super) fn topk_distinct(ty: &DataType, count: &ScalarValue) -> Option<Arc<dyn Fold>> {
    top(std::slice::from_ref(ty), list_of(ty.clone()), count, true)
}

/// The fold with a result of this type.
fn top(types: &[DataType], ty: DataType, count: &ScalarValue, distinct: bool) -> Option<Arc<dyn Fold>> {
    let ScalarValue::Int32(Some(count)) = count else { return None };
    let count = usize::try_from(*count).ok()?;
    let sorted = types.first().filter(|ty| has_order(ty))?;
    let codec = Codec::new(std::slice::from_ref(sorted)).ok()?;
    Some(Arc::new(Top { ty, codec, has_others: types.len() > 1, distinct, count }))
}

#[derive(Debug)]
struct Top {
    ty: DataType,
    codec: Codec,
    /// Whether the result has other columns, and is an array of structs.
    has_others: bool,
    distinct: bool,
    count: usize,
}

impl Top {
    /// The values of rows: a struct of all columns if there are several.
    fn items(&self, args: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
        match item_field(&self.ty).data_type() {
            DataType::Struct(fields) if self.has_others => {
                Ok(Arc::new(StructArray::try_new(fields.clone(), args.to_vec(), None)?))
            }
            _ => Ok(args[0].clone()),
        }
    }

    fn collected(
        &self,
        (state, values): (&ArrayRef, &ArrayRef),
        rows: &Rows<'_>,
        running: bool,
    ) -> Result<Collected, ArrowError> {
        let mut lists = Lists::read(state, values)?;
        if self.distinct {
            lists.values = in_one_form(&lists.values)?;
        }
        let sorted = if self.has_others { lists.values.as_struct().column(0) } else { &lists.values };
        let (encoded, nulls) = (self.codec.encode_ordered(sorted)?, sorted.logical_nulls());
        lists.fold(rows, running, |_, _, items, place| {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(place as usize)) {
                self.insert(items, place, &encoded);
            }
        })
    }

    fn insert(&self, items: &mut Vec<u32>, place: u32, values: &row::Rows) {
        let (value, of) = (values.row(place as usize), |item: &u32| values.row(*item as usize));
        let at = items.partition_point(|item| of(item) > value || (of(item) == value && !self.distinct));
        let is_known = self.distinct && items.get(at).is_some_and(|item| of(item) == value);
        if at < self.count && !is_known {
            items.insert(at, place);
            items.truncate(self.count);
        }
    }
}

impl Fold for Top {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("values", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let Collected { state, running } = self.collected((&state[0], &self.items(rows.args)?), rows, running)?;
        Ok(Folded { state: vec![state], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        lists::merge(&state[0], into, groups, |state, items, rows| self.collected((state, items), rows, false))
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        state[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};

    use super::super::for_tests::running;
    use super::*;

    #[test]
    fn of_equal_values_the_first_one_stays() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(7), Some(7), Some(9), Some(7)]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f"]));
        let types = [DataType::Int32, DataType::Utf8];
        let top = topk(&types, &ScalarValue::from(2)).expect("numbers have an order");
        let row = |value: i32, name: &str| format!("{{sort_col: {value}, col0: {name}}}");
        let expected = [
            format!("[{}]", row(1, "a")),
            format!("[{}]", row(1, "a")),
            format!("[{}, {}]", row(7, "c"), row(1, "a")),
            format!("[{}, {}]", row(7, "c"), row(7, "d")),
            format!("[{}, {}]", row(9, "e"), row(7, "c")),
            format!("[{}, {}]", row(9, "e"), row(7, "c")),
        ];
        assert_eq!(running(&*top, &[values.clone(), names], &[]), expected);
        let distinct = topk_distinct(&DataType::Int32, &ScalarValue::from(2)).expect("numbers have an order");
        assert_eq!(running(&*distinct, &[values], &[]), ["[1]", "[1]", "[7, 1]", "[7, 1]", "[9, 7]", "[9, 7]"]);
        assert!(topk(&[DataType::Boolean], &ScalarValue::from(2)).is_none());
    }
}
