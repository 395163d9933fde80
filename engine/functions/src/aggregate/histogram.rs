//! HISTOGRAM: how often each text occurs in a group, for the first thousand distinct texts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, MapArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::Accumulator;

use super::place::{Places, Position, width};
use super::recipe::{Order, Recipe, Shape};
use super::values::{numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// HISTOGRAM.
pub static HISTOGRAM: Recipe = Recipe { order: Order::Rows, sorts: false, retracts: true, state, accumulator };

/// The maximum number of texts in the result: those that appear first.
pub const TEXTS_MAX: usize = 1000;

/// Texts, their counts, and the lanes and positions of their first rows.
fn state(_: &Shape) -> Vec<DataType> {
    vec![list_of(DataType::Utf8), numbers_type(), numbers_type(), numbers_type()]
}

fn accumulator(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    let (returns, width) = (shape.returns.clone(), width(shape.positions));
    Ok(Box::new(Histogram { returns, width, texts: HashMap::new(), arrived: 0, number: 0, bytes: 0 }))
}

#[derive(Debug)]
struct Histogram {
    returns: DataType,
    width: usize,
    /// All texts: which of them are first is only known at the end.
    texts: HashMap<Box<str>, Seen>,
    arrived: i64,
    number: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Seen {
    count: i64,
    /// Its place does not change when rows are retracted.
    first: (i64, Position),
    /// Texts with the same place, such as those of an exploded array, keep their order of arrival.
    number: u64,
}

impl Histogram {
    fn add(&mut self, text: &str, count: i64, place: impl FnOnce() -> (i64, Position)) {
        if let Some(seen) = self.texts.get_mut(text) {
            seen.count += count;
            let found = place();
            if found < seen.first {
                seen.first = found;
            }
            return;
        }
        let first = place();
        self.bytes += size_of::<(Box<str>, Seen)>() + text.len() + first.1.heap_bytes();
        self.number += 1;
        self.texts.insert(text.into(), Seen { count, first, number: self.number });
    }

    fn as_they_came(&self) -> Vec<(&str, &Seen)> {
        let mut texts: Vec<(&str, &Seen)> = self.texts.iter().map(|(text, seen)| (text.as_ref(), seen)).collect();
        texts.sort_by_key(|(_, seen)| seen.number);
        texts
    }

    /// The texts of the result, in the order of their first rows.
    fn first_texts(&self) -> Vec<(&str, i64)> {
        let mut texts = self.as_they_came();
        texts.sort_by(|(_, a), (_, b)| a.first.cmp(&b.first));
        texts.truncate(TEXTS_MAX);
        texts.into_iter().map(|(text, seen)| (text, seen.count)).collect()
    }
}

impl Accumulator for Histogram {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let texts = columns[0].as_string::<i32>();
        let places = Places::read(&columns[1..], texts.len(), &mut self.arrived)?;
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            self.add(texts.value(row), 1, || (places.lane(row), places.position(row)));
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let texts = columns[0].as_string::<i32>();
        for text in texts.iter().flatten() {
            let Some(seen) = self.texts.get_mut(text) else { continue };
            seen.count -= 1;
            if seen.count <= 0 {
                self.texts.remove(text);
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let DataType::Map(entries, ordered) = &self.returns else {
            return Err(exec_datafusion_err!("HISTOGRAM gives a map"));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(exec_datafusion_err!("a map has keys and values"));
        };
        let texts = self.first_texts();
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values(texts.iter().map(|(text, _)| text)));
        let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(texts.iter().map(|(_, count)| *count)));
        let pairs = StructArray::try_new(fields.clone(), vec![keys, counts], None)?;
        let offsets = OffsetBuffer::from_lengths([texts.len()]);
        let map = MapArray::try_new(entries.clone(), offsets, pairs, None, *ordered)?;
        ScalarValue::try_from_array(&map, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let texts = self.as_they_came();
        Ok(vec![
            saved(Arc::new(StringArray::from_iter_values(texts.iter().map(|(text, _)| text))))?,
            saved_numbers(texts.iter().map(|(_, seen)| seen.count))?,
            saved_numbers(texts.iter().map(|(_, seen)| seen.first.0))?,
            saved_numbers(texts.iter().flat_map(|(_, seen)| seen.first.1.numbers().iter().copied()))?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let texts = restored(&states[0], row);
            let [counts, lanes, positions] = [1, 2, 3].map(|column| restored_numbers(&states[column], row));
            let firsts = lanes.into_iter().zip(positions.chunks(self.width));
            for ((text, count), (lane, numbers)) in texts.as_string::<i32>().iter().zip(counts).zip(firsts) {
                self.add(text.unwrap_or_default(), count, || (lane, Position::of(numbers)));
            }
        }
        Ok(())
    }
}
