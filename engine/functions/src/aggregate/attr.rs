//! ATTR: the value that all rows of a group share, if there is one; NULL counts as a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::recipe::{Order, Recipe, Shape};
use super::values::{Bytes, Codec, numbers_type, restored, restored_numbers, saved, saved_numbers};
use crate::choice::list_of;

/// ATTR.
pub static ATTR: Recipe = Recipe { order: Order::Any, sorts: false, retracts: true, state, accumulator };

/// The distinct values and their counts.
fn state(shape: &Shape) -> Vec<DataType> {
    vec![list_of(shape.takes[0].clone()), numbers_type()]
}

fn accumulator(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    // If rows are never retracted, two different values are enough to know the result.
    let keep = if shape.sliding { usize::MAX } else { 2 };
    let codec = shape.codec()?;
    Ok(Box::new(Attr { codec, keep, counts: BTreeMap::new(), bytes: 0 }))
}

#[derive(Debug)]
struct Attr {
    codec: Arc<Codec>,
    keep: usize,
    counts: BTreeMap<Bytes, i64>,
    bytes: usize,
}

impl Attr {
    fn add(&mut self, value: &[u8], count: i64) {
        if let Some(known) = self.counts.get_mut(value) {
            *known += count;
        } else if self.counts.len() < self.keep {
            self.bytes += size_of::<(Bytes, i64)>() + value.len();
            self.counts.insert(value.into(), count);
        }
    }
}

impl Accumulator for Attr {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if self.counts.len() >= self.keep {
            return Ok(());
        }
        let encoded = self.codec.encode_equal(&columns[0])?;
        encoded.iter().for_each(|value| self.add(value.data(), 1));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let encoded = self.codec.encode_equal(&columns[0])?;
        for value in &encoded {
            let Some(count) = self.counts.get_mut(value.data()) else { continue };
            *count -= 1;
            if *count <= 0 {
                self.counts.remove(value.data());
            }
        }
        Ok(())
    }

    /// Whether all values are kept.
    fn supports_retract_batch(&self) -> bool {
        self.keep == usize::MAX
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let only = if self.counts.len() == 1 { self.counts.keys().next() } else { None };
        let value = self.codec.decode_one(only.map(AsRef::as_ref))?;
        match value.is_empty() {
            true => ScalarValue::try_from(value.data_type()),
            false => ScalarValue::try_from_array(&value, 0),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.codec.decode_one(self.counts.keys().map(AsRef::as_ref))?;
        Ok(vec![saved(values)?, saved_numbers(self.counts.values().copied())?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let encoded = self.codec.encode(&[restored(&states[0], row)])?;
            for (value, count) in encoded.iter().zip(restored_numbers(&states[1], row)) {
                self.add(value.data(), count);
            }
        }
        Ok(())
    }
}
