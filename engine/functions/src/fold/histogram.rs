//! HISTOGRAM: how often each text occurs in a group, for the first thousand distinct texts. NULL is ignored.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion::common::exec_datafusion_err;

use super::lists::{check_running, only_merged};
use super::tallies::{Columns, Stored, Tallies, Tally, columns};
use super::{Fold, Folded, Rows};
use crate::aggregate::histogram::TEXTS_MAX;
use crate::aggregate::values::Codec;
use crate::choice::map_of;

/// HISTOGRAM.
pub(super) fn histogram() -> Option<Arc<dyn Fold>> {
    let codec = Codec::new(&[DataType::Utf8]).ok()?;
    Some(Arc::new(Histogram { ty: map_of(DataType::Utf8, DataType::Int64), codec }))
}

#[derive(Debug)]
struct Histogram {
    ty: DataType,
    codec: Codec,
}

impl Histogram {
    /// Maps of these tallies.
    fn maps(&self, texts: &ArrayRef, tallies: (Vec<Tally>, Vec<usize>)) -> Result<ArrayRef, ArrowError> {
        let Columns { offsets, pairs } = columns(texts, tallies)?;
        let DataType::Map(entries, ordered) = &self.ty else {
            return Err(exec_datafusion_err!("HISTOGRAM returns a map").into());
        };
        let pairs = StructArray::try_new(fields(entries), pairs, None)?;
        Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, None, *ordered)?))
    }
}

/// The fields of the entries of a map.
fn fields(entries: &Field) -> arrow::datatypes::Fields {
    match entries.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => arrow::datatypes::Fields::empty(),
    }
}

impl Fold for Histogram {
    fn state(&self) -> Vec<Field> {
        vec![Field::new("counts", self.ty.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.ty.clone()
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let (stored, texts) = (Stored::read(&state[0]), rows.args[0].as_string::<i32>());
        let (values, first) = stored.with(&rows.args[0])?;
        let encoded = self.codec.encode(std::slice::from_ref(&values))?;
        let mut tallies = Tallies::stored(&encoded, &stored, TEXTS_MAX);
        let (mut after, mut lengths) = (Vec::new(), Vec::new());
        for ((row, group), place) in rows.groups.iter().map(|group| *group as usize).enumerate().zip(first..) {
            match texts.is_valid(row) {
                true if rows.is_undone(row) => tallies.undo(group, place),
                true => tallies.add(group, Tally { place, count: 1 }),
                false => {}
            }
            if running {
                after.extend_from_slice(tallies.of(group));
                lengths.push(tallies.of(group).len());
                check_running(after.len(), rows)?;
            }
        }
        let running = running.then(|| self.maps(&values, (after, lengths))).transpose()?;
        Ok(Folded { state: vec![self.maps(&values, tallies.all())?], running, rejected: Vec::new() })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let stored = Stored::read(&state[0]);
        let encoded = self.codec.encode(std::slice::from_ref(stored.values))?;
        let mut tallies = Tallies::new(&encoded, groups, TEXTS_MAX);
        for (row, group) in into.iter().enumerate() {
            stored.of(row).for_each(|tally| tallies.add(*group as usize, tally));
        }
        only_merged(&self.maps(stored.values, tallies.all())?, &state[0], into)
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        state[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::super::for_tests::{folded, running};
    use super::*;

    #[test]
    fn a_text_is_gone_with_its_last_row() {
        let texts = vec![Some("a"), None, Some("b"), Some("a"), Some("a"), Some("a"), Some("x"), Some("b"), Some("b")];
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let histogram = histogram().expect("texts can be counted");
        let all = "{a: 2, b: 1}";
        let expected =
            ["{a: 1}", "{a: 1}", "{a: 1, b: 1}", all, "{a: 1, b: 1}", "{b: 1}", "{b: 1}", "{b: 2}", "{b: 1}"];
        assert_eq!(running(&*histogram, &[texts], &[4, 5, 6, 8]), expected);
    }

    /// Goal: only the first thousand texts are counted. Method: one more, and then one of the first again.
    #[test]
    fn there_are_at_most_a_thousand_texts() {
        let texts: StringArray = (0..=TEXTS_MAX).chain([0]).map(|text| Some(format!("t{text}"))).collect();
        let histogram = histogram().expect("texts can be counted");
        let state = folded(&*histogram, &[Arc::new(texts)], &[]).state;
        let counts = state[0].as_map().value(0);
        assert_eq!(counts.len(), TEXTS_MAX);
        assert_eq!(counts.column(1).as_primitive::<arrow::datatypes::Int64Type>().value(0), 2);
    }
}
