//! Kernels over DECIMAL, which cut its unscaled digits at a position.

use arrow::array::{ArrayRef, ArrowNativeTypeOp};
use arrow::datatypes::{ArrowNativeType, DataType, Decimal128Type, Decimal256Type, DecimalType, Int32Type};
use datafusion::error::Result;
use headwater_language::types::SqlType;

use crate::call::{Call, Row};

/// The direction of rounding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
    Nearest,
    TowardsZero,
}

/// The type of the argument.
pub fn same(types: &[DataType]) -> DataType {
    types.iter().find(|ty| ty.is_decimal()).cloned().unwrap_or(DataType::Decimal128(38, 0))
}

/// The type of the argument without digits after the decimal point.
pub fn whole(types: &[DataType]) -> DataType {
    let (precision, scale) = digits(&same(types));
    let ty = SqlType::Decimal { precision: (precision - scale.min(precision)).max(1), scale: 0 };
    ty.to_arrow().unwrap_or(DataType::Decimal128(38, 0))
}

fn digits(ty: &DataType) -> (u8, u8) {
    match ty {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (*precision, scale.unsigned_abs())
        }
        _ => (38, 0),
    }
}

/// ABS.
pub fn abs_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    match call.type_of(0) {
        DataType::Decimal256(..) => abs::<Decimal256Type>(call),
        _ => abs::<Decimal128Type>(call),
    }
}

fn abs<D: DecimalType>(call: &Call<'_>) -> Result<ArrayRef>
where
    D::Native: ArrowNativeTypeOp,
{
    let values = call.numbers::<D>(0);
    call.each::<D>(|row| {
        let value = values.value(row);
        Ok(Some(if value.is_lt(D::Native::ZERO) { value.neg_wrapping() } else { value }))
    })
}

/// CEIL.
pub fn ceil_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::Up)
}

/// FLOOR.
pub fn floor_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::Down)
}

/// ROUND to a whole number.
pub fn round_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::Nearest)
}

/// TRUNC to a whole number.
pub fn trunc_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::TowardsZero)
}

/// ROUND to a number of digits after the decimal point.
pub fn round_decimal_places(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::Nearest)
}

/// TRUNC to a number of digits after the decimal point.
pub fn trunc_decimal_places(call: &Call<'_>) -> Result<ArrayRef> {
    cut(call, Way::TowardsZero)
}

fn cut(call: &Call<'_>, way: Way) -> Result<ArrayRef> {
    match (call.type_of(0), call.returns()) {
        (DataType::Decimal256(..), DataType::Decimal128(..)) => {
            // The result is narrower only without the digits after the point, so these go first.
            let wide = cut_as::<Decimal256Type>(call, way, None)?;
            Ok(arrow::compute::cast(&wide, call.returns())?)
        }
        (DataType::Decimal256(..), returns) => cut_as::<Decimal256Type>(call, way, Some(returns)),
        (_, returns) => cut_as::<Decimal128Type>(call, way, Some(returns)),
    }
}

/// Cuts at the position in the second argument, or at the decimal point. If `returns` is none, the result is a wide
/// whole number.
fn cut_as<D: DecimalType>(call: &Call<'_>, way: Way, returns: Option<&DataType>) -> Result<ArrayRef>
where
    D::Native: ArrowNativeTypeOp,
{
    let (_, scale) = digits(call.type_of(0));
    let (precision_out, scale_out) = digits(call.returns());
    let values = call.numbers::<D>(0);
    let places = (call.len() > 1).then(|| call.numbers::<Int32Type>(1));
    let ten = D::Native::usize_as(10);
    let drop = ten.pow_wrapping(u32::from(scale - scale_out.min(scale)));
    let limit = if precision_out < D::MAX_PRECISION { Some(ten.pow_wrapping(precision_out.into())) } else { None };
    let row = |row: usize| -> Row<D::Native> {
        let place = places.as_ref().map_or(0, |places| i64::from(places.value(row)));
        let cut = at_place::<D>(values.value(row), i64::from(scale) - place, way)
            .ok_or_else(|| "the result has more digits than its type".to_owned())?;
        let cut = cut.div_wrapping(drop);
        let over = limit.is_some_and(|limit| cut.is_ge(limit) || cut.is_le(limit.neg_wrapping()));
        if over { Err("the result has more digits than its type".to_owned()) } else { Ok(Some(cut)) }
    };
    let wide = DataType::Decimal256(76, 0);
    call.each_as::<D>(returns.unwrap_or(&wide), row)
}

/// The value with its last `zeros` digits set to zero. None if it overflows its type.
fn at_place<D: DecimalType>(value: D::Native, zeros: i64, way: Way) -> Option<D::Native>
where
    D::Native: ArrowNativeTypeOp,
{
    if zeros <= 0 {
        return Some(value);
    }
    let zero = D::Native::ZERO;
    let Some(unit) = u32::try_from(zeros).ok().and_then(|zeros| D::Native::usize_as(10).pow_checked(zeros).ok()) else {
        // The position is beyond all digits.
        return Some(zero);
    };
    let rest = value.mod_wrapping(unit);
    // Below the value, at a multiple of the unit.
    let rest_up = if rest.is_lt(zero) { rest.add_wrapping(unit) } else { rest };
    let below = value.sub_checked(rest_up).ok()?;
    let grows = match way {
        Way::Up => !rest_up.is_zero(),
        Way::Down => false,
        // Twice the remainder might overflow.
        Way::Nearest => rest_up.is_ge(unit.sub_wrapping(rest_up)),
        Way::TowardsZero => value.is_lt(zero) && !rest_up.is_zero(),
    };
    if grows { below.add_checked(unit).ok() } else { Some(below) }
}
