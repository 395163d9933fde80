//! SUM_LIST: the sum of all elements of all arrays. NULL is ignored, and sums of whole numbers wrap around.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray};
use arrow::compute::sum;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};

use super::Fold;
use super::numbers::{Numbers, OfNumbers};
use super::sum::{Addend, Sum};

/// SUM_LIST of arrays with elements of this type.
pub(super) fn sum_list(ty: &DataType) -> Option<Arc<dyn Fold>> {
    Some(match ty {
        DataType::Int32 => Arc::new(OfNumbers(SumList(Sum::<Int32Type>::new(ty)))),
        DataType::Int64 => Arc::new(OfNumbers(SumList(Sum::<Int64Type>::new(ty)))),
        DataType::Float64 => Arc::new(OfNumbers(SumList(Sum::<Float64Type>::new(ty)))),
        _ => return None,
    })
}

/// The sum of the elements of arrays.
#[derive(Debug)]
struct SumList<T>(Sum<T>);

impl<T: Addend> Numbers for SumList<T> {
    type State = T::Native;
    type Arg = T::Native;

    fn fields(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn data_type(&self) -> DataType {
        self.0.data_type()
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<T::Native> {
        self.0.read(columns)
    }

    fn write(&self, sums: &[T::Native]) -> Vec<ArrayRef> {
        self.0.write(sums)
    }

    /// The sum of each array.
    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<T::Native>> + use<'a, T> {
        let lists = columns[0].as_list::<i32>();
        let (elements, offsets) = (lists.values().as_primitive::<T>(), lists.value_offsets());
        (0..lists.len()).map(move |row| {
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            let total = || sum(&elements.slice(from, to - from)).unwrap_or(T::Native::ZERO);
            lists.is_valid(row).then(total)
        })
    }

    fn add(&self, sum: &mut T::Native, value: T::Native) -> Result<(), String> {
        self.0.add(sum, value)
    }

    fn undo(&self, sum: &mut T::Native, value: T::Native) -> Result<(), String> {
        self.0.undo(sum, value)
    }

    fn merge(&self, sum: &mut T::Native, other: T::Native) -> Result<(), String> {
        self.0.merge(sum, other)
    }

    fn results(&self, sums: &[T::Native]) -> ArrayRef {
        self.0.results(sums)
    }
}
