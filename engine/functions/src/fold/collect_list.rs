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
