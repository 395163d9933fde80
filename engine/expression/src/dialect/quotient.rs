//! Quotients of DECIMALs.
//!
//! The scale of the result type holds every digit of most quotients. If a quotient has more digits, the last digit is
//! rounded half up, as Java's `HALF_UP` does: 2 / 3 is 0.666667 at a scale of six, and -0.5 is -1 at a scale of zero.
//! Under `decimal.division = 'exact'` ([`Op::DivideExactly`]) such a quotient is an error for its row, as in ksqlDB. A
//! quotient that does not fit its type and a division by zero are errors for their row in both cases.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal256Array};
use arrow::compute::{cast, try_binary};
use arrow::datatypes::{DataType, Decimal256Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_err};
use headwater_language::types::DECIMAL_PRECISION_MAX;

use super::arithmetic::in_words;
use super::operator::Op;

/// The quotients at the scale of `wanted`. Fails if any row fails.
pub(super) fn divide(op: Op, left: &ArrayRef, right: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = *wanted else {
        return exec_err!("a quotient of DECIMALs is a DECIMAL");
    };
    let (left, left_scale) = widest(left)?;
    let (right, right_scale) = widest(right)?;
    let Ok(shift) = u32::try_from(i32::from(scale) + i32::from(right_scale) - i32::from(left_scale)) else {
        return exec_err!("a quotient cannot have fewer digits after the decimal point than its dividend");
    };
    let shift = Shift { places: shift, unit: power_of_ten(shift) };
    let limit = power_of_ten(u32::from(precision));
    let each = |a: i256, b: i256| {
        let quotient = shifted_quotient(a, b, &shift)?;
        if op == Op::DivideExactly && !quotient.exact {
            return Err(failed(format!("the quotient has more than {scale} digits after the decimal point")));
        }
        let fits = limit.is_none_or(|limit| quotient.rounded < limit && quotient.rounded > limit.wrapping_neg());
        if fits { Ok(quotient.rounded) } else { Err(too_large()) }
    };
    let quotients = try_binary::<_, _, _, Decimal256Type>(&left, &right, each).map_err(in_words)?;
    let quotients: ArrayRef = Arc::new(quotients.with_precision_and_scale(DECIMAL_PRECISION_MAX, scale)?);
    Ok(cast(&quotients, wanted)?)
}

/// How far a dividend is shifted so that the integer quotient has the wanted digits.
struct Shift {
    places: u32,
    /// 10 to the power of `places`, if it fits.
    unit: Option<i256>,
}

/// A quotient as an unscaled integer.
struct Quotient {
    /// The quotient, rounded half up, away from zero.
    rounded: i256,
    /// Whether nothing was rounded.
    exact: bool,
}

fn failed(why: String) -> ArrowError {
    ArrowError::ComputeError(why)
}

fn too_large() -> ArrowError {
    failed("the quotient is too large".to_owned())
}

fn power_of_ten(places: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(places)
}

fn shifted_quotient(a: i256, b: i256, shift: &Shift) -> std::result::Result<Quotient, ArrowError> {
    if b == i256::ZERO {
        return Err(failed("division by zero".to_owned()));
    }
    let Some(shifted) = shift.unit.and_then(|unit| a.checked_mul(unit)) else {
        return long_quotient(a, b, shift.places).ok_or_else(too_large);
    };
    if let (Some(a), Some(b)) = (shifted.to_i128(), b.to_i128())
        && let (Some(whole), Some(rest)) = (a.checked_div(b), a.checked_rem(b))
    {
        let up = rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs();
        let away = if !up {
            0
        } else if (a < 0) == (b < 0) {
            1
        } else {
            -1
        };
        let rounded = i256::from_i128(whole).wrapping_add(i256::from_i128(away));
        return Ok(Quotient { rounded, exact: rest == 0 });
    }
    let whole = shifted.wrapping_div(b);
    let rest = shifted.wrapping_sub(whole.wrapping_mul(b));
    Ok(rounded(whole, rest.wrapping_abs(), b.wrapping_abs(), (shifted < i256::ZERO) != (b < i256::ZERO)))
}

/// Rounds the quotient `whole` with the remainder `rest`, both without signs, and applies the sign.
fn rounded(whole: i256, rest: i256, divisor: i256, negative: bool) -> Quotient {
    // Twice the remainder might overflow.
    let up = rest >= divisor.wrapping_sub(rest);
    let away = if negative { i256::MINUS_ONE } else { i256::ONE };
    let rounded = if up { whole.wrapping_add(away) } else { whole };
    Quotient { rounded, exact: rest == i256::ZERO }
}

/// The quotient of a dividend that overflows once it is shifted, computed digit by digit. None if the quotient
/// overflows, too.
fn long_quotient(a: i256, b: i256, places: u32) -> Option<Quotient> {
    let (dividend, divisor) = (a.checked_abs()?, b.checked_abs()?);
    let mut whole = dividend.wrapping_div(divisor);
    let mut rest = dividend.wrapping_sub(whole.wrapping_mul(divisor));
    for _ in 0..places {
        let (digit, left) = next_digit(rest, divisor);
        whole = whole.checked_mul(i256::from_i128(10))?.checked_add(digit)?;
        rest = left;
    }
    let negative = (a < i256::ZERO) != (b < i256::ZERO);
    let whole = if negative { whole.wrapping_neg() } else { whole };
    Some(rounded(whole, rest, divisor, negative))
}

/// Divides ten times the remainder; returns the digit and the new remainder. It adds repeatedly, since ten times the
/// remainder might overflow.
fn next_digit(rest: i256, divisor: i256) -> (i256, i256) {
    let (mut digit, mut left) = (i256::ZERO, i256::ZERO);
    for _ in 0..10 {
        // Both are less than the divisor, a DECIMAL of at most 76 digits, so their sum fits.
        left = left.wrapping_add(rest);
        if left >= divisor {
            left = left.wrapping_sub(divisor);
            digit = digit.wrapping_add(i256::ONE);
        }
    }
    (digit, left)
}

/// A DECIMAL array at full width, and its scale.
fn widest(values: &ArrayRef) -> Result<(Decimal256Array, i8)> {
    match values.data_type() {
        DataType::Decimal128(_, scale) => {
            let wide = cast(values, &DataType::Decimal256(DECIMAL_PRECISION_MAX, *scale))?;
            Ok((wide.as_primitive().clone(), *scale))
        }
        DataType::Decimal256(_, scale) => Ok((values.as_primitive::<Decimal256Type>().clone(), *scale)),
        other => exec_err!("{other} is not a DECIMAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimals(value: &str, precision: u8, scale: i8) -> ArrayRef {
        let value = i256::from_string(value).expect("a number");
        let values = Decimal256Array::from(vec![value]).with_precision_and_scale(precision, scale).expect("digits");
        let ty = match precision {
            0..=38 => DataType::Decimal128(precision, scale),
            _ => DataType::Decimal256(precision, scale),
        };
        cast(&values, &ty).expect("it fits")
    }

    /// The digits of a quotient of integers at a scale, or the error.
    fn quotient(op: Op, a: &str, b: &str, wanted: DataType) -> String {
        let found = divide(op, &decimals(a, 76, 0), &decimals(b, 76, 0), &wanted);
        found.map_or_else(
            |error| error.strip_backtrace(),
            |found| {
                let wide = cast(&found, &DataType::Decimal256(76, 6)).expect("it is narrower");
                wide.as_primitive::<Decimal256Type>().value(0).to_string()
            },
        )
    }

    #[test]
    fn a_quotient_with_too_many_digits_is_rounded_half_up_or_an_error() {
        let inexact = "Execution error: the quotient has more than 6 digits after the decimal point";
        let zero = "Execution error: division by zero";
        for (a, b, rounded, exact) in [
            ("1", "4", "250000", "250000"),
            ("1", "3", "333333", inexact),
            ("2", "3", "666667", inexact),
            ("-2", "3", "-666667", inexact),
            ("2", "-3", "-666667", inexact),
            ("-2", "-3", "666667", inexact),
            ("1", "2000000", "1", inexact),
            ("-1", "2000000", "-1", inexact),
            ("1", "2000001", "0", inexact),
            ("0", "7", "0", "0"),
            ("1", "0", zero, zero),
            (
                "170141183460469231731687303715884105728",
                "-1",
                "-170141183460469231731687303715884105728000000",
                "-170141183460469231731687303715884105728000000",
            ),
        ] {
            let wanted = DataType::Decimal256(76, 6);
            assert_eq!(quotient(Op::Divide, a, b, wanted.clone()), rounded, "{a} / {b}");
            assert_eq!(quotient(Op::DivideExactly, a, b, wanted), exact, "{a} / {b}");
        }
    }

    #[test]
    fn a_dividend_without_room_for_its_zeros_is_divided_digit_by_digit() {
        let nines = "9".repeat(76);
        let sevens = "7".repeat(76);
        let wanted = DataType::Decimal256(76, 6);
        assert_eq!(quotient(Op::Divide, &nines, &nines, wanted.clone()), "1000000");
        assert_eq!(quotient(Op::DivideExactly, &nines, &nines, wanted.clone()), "1000000");
        assert_eq!(quotient(Op::Divide, &nines, &sevens, wanted.clone()), "1285714");
        assert_eq!(quotient(Op::Divide, &format!("-{sevens}"), &nines, wanted.clone()), "-777778");
        let too_large = "Execution error: the quotient is too large";
        assert_eq!(quotient(Op::Divide, &nines, "2", wanted), too_large);
        assert_eq!(quotient(Op::Divide, "12345", "1", DataType::Decimal128(10, 6)), too_large);
    }

    #[test]
    fn long_and_short_division_agree() {
        for a in [-1_000_003_i128, -7, 0, 1, 2, 5, 999_999_999_999] {
            for b in [-13_i128, -2, 1, 3, 8, 1_000_007] {
                let (a, b) = (i256::from_i128(a), i256::from_i128(b));
                let shift = Shift { places: 9, unit: power_of_ten(9) };
                let short = shifted_quotient(a, b, &shift).expect("a quotient");
                let long = long_quotient(a, b, 9).expect("a quotient");
                assert_eq!((short.rounded, short.exact), (long.rounded, long.exact), "{a} / {b}");
            }
        }
    }
}
