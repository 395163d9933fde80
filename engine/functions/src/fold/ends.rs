//! LATEST_BY_OFFSET and EARLIEST_BY_OFFSET: the values of the last or first rows of a group, in the order in which they
//! arrived. The state has the order of the rows, because the states of two sessions are merged by it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, new_null_array};
use arrow::compute::{concat, sort_to_indices, take};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;

use super::lists::{Lists, flattened, item_field, new_lists, only_merged};
use super::picks::{Picks, pick};
use super::{Fold, Folded, Rows};
use crate::choice::list_of;

/// LATEST_BY_OFFSET of values of this type, with its constants.
pub(super) fn latest(ty: &DataType, constants: &[ScalarValue]) -> Option<Arc<dyn Fold>> {
    ends(ty, true, constants)
}

/// EARLIEST_BY_OFFSET of values of this type, with its constants.
pub(super) fn earliest(ty: &DataType, constants: &[ScalarValue]) -> Option<Arc<dyn Fold>> {
    ends(ty, false, constants)
}

/// The constants are the number of values and whether NULL is ignored, which both may be missing.
fn ends(ty: &DataType, last: bool, constants: &[ScalarValue]) -> Option<Arc<dyn Fold>> {
    let (count, ignore_nulls) = match constants {
        [] => (None, true),
        [ScalarValue::Int32(count)] => (Some((*count)?), true),
        [ScalarValue::Boolean(ignore)] => (None, (*ignore)?),
        [ScalarValue::Int32(count), ScalarValue::Boolean(ignore)] => (Some((*count)?), (*ignore)?),
        _ => return None,
    };
    let ty = ty.clone();
    Some(match count {
        None => Arc::new(End { ty, last, ignore_nulls }),
        Some(count) => Arc::new(Ends { ty, last, ignore_nulls, count: usize::try_from(count).ok()? }),
    })
}

/// The value of the last or first row.
#[derive(Debug)]
struct End {
    ty: DataType,
    last: bool,
    ignore_nulls: bool,
}

impl End {
    fn chosen(
        &self,
        state: &[ArrayRef],
        rows: &Rows<'_>,
        order: &dyn Array,
        running: bool,
    ) -> Result<Folded, ArrowError> {
        let orders = concat(&[state[0].as_ref(), order])?;
        let values = concat(&[state[1].as_ref(), rows.args[0].as_ref()])?;
        let numbers = orders.as_primitive::<Int64Type>();
        let nulls = values.logical_nulls().filter(|_| self.ignore_nulls);
        let counts = |place| {
            numbers.is_valid(place)
                && nulls.as_ref().is_none_or(|nulls: &arrow::buffer::NullBuffer| nulls.is_valid(place))
        };
        let is_later = |new, old| numbers.value(new) >= numbers.value(old);
        let replaces = |new, old| counts(new) && (numbers.is_null(old) || is_later(new, old) == self.last);
        let Picks { groups, running } = pick(state[0].len(), rows, running, replaces);
        let running = running.map(|places| take(&values, &places, None)).transpose()?;
        let state = vec![take(&orders, &groups, None)?, take(&values, &groups, None)?];
        Ok(Folded { state, running, rejected: Vec::new() })
    }
}

impl Fold for End {
    /// The order of the row, and its value.
    fn state(&self) -> Vec<Field> {
        vec![Field::new("order", DataType::Int64, true), Field::new("value", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        self.chosen(state, rows, rows.order, running)
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let new = [new_null_array(&DataType::Int64, groups), new_null_array(&self.ty, groups)];
        let order = state[0].as_primitive::<Int64Type>();
        let rows = Rows { groups: into, args: &state[1..], undone: None, order };
        self.chosen(&new, &rows, order, false).map(|folded| folded.state)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        state[1].clone()
    }
}

/// The values of several rows at the end or start of a group.
#[derive(Debug)]
struct Ends {
    ty: DataType,
    last: bool,
    ignore_nulls: bool,
    count: usize,
}

impl Ends {
    fn item(&self) -> Fields {
        vec![Field::new("order", DataType::Int64, true), Field::new("value", self.ty.clone(), true)].into()
    }

    fn state_type(&self) -> DataType {
        list_of(DataType::Struct(self.item()))
    }

    /// Folds items: the order of rows and their values.
    fn collected(
        &self,
        state: &ArrayRef,
        items: StructArray,
        rows: &Rows<'_>,
        running: bool,
    ) -> Result<Folded, ArrowError> {
        let values = items.column(1).logical_nulls().filter(|_| self.ignore_nulls);
        let counts = |row| values.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let lists = Lists::read(state, &(Arc::new(items) as ArrayRef))?;
        let collected = lists.fold(rows, running, |row, _, items, place| match counts(row) {
            true if self.last => {
                items.push(place);
                items.drain(..items.len().saturating_sub(self.count));
            }
            true if items.len() < self.count => items.push(place),
            _ => {}
        })?;
        let running = collected.running.map(|lists| self.result(&[lists]));
        Ok(Folded { state: vec![collected.state], running, rejected: Vec::new() })
    }
}

impl Fold for Ends {
    /// The order of each row, and its value.
    fn state(&self) -> Vec<Field> {
        vec![Field::new("rows", self.state_type(), true)]
    }

    fn data_type(&self) -> DataType {
        list_of(self.ty.clone())
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let order: ArrayRef = Arc::new(rows.order.clone());
        let items = StructArray::try_new(self.item(), vec![order, rows.args[0].clone()], None)?;
        self.collected(&state[0], items, rows, running)
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let (items, numbers) = flattened(&state[0], into)?;
        let places = sort_to_indices(items.as_struct().column(0), None, None)?;
        let items = take(&items, &places, None)?.as_struct().clone();
        let numbers: Vec<u32> = places.values().iter().map(|place| numbers[*place as usize]).collect();
        let order = Int64Array::from(vec![0; numbers.len()]);
        let rows = Rows { groups: &numbers, args: &[], undone: None, order: &order };
        let folded = self.collected(&new_lists(&self.state_type(), groups), items, &rows, false)?;
        only_merged(&folded.state[0], &state[0], into)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        let lists = state[0].as_list::<i32>();
        let values = lists.values().as_struct().column(1).clone();
        let field = item_field(&self.data_type());
        Arc::new(ListArray::new(field, lists.offsets().clone(), values, lists.nulls().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::super::for_tests::running;
    use super::*;

    #[test]
    fn nulls_are_ignored_unless_they_are_wanted() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(1), None, Some(2)]));
        let results = |fold: Option<Arc<dyn Fold>>| {
            running(&*fold.expect("the constants are valid"), std::slice::from_ref(&values), &[])
        };
        let (ty, two, keep) = (DataType::Int32, ScalarValue::from(2), ScalarValue::from(false));
        assert_eq!(results(latest(&ty, &[])), ["null", "1", "1", "2"]);
        assert_eq!(results(latest(&ty, std::slice::from_ref(&keep))), ["null", "1", "null", "2"]);
        assert_eq!(results(earliest(&ty, &[])), ["null", "1", "1", "1"]);
        assert_eq!(results(earliest(&ty, std::slice::from_ref(&keep))), ["null", "null", "null", "null"]);
        assert_eq!(results(latest(&ty, std::slice::from_ref(&two))), ["[]", "[1]", "[1]", "[1, 2]"]);
        let both = [two, keep];
        assert_eq!(results(latest(&ty, &both)), ["[null]", "[null, 1]", "[1, null]", "[null, 2]"]);
        assert_eq!(results(earliest(&ty, &both)), ["[null]", "[null, 1]", "[null, 1]", "[null, 1]"]);
    }

    #[test]
    fn other_constants_are_refused() {
        for constants in [vec![ScalarValue::Int32(None)], vec![ScalarValue::from(-1)], vec![ScalarValue::from("2")]] {
            assert!(latest(&DataType::Int32, &constants).is_none(), "{constants:?}");
        }
    }
}
