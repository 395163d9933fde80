//! Kernels over DOUBLE.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::{binary as arrow_binary, cast, unary as arrow_unary};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;

use crate::call::Call;

/// A function of one number, which may be INT or BIGINT.
pub fn unary(call: &Call<'_>, of: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let values = cast(&call.array(0)?, &DataType::Float64)?;
    let result: Float64Array = arrow_unary(values.as_primitive::<Float64Type>(), of);
    Ok(Arc::new(result))
}

/// A function of two numbers.
pub fn binary(call: &Call<'_>, of: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (left, right) = (call.array(0)?, call.array(1)?);
    let result: Float64Array =
        arrow_binary(left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>(), of)?;
    Ok(Arc::new(result))
}

/// The logarithm of `value` to a base, as Java divides two natural logarithms.
pub fn log(base: f64, value: f64) -> f64 {
    if base <= 0.0 || base == 1.0 {
        f64::NAN
    } else if base == 10.0 {
        value.log10()
    } else {
        value.ln() / base.ln()
    }
}

/// 1 / tan.
pub fn cot(angle: f64) -> f64 {
    1.0 / angle.tan()
}

/// In the order in which Java multiplies and divides, which the last digit shows.
pub fn degrees(radians: f64) -> f64 {
    radians * 180.0 / std::f64::consts::PI
}

/// In the order in which Java divides and multiplies, which the last digit shows.
pub fn radians(degrees: f64) -> f64 {
    degrees / 180.0 * std::f64::consts::PI
}

/// The nearest BIGINT; ties are rounded up.
pub fn round(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.numbers::<Float64Type>(0);
    call.each::<Int64Type>(|row| {
        let (value, below) = (values.value(row), values.value(row).floor());
        Ok(Some(if value - below >= 0.5 { below + 1.0 } else { below } as i64))
    })
}

/// The nearest BIGINT towards zero.
pub fn trunc(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.numbers::<Float64Type>(0);
    call.each::<Int64Type>(|row| Ok(Some(values.value(row) as i64)))
}

/// Rounds a number to this many digits after the decimal point.
pub fn round_places(call: &Call<'_>) -> Result<ArrayRef> {
    places(call, |digit, rest, negative| if negative { digit > b'5' || digit == b'5' && rest } else { digit >= b'5' })
}

/// Truncates a number to this many digits after the decimal point.
pub fn trunc_places(call: &Call<'_>) -> Result<ArrayRef> {
    places(call, |_, _, _| false)
}

/// Cuts the shortest decimal form of a number, as Java's `BigDecimal.valueOf` sees it. `up` says from
/// the first digit cut, whether others follow it, and the sign, whether the last digit kept grows.
fn places(call: &Call<'_>, up: fn(u8, bool, bool) -> bool) -> Result<ArrayRef> {
    let (values, places) = (call.numbers::<Float64Type>(0), call.numbers::<Int32Type>(1));
    let mut text = String::new();
    call.each::<Float64Type>(|row| {
        let value = values.value(row);
        if !value.is_finite() {
            return Err(format!("{value} cannot be rounded"));
        }
        let magnitude = match cut_clearly(value.abs(), places.value(row), up(b'5', true, false)) {
            Some(magnitude) => magnitude,
            None => {
                text.clear();
                // Writing to a String does not fail.
                let _ = write!(text, "{:e}", value.abs());
                cut(&text, i64::from(places.value(row)), value < 0.0, up)
            }
        };
        Ok(Some(if value < 0.0 { -magnitude } else { magnitude }))
    })
}

/// The same without looking at digits, where the number is clearly on one side of where the last digit kept would
/// change: a multiple of `10^-places` is then its whole number of them divided by a power of ten, and as both are exact
/// the quotient is the DOUBLE nearest to it. `None` where that is not certain.
fn cut_clearly(magnitude: f64, places: i32, to_nearest: bool) -> Option<f64> {
    let unit = *POWERS_OF_TEN.get(usize::try_from(places).ok()?)?;
    let scaled = magnitude * unit;
    if scaled >= CLEAR_MAX {
        return None;
    }
    let (below, edge) = (scaled.floor(), if to_nearest { 0.5 } else { 0.0 });
    let rest = scaled - below;
    let distance = (rest - edge).abs().min((rest - edge - 1.0).abs());
    (distance > CLEAR_DISTANCE).then(|| if to_nearest && rest > edge { below + 1.0 } else { below } / unit)
}

/// Exact powers of ten, enough for all practical rounding.
const POWERS_OF_TEN: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Below this many units the product above is wrong by less than a tenth of [`CLEAR_DISTANCE`], in units.
const CLEAR_MAX: f64 = 1e11;

/// How far from an edge a number is clearly on one side of it, in units.
const CLEAR_DISTANCE: f64 = 1e-3;

/// Cuts `d.ddde±x` to this many digits after the decimal point.
fn cut(text: &str, places: i64, negative: bool, up: fn(u8, bool, bool) -> bool) -> f64 {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = digits.bytes().filter(|b| *b != b'.').collect();
    let kept = exponent + 1 + places;
    if kept >= digits.len() as i64 {
        return text.parse().unwrap_or(f64::NAN);
    }
    if kept < 0 {
        return 0.0;
    }
    let (head, tail) = digits.split_at(kept as usize);
    let whole = std::str::from_utf8(head).ok().and_then(|head| head.parse::<u64>().ok()).unwrap_or(0);
    let grows = up(tail[0], tail[1..].iter().any(|d| *d != b'0'), negative);
    format!("{}e{}", whole + u64::from(grows), -places).parse().unwrap_or(f64::NAN)
}
