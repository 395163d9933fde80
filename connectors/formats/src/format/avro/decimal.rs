//! Decimals: two's complement, the most significant byte first, as many bytes as it takes or a fixed number.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{Decimal128Type, Decimal256Type, DecimalType, i256};

use super::cursor::Cursor;
use super::plan::Decimal;
use crate::format::fault::{Fault, Outcome};

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
    let sign = if *bytes.first()? >= 0x80 { 0xff } else { 0 };
    let surplus = bytes.len().saturating_sub(32);
    let (surplus, bytes) = bytes.split_at(surplus);
    let mut number = [sign; 32];
    number[32 - bytes.len()..].copy_from_slice(bytes);
    let number = i256::from_be_bytes(number);
    // Longer numbers fit if what is in front only repeats the sign.
    if surplus.iter().any(|byte| *byte != sign) || number.is_negative() != (sign == 0xff) {
        return None;
    }
    let number = rescaled(number, decimal.shift)?;
    Decimal256Type::is_valid_decimal_precision(number, decimal.precision).then_some(number)
}

/// The number times ten to the power of `shift`, if it is a whole one and in range.
pub(super) fn rescaled(number: i256, shift: i64) -> Option<i256> {
    if shift == 0 || number == i256::ZERO {
        return Some(number);
    }
    let power = i256::from_i128(10).pow_checked(u32::try_from(shift.unsigned_abs()).ok()?).ok()?;
    match shift > 0 {
        true => number.checked_mul(power),
        false => (number.checked_rem(power)? == i256::ZERO).then(|| number.checked_div(power)).flatten(),
    }
}

/// Writes the shortest bytes of a number.
pub(super) fn shortest(number: &[u8]) -> &[u8] {
    let is_redundant = |pair: &&[u8]| matches!(pair, [0, 0..0x80] | [0xff, 0x80..=0xff]);
    let redundant = number.windows(2).take_while(|pair| is_redundant(pair)).count();
    &number[redundant..]
}
