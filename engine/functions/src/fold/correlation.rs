//! CORRELATION, with the same numbers as in bounded queries.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};

use super::Fold;
use super::numbers::{Numbers, OfNumbers};
use crate::aggregate::correlation::Correlation;

/// CORRELATION of two columns of DOUBLEs.
pub(super) fn correlation() -> Arc<dyn Fold> {
    Arc::new(OfNumbers(OfPairs))
}

#[derive(Debug)]
struct OfPairs;

/// The names of the state columns after the count.
const NAMES: [&str; 5] = ["mean_x", "mean_y", "squares_x", "squares_y", "products"];

impl Numbers for OfPairs {
    type State = Correlation;
    type Arg = (f64, f64);

    fn fields(&self) -> Vec<Field> {
        let doubles = NAMES.iter().map(|name| Field::new(*name, DataType::Float64, true));
        std::iter::once(Field::new("count", DataType::Int64, true)).chain(doubles).collect()
    }

    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<Correlation> {
        let counts = columns[0].as_primitive::<Int64Type>().iter().enumerate();
        let numbers = [1, 2, 3, 4, 5].map(|column| columns[column].as_primitive::<Float64Type>());
        let state = |(row, count): (usize, Option<i64>)| {
            let Some(count) = count else { return Correlation::default() };
            let [mean_x, mean_y, squares_x, squares_y, products] = numbers.map(|numbers| numbers.value(row));
            Correlation { count, mean_x, mean_y, squares_x, squares_y, products }
        };
        counts.map(state).collect()
    }

    fn write(&self, states: &[Correlation]) -> Vec<ArrayRef> {
        let counts = Int64Array::from_iter_values(states.iter().map(|state| state.count));
        let numbers = |at: usize| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(states.iter().map(|state| state.numbers()[at])))
        };
        std::iter::once(Arc::new(counts) as ArrayRef).chain((0..NAMES.len()).map(numbers)).collect()
    }

    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<(f64, f64)>> + use<'a> {
        let [xs, ys] = [0, 1].map(|column| columns[column].as_primitive::<Float64Type>());
        xs.iter().zip(ys).map(|(x, y)| x.zip(y))
    }

    fn add(&self, state: &mut Correlation, (x, y): (f64, f64)) -> Result<(), String> {
        state.add(x, y);
        Ok(())
    }

    fn undo(&self, state: &mut Correlation, (x, y): (f64, f64)) -> Result<(), String> {
        state.remove(x, y);
        Ok(())
    }

    fn merge(&self, state: &mut Correlation, other: Correlation) -> Result<(), String> {
        state.merge(other);
        Ok(())
    }

    fn results(&self, states: &[Correlation]) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(states.iter().map(Correlation::coefficient)))
    }
}
