//! AVG: a sum, which wraps around like SUM, and the number of values. The average of no values is 0, as in ksqlDB.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};

use super::Fold;
use super::numbers::{Numbers, OfNumbers};
use super::sum::{Addend, Sum};

/// AVG of values of this type.
pub(super) fn average(ty: &DataType) -> Option<Arc<dyn Fold>> {
    Some(match ty {
        DataType::Int32 => Arc::new(OfNumbers(Average(Sum::<Int32Type>::new(ty)))),
        DataType::Int64 => Arc::new(OfNumbers(Average(Sum::<Int64Type>::new(ty)))),
        DataType::Float64 => Arc::new(OfNumbers(Average(Sum::<Float64Type>::new(ty)))),
        _ => return None,
    })
}

/// The average of values of one type.
#[derive(Debug)]
struct Average<T>(Sum<T>);

impl<T: Addend> Numbers for Average<T> {
    /// The sum and the number of values.
    type State = (T::Native, i64);
    type Arg = T::Native;

    fn fields(&self) -> Vec<Field> {
        self.0.fields().into_iter().chain([Field::new("count", DataType::Int64, true)]).collect()
    }

    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<Self::State> {
        let counts = columns[1].as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default);
        self.0.read(columns).into_iter().zip(counts).collect()
    }

    fn write(&self, states: &[Self::State]) -> Vec<ArrayRef> {
        let counts = Int64Array::from_iter_values(states.iter().map(|(_, count)| *count));
        vec![Arc::new(self.0.column(states.iter().map(|(sum, _)| *sum))), Arc::new(counts)]
    }

    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<T::Native>> + use<'a, T> {
        self.0.args(columns)
    }

    fn add(&self, (sum, count): &mut Self::State, value: T::Native) -> Result<(), String> {
        self.0.add(sum, value)?;
        *count += 1;
        Ok(())
    }

    fn undo(&self, (sum, count): &mut Self::State, value: T::Native) -> Result<(), String> {
        self.0.undo(sum, value)?;
        *count -= 1;
        Ok(())
    }

    fn merge(&self, (sum, count): &mut Self::State, (other, more): Self::State) -> Result<(), String> {
        self.0.add(sum, other)?;
        *count += more;
        Ok(())
    }

    fn results(&self, states: &[Self::State]) -> ArrayRef {
        let sums = self.0.column(states.iter().map(|(sum, _)| *sum));
        let sums = cast(&sums, &DataType::Float64).expect("every number is close to a DOUBLE");
        let average = |(sum, (_, count)): (&f64, &(_, i64))| if *count == 0 { 0.0 } else { sum / *count as f64 };
        let sums = sums.as_primitive::<Float64Type>().values();
        Arc::new(Float64Array::from_iter_values(sums.iter().zip(states).map(average)))
    }
}
