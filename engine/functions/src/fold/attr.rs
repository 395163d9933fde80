//! ATTR: the value that all rows of a group share, if there is one. NULL counts as a value. The state has all distinct values,
//! because rows can be undone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::lists::{item_field, only_merged};
use super::tallies::{Columns, Stored, Tallies, Tally, columns};
use super::{Fold, Folded, Rows};
use crate::aggregate::values::Codec;
use crate::choice::list_of;
use crate::one_form::in_one_form;

/// ATTR of values of this type.
pub(super) fn attr(ty: &DataType) -> Option<Arc<dyn Fold>> {
    let codec = Codec::new(std::slice::from_ref(ty)).ok()?;
    Some(Arc::new(Attr { ty: ty.clone(), codec }))
}

#[derive(Debug)]
struct Attr {
    ty: DataType,
    codec: Codec,
}

impl Attr {
    fn fields(&self) -> Fields {
        vec![Field::new("value", self.ty.clone(), true), Field::new("count", DataType::Int64, true)].into()
    }

    fn state_type(&self) -> DataType {
        list_of(DataType::Struct(self.fields()))
    }

    fn lists(&self, values: &ArrayRef, tallies: &Tallies<'_>) -> Result<ArrayRef, ArrowError> {
        let Columns { offsets, pairs } = columns(values, tallies.all())?;
        let pairs = StructArray::try_new(self.fields(), pairs, None)?;
        Ok(Arc::new(ListArray::try_new(item_field(&self.state_type()), offsets, Arc::new(pairs), None)?))
    }
}

/// The place of the only value.
fn only(mut tallies: impl ExactSizeIterator<Item = Tally>) -> Option<u32> {
    if tallies.len() == 1 { tallies.next().map(|tally| tally.place) } else { None }
}

impl Fold for Attr {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("values", self.state_type(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let stored = Stored::read(&state[0]);
        let (values, first) = stored.with(&in_one_form(&rows.args[0])?)?;
        let encoded = self.codec.encode(std::slice::from_ref(&values))?;
        let mut tallies = Tallies::stored(&encoded, &stored, usize::MAX);
        let mut after = Vec::new();
        for ((row, group), place) in rows.groups.iter().map(|group| *group as usize).enumerate().zip(first..) {
            match rows.is_undone(row) {
                true => tallies.undo(group, place),
                false => tallies.add(group, Tally { place, count: 1 }),
            }
            after.push(only(tallies.of(group).iter().copied()));
        }
        let running = running.then(|| take(&values, &UInt32Array::from(after), None)).transpose()?;
        Ok(Folded { state: vec![self.lists(&values, &tallies)?], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let stored = Stored::read(&state[0]);
        let encoded = self.codec.encode(std::slice::from_ref(stored.values))?;
        let mut tallies = Tallies::new(&encoded, groups, usize::MAX);
        for (row, group) in into.iter().enumerate() {
            stored.of(row).for_each(|tally| tallies.add(*group as usize, tally));
        }
        only_merged(&self.lists(stored.values, &tallies)?, &state[0], into)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        let stored = Stored::read(&state[0]);
        let places: UInt32Array = (0..state[0].len()).map(|group| only(stored.of(group))).collect();
        take(stored.values, &places, None).expect("the places are those of values")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::super::for_tests::running;
    use super::*;

    #[test]
    fn a_value_is_shared_while_there_is_no_other() {
        let attr = attr(&DataType::Utf8).expect("texts can be compared");
        let results = |values: Vec<Option<&str>>, undone: &[usize]| {
            running(&*attr, &[Arc::new(StringArray::from(values))], undone)
        };
        assert_eq!(results(vec![Some("1"), Some("1"), None, Some("1")], &[]), ["1", "1", "null", "null"]);
        let values = vec![Some("1"), Some("2"), Some("1"), None, Some("2"), None, Some("3")];
        assert_eq!(results(values, &[2, 4, 6]), ["1", "null", "2", "null", "null", "null", "null"]);
    }
}
