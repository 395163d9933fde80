//! STDDEV_SAMPLE and STDDEV_SAMP, with the same numbers as in bounded queries.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};

use super::Fold;
use super::numbers::{Numbers, OfNumbers};
use crate::aggregate::deviation::Spread;

/// STDDEV_SAMPLE: the sample standard deviation.
pub(super) fn deviation() -> Arc<dyn Fold> {
    Arc::new(OfNumbers(Deviation { root: true }))
}

/// STDDEV_SAMP: despite its name, the sample variance.
pub(super) fn variance() -> Arc<dyn Fold> {
    Arc::new(OfNumbers(Deviation { root: false }))
}

#[derive(Debug)]
struct Deviation {
    /// Whether the result is the root of the variance.
    root: bool,
}

impl Numbers for Deviation {
    type State = Spread;
    type Arg = f64;

    fn fields(&self) -> Vec<Field> {
        let double = |name: &str| Field::new(name, DataType::Float64, true);
        vec![Field::new("count", DataType::Int64, true), double("sum"), double("squares")]
    }

    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<Spread> {
        let counts = columns[0].as_primitive::<Int64Type>();
        let [sums, squares] = [1, 2].map(|column| columns[column].as_primitive::<Float64Type>());
        let spread = |((count, sum), squares): ((Option<i64>, Option<f64>), Option<f64>)| {
            let (sum, squares) = (sum.unwrap_or_default(), squares.unwrap_or_default());
            Spread { count: count.unwrap_or_default(), sum, squares }
        };
        counts.iter().zip(sums).zip(squares).map(spread).collect()
    }

    fn write(&self, states: &[Spread]) -> Vec<ArrayRef> {
        let counts = Int64Array::from_iter_values(states.iter().map(|state| state.count));
        let double = |of: fn(&Spread) -> f64| Arc::new(Float64Array::from_iter_values(states.iter().map(of)));
        vec![Arc::new(counts), double(|state| state.sum), double(|state| state.squares)]
    }

    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<f64>> + use<'a> {
        columns[0].as_primitive::<Float64Type>().iter()
    }

    fn add(&self, state: &mut Spread, value: f64) -> Result<(), String> {
        state.add(value);
        Ok(())
    }

    fn undo(&self, state: &mut Spread, value: f64) -> Result<(), String> {
        state.remove(value);
        Ok(())
    }

    fn merge(&self, state: &mut Spread, other: Spread) -> Result<(), String> {
        state.merge(other);
        Ok(())
    }

    fn results(&self, states: &[Spread]) -> ArrayRef {
        let result = |state: &Spread| if self.root { state.variance().sqrt() } else { state.variance() };
        Arc::new(Float64Array::from_iter_values(states.iter().map(result)))
    }
}
