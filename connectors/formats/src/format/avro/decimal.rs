//! Decimals: two's complement, the most significant byte first, as many bytes as it takes or a fixed number.

use arrow::datatypes::{Decimal128Type, DecimalType, i256};

use super::cursor::Cursor;
use super::plan::Decimal;
use crate::format::fault::{Fault, Outcome};
use crate::format::unscaled::{has_digits, number_of, rescaled};

/// Reads a decimal that fits a column of up to 38 digits without rounding.
#[inline]
pub(super) fn read(cursor: &mut Cursor<'_>, decimal: &Decimal) -> Outcome<i128> {
    let at = cursor.at();
    let bytes = take(cursor, decimal)?;
    if decimal.shift == 0
        && let Some(unscaled) = narrow(bytes)
        && Decimal128Type::is_valid_decimal_precision(unscaled, decimal.precision)
    {
        return Ok(unscaled);
    }
    scaled(bytes, decimal).and_then(i256::to_i128).ok_or_else(|| misfit(at, bytes, decimal))
}

/// Reads a decimal that fits a column of any width without rounding.
pub(super) fn read_wide(cursor: &mut Cursor<'_>, decimal: &Decimal) -> Outcome<i256> {
    let at = cursor.at();
    let bytes = take(cursor, decimal)?;
    scaled(bytes, decimal).ok_or_else(|| misfit(at, bytes, decimal))
}

#[inline]
fn take<'a>(cursor: &mut Cursor<'a>, decimal: &Decimal) -> Outcome<&'a [u8]> {
    match decimal.size {
        None => cursor.bytes(),
        Some(size) => cursor.take(size),
    }
}

#[cold]
fn misfit(at: usize, bytes: &[u8], decimal: &Decimal) -> Box<Fault> {
    match bytes {
        [] => Fault::at(at, "a decimal has no bytes"),
        _ => Fault::at(at, format!("the number does not fit DECIMAL({}, {})", decimal.precision, decimal.scale)),
    }
}

#[inline]
fn narrow(bytes: &[u8]) -> Option<i128> {
    let sign = if *bytes.first()? >= 0x80 { 0xff } else { 0 };
    let mut number = [sign; 16];
    number.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(number))
}

/// The unscaled number with the column's scale, if it fits.
fn scaled(bytes: &[u8], decimal: &Decimal) -> Option<i256> {
    let number = number_of(bytes).filter(|_| !bytes.is_empty())?;
    rescaled(number, decimal.shift).filter(|number| has_digits(*number, decimal.precision))
}
