//! Kernels over INT and BIGINT.

use arrow::array::{ArrayRef, PrimitiveBuilder};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;

use crate::call::{Call, Row};

/// The maximum length of a GENERATE_SERIES.
const SERIES_MAX: u64 = 1 << 16;

/// ABS of INT; the smallest INT is unchanged.
pub fn abs_int(call: &Call<'_>) -> Result<ArrayRef> {
    call.map::<Int32Type, Int32Type>(0, i32::wrapping_abs)
}

/// ABS of BIGINT; the smallest BIGINT is unchanged.
pub fn abs_bigint(call: &Call<'_>) -> Result<ArrayRef> {
    call.map::<Int64Type, Int64Type>(0, i64::wrapping_abs)
}

/// A whole number is its own ceiling.
pub fn itself(call: &Call<'_>) -> Result<ArrayRef> {
    call.array(0)
}

/// A whole number as BIGINT.
pub fn whole(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(cast(&call.array(0)?, &DataType::Int64)?)
}

/// SIGN of INT.
pub fn sign_int(call: &Call<'_>) -> Result<ArrayRef> {
    call.map::<Int32Type, Int32Type>(0, i32::signum)
}

/// SIGN of BIGINT.
pub fn sign_bigint(call: &Call<'_>) -> Result<ArrayRef> {
    call.map::<Int64Type, Int32Type>(0, |value| value.signum() as i32)
}

/// SIGN of DOUBLE; 0 of NaN.
pub fn sign_double(call: &Call<'_>) -> Result<ArrayRef> {
    call.map::<Float64Type, Int32Type>(0, |value| i32::from(value > 0.0) - i32::from(value < 0.0))
}

/// GENERATE_SERIES of INT.
pub fn series_int(call: &Call<'_>) -> Result<ArrayRef> {
    let (first, last) = (call.numbers::<Int32Type>(0), call.numbers::<Int32Type>(1));
    series::<Int32Type>(call, |row| (first.value(row).into(), last.value(row).into()), |n| n as i32)
}

/// GENERATE_SERIES of BIGINT.
pub fn series_bigint(call: &Call<'_>) -> Result<ArrayRef> {
    let (first, last) = (call.numbers::<Int64Type>(0), call.numbers::<Int64Type>(1));
    series::<Int64Type>(call, |row| (first.value(row), last.value(row)), |n| n)
}

fn series<P: ArrowPrimitiveType>(
    call: &Call<'_>,
    bounds: impl Fn(usize) -> (i64, i64),
    native: impl Fn(i64) -> P::Native,
) -> Result<ArrayRef> {
    let steps = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let write = |row: usize, out: &mut PrimitiveBuilder<P>| -> Row<usize> {
        let (first, last) = bounds(row);
        let step = steps.as_ref().map_or(if last < first { -1 } else { 1 }, |steps| i64::from(steps.value(row)));
        if step == 0 || (step > 0) != (last >= first) && first != last {
            return Err(format!("a step of {step} does not lead from {first} to {last}"));
        }
        let count = last.abs_diff(first) / step.unsigned_abs() + 1;
        if count > SERIES_MAX {
            return Err(format!("a series has at most {SERIES_MAX} numbers, not {count}"));
        }
        (0..count as i64).for_each(|n| out.append_value(native(first.wrapping_add(n.wrapping_mul(step)))));
        Ok(Some(count as usize))
    };
    call.each_list(PrimitiveBuilder::<P>::new(), write, |mut out| Ok(std::sync::Arc::new(out.finish())))
}
