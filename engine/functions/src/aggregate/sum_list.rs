//! SUM_LIST: the sum of all elements of all arrays of a group. It wraps around on overflow, as sums of whole numbers
//! do.

use arrow::array::{Array, ArrayRef, ArrowNumericType, AsArray, PrimitiveArray};
use arrow::compute::sum;
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::recipe::{Order, Recipe, Shape};

/// SUM_LIST.
pub static SUM_LIST: Recipe = Recipe { order: Order::Any, sorts: false, retracts: true, state, accumulator };

/// The sum.
fn state(shape: &Shape) -> Vec<DataType> {
    vec![shape.returns.clone()]
}

fn accumulator(shape: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(match shape.returns {
        DataType::Int32 => Box::new(Sum::<Int32Type> { sum: 0 }),
        DataType::Int64 => Box::new(Sum::<Int64Type> { sum: 0 }),
        _ => Box::new(Sum::<Float64Type> { sum: 0.0 }),
    })
}

#[derive(Debug)]
struct Sum<P: ArrowNumericType> {
    sum: P::Native,
}

/// The sum of the elements of a batch.
fn sum_of<P: ArrowNumericType>(arrays: &ArrayRef) -> P::Native {
    let lists = arrays.as_list::<i32>();
    let elements = lists.values().as_primitive::<P>();
    // The slot of a NULL array may also contain elements.
    if lists.null_count() > 0 {
        let valid = (0..lists.len()).filter(|row| lists.is_valid(*row));
        let sums = valid.filter_map(|row| sum(lists.value(row).as_primitive::<P>()));
        return sums.fold(P::Native::ZERO, ArrowNativeTypeOp::add_wrapping);
    }
    let (from, to) = (lists.value_offsets()[0] as usize, lists.value_offsets()[lists.len()] as usize);
    sum(&elements.slice(from, to - from)).unwrap_or(P::Native::ZERO)
}

impl<P: ArrowNumericType + std::fmt::Debug> Accumulator for Sum<P>
where
    PrimitiveArray<P>: From<Vec<P::Native>>,
{
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.sum = self.sum.add_wrapping(sum_of::<P>(&columns[0]));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.sum = self.sum.sub_wrapping(sum_of::<P>(&columns[0]));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&PrimitiveArray::<P>::from(vec![self.sum]), 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let merged = sum(states[0].as_primitive::<P>()).unwrap_or(P::Native::ZERO);
        self.sum = self.sum.add_wrapping(merged);
        Ok(())
    }
}
