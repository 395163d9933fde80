//! A DOUBLE in a field of 32 bits, the `float` of AVRO and PROTOBUF: it is rounded, but never becomes infinite.

use super::fault::{Fault, Outcome};

/// The nearest number of 32 bits, if there is one. NaN and the infinities are themselves.
#[inline]
pub(super) fn float_of(double: f64) -> Option<f32> {
    let float = double as f32;
    (float.is_finite() || !double.is_finite()).then_some(float)
}

/// Appends a DOUBLE as a float, the least significant byte first.
#[inline]
pub(super) fn write_float(double: f64, out: &mut Vec<u8>) -> Outcome<()> {
    let float = float_of(double).ok_or_else(|| out_of_range(double))?;
    out.extend_from_slice(&float.to_le_bytes());
    Ok(())
}

#[cold]
fn out_of_range(double: f64) -> Box<Fault> {
    Fault::of_row(format!("{double:E} is out of range for a float"))
}
