//! `+ - * / %` and `||`: result types, and kernels where DataFusion's differ.
//!
//! INT and BIGINT wrap around, and division truncates towards zero. A DECIMAL result type has room for every exact
//! result; a quotient with more digits is rounded ([`quotient`]). Division by zero is an error for that row, except for
//! DOUBLEs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::{concat_elements, numeric};
use arrow::compute::{CastOptions, cast, cast_with_options, try_binary};
use arrow::datatypes::{ArrowPrimitiveType, ByteArrayType, DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use datafusion::common::{DFSchema, Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{BinaryExpr, Expr};
use headwater_functions::offset;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::{DECIMAL_PRECISION_MAX, SqlType};

use super::common::widened;
use super::kind::{Kind, is_null as is_null_literal};
use super::operator::Op;
use super::quotient;
use super::refusal::{refusal, refuse};
use super::text::text;

/// The minimum number of digits after the decimal point in a quotient.
const QUOTIENT_SCALE_MIN: u8 = 6;

/// The result type of an operator. Fails for types that it does not accept; a NULL operand takes the type of the other.
pub(super) fn result_type(op: Op, left: &Kind, right: &Kind) -> Result<SqlType> {
    let (left, right) = match (left, right) {
        (Kind::Of(left), Kind::Of(right)) => (left, right),
        (Kind::Of(one), Kind::Null) | (Kind::Null, Kind::Of(one)) => (one, one),
        _ => return plan_err!("operator {} does not take {} and {}", op.symbol(), left.name(), right.name()),
    };
    match (left, right) {
        (SqlType::String, SqlType::String) if op == Op::Add => Ok(SqlType::String),
        (left, right) if left.is_number() && right.is_number() => number_type(op, left, right),
        _ => plan_err!("operator {} does not take {left} and {right}", op.symbol()),
    }
}

fn number_type(op: Op, left: &SqlType, right: &SqlType) -> Result<SqlType> {
    let either = |ty: &SqlType| left == ty || right == ty;
    let has_decimal = [left, right].iter().any(|ty| matches!(ty, SqlType::Decimal { .. }));
    match () {
        () if either(&SqlType::Double) => Ok(SqlType::Double),
        () if has_decimal => decimal_type(op, digits(left), digits(right)),
        () if either(&SqlType::BigInt) => Ok(SqlType::BigInt),
        () => Ok(SqlType::Int),
    }
}

/// Precision and scale of an exact number type.
pub(super) fn digits(ty: &SqlType) -> (u16, u16) {
    match ty {
        SqlType::Decimal { precision, scale } => (u16::from(*precision), u16::from(*scale)),
        SqlType::Int => (10, 0),
        _ => (19, 0),
    }
}

fn decimal_type(op: Op, (p1, s1): (u16, u16), (p2, s2): (u16, u16)) -> Result<SqlType> {
    let (precision, scale) = match op {
        Op::Add | Op::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Op::Multiply => (p1 + p2 + 1, s1 + s2),
        op if op.divides() => {
            let scale = u16::from(QUOTIENT_SCALE_MIN).max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        _ => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    let most = u16::from(DECIMAL_PRECISION_MAX);
    if scale > most {
        return plan_err!(
            "the result of {} has {scale} digits after the decimal point, but a DECIMAL has at most {most}",
            op.symbol()
        );
    }
    let narrow = |digits: u16| u8::try_from(digits.min(most)).unwrap_or(DECIMAL_PRECISION_MAX);
    Ok(SqlType::Decimal { precision: narrow(precision.max(scale).max(1)), scale: narrow(scale) })
}

/// Rejects operand types that an operator does not accept, at the location of the operands.
pub(super) fn check(op: Op, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    let kinds = (Kind::of(left, schema)?, Kind::of(right, schema)?);
    let exprs = [left, right];
    let whole = || text(&op.call(left.clone(), right.clone()));
    let (one, other) = (kinds.0.name(), kinds.1.name());
    let refused = || format!("operator {} ({}) does not take {one} and {other}: {}", op.symbol(), op.word(), whole());
    if is_null_literal(left) || is_null_literal(right) {
        let hint = "Give the NULL a type: CAST(NULL AS INT).";
        return Err(refusal(Diagnostic::new(PLAN, refused()).hint(hint), exprs));
    }
    if result_type(op, &kinds.0, &kinds.1).is_ok() || kinds == (Kind::Null, Kind::Null) {
        return Ok(());
    }
    if let (Some(left), Some(right)) = (kinds.0.known(), kinds.1.known())
        && left.is_number()
        && right.is_number()
        && let Err(why) = number_type(op, left, right)
    {
        return Err(refuse(format!("{}: {}", why.message(), whole()), exprs));
    }
    let texts = kinds.0.known() == Some(&SqlType::String) || kinds.1.known() == Some(&SqlType::String);
    let hint = match texts {
        true => "Use CAST to convert between strings and numbers.",
        false => "It takes two numbers.",
    };
    Err(refusal(Diagnostic::new(PLAN, refused()).hint(hint), exprs))
}

/// The operator with both operands converted to the types it computes with.
pub(super) fn lower(op: Op, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    check(op, &left, &right, schema)?;
    let kinds = (Kind::of(&left, schema)?, Kind::of(&right, schema)?);
    let Ok(ty) = result_type(op, &kinds.0, &kinds.1) else { return Ok(op.call(left, right)) };
    match (&ty, op) {
        (SqlType::Int | SqlType::BigInt, Op::Add | Op::Subtract | Op::Multiply) | (SqlType::Double, _) => {
            let sides = [widened(left, &ty, schema)?, widened(right, &ty, schema)?].map(Box::new);
            let [left, right] = sides;
            Ok(Expr::BinaryExpr(BinaryExpr { left, op: op.native(), right }))
        }
        (SqlType::Decimal { .. }, _) => Ok(op.call(exact(left, schema)?, exact(right, schema)?)),
        _ => Ok(op.call(widened(left, &ty, schema)?, widened(right, &ty, schema)?)),
    }
}

/// Converts an integer to the DECIMAL that holds its digits.
fn exact(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let ty = match Kind::of(&expr, schema)? {
        Kind::Of(SqlType::Int) => SqlType::Decimal { precision: 10, scale: 0 },
        Kind::Of(SqlType::BigInt) => SqlType::Decimal { precision: 19, scale: 0 },
        _ => return Ok(expr),
    };
    widened(expr, &ty, schema)
}

/// The result type of `||`.
pub(super) fn concat_type(left: &Kind, right: &Kind) -> Result<SqlType> {
    match (left, right) {
        (Kind::Of(SqlType::Bytes), Kind::Of(SqlType::Bytes) | Kind::Null) | (Kind::Null, Kind::Of(SqlType::Bytes)) => {
            Ok(SqlType::Bytes)
        }
        (Kind::Of(SqlType::String) | Kind::Null, Kind::Of(SqlType::String) | Kind::Null) => Ok(SqlType::String),
        _ => plan_err!("operator || does not take {} and {}", left.name(), right.name()),
    }
}

/// Rejects operands that `||` does not accept.
pub(super) fn check_concat(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    let kinds = (Kind::of(left, schema)?, Kind::of(right, schema)?);
    if concat_type(&kinds.0, &kinds.1).is_ok() {
        return Ok(());
    }
    let message = format!("operator || (CONCAT) does not take {} and {}", kinds.0.name(), kinds.1.name());
    Err(refuse(message, [left, right]))
}

/// `||` with both operands converted to one type.
pub(super) fn lower_concat(left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    check_concat(&left, &right, schema)?;
    let ty = concat_type(&Kind::of(&left, schema)?, &Kind::of(&right, schema)?)?;
    Ok(Op::Concat.call(widened(left, &ty, schema)?, widened(right, &ty, schema)?))
}

/// Evaluates an operator that has no native DataFusion node. Fails if it fails for any row.
pub(super) fn calculate(op: Op, left: &ArrayRef, right: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    match wanted {
        DataType::Int32 => whole::<Int32Type>(op, left, right, i32::wrapping_div, i32::wrapping_rem),
        DataType::Int64 => whole::<Int64Type>(op, left, right, i64::wrapping_div, i64::wrapping_rem),
        DataType::Decimal128(..) | DataType::Decimal256(..) => decimal(op, left, right, wanted),
        DataType::Utf8 => {
            let (left, right) = (cast(left, &DataType::Utf8)?, cast(right, &DataType::Utf8)?);
            Ok(Arc::new(concat_elements::concat_elements_utf8::<i32>(left.as_string(), right.as_string())?))
        }
        other => exec_err!("no operator {} for {other}", op.symbol()),
    }
}

fn whole<T: ArrowPrimitiveType>(
    op: Op,
    left: &ArrayRef,
    right: &ArrayRef,
    divide: fn(T::Native, T::Native) -> T::Native,
    remainder: fn(T::Native, T::Native) -> T::Native,
) -> Result<ArrayRef> {
    let calculate = if op.divides() { divide } else { remainder };
    let zero = T::Native::default();
    let result =
        try_binary::<_, _, _, T>(left.as_primitive::<T>(), right.as_primitive::<T>(), |a, b| match b == zero {
            true => Err(ArrowError::ComputeError("division by zero".to_owned())),
            false => Ok(calculate(a, b)),
        })
        .map_err(in_words)?;
    Ok(Arc::new(result))
}

fn decimal(op: Op, left: &ArrayRef, right: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if op.divides() {
        return quotient::divide(op, left, right, wanted);
    }
    let wide = [left.data_type(), right.data_type(), wanted].iter().any(|ty| matches!(ty, DataType::Decimal256(..)));
    let side = |side: &ArrayRef| match (side.data_type(), wide) {
        (DataType::Decimal128(precision, scale), true) => cast(side, &DataType::Decimal256(*precision, *scale)),
        _ => Ok(side.clone()),
    };
    let (left, right) = (side(left)?, side(right)?);
    let result = match op {
        Op::Add => numeric::add(&left, &right),
        Op::Subtract => numeric::sub(&left, &right),
        Op::Multiply => numeric::mul(&left, &right),
        _ => numeric::rem(&left, &right),
    };
    let result = result.map_err(in_words)?;
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    Ok(cast_with_options(&result, wanted, &options)?)
}

/// Arrow's error as ours, without Arrow's wording.
pub(super) fn in_words(error: ArrowError) -> datafusion::error::DataFusionError {
    match error {
        ArrowError::DivideByZero => exec_datafusion_err!("division by zero"),
        ArrowError::ComputeError(why) => exec_datafusion_err!("{why}"),
        ArrowError::ArithmeticOverflow(_) => exec_datafusion_err!("the result is too large"),
        other => other.into(),
    }
}

/// Evaluates `||`: a NULL operand is skipped.
pub(super) fn concat(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if left.data_type() == &DataType::Binary {
        return joined(left.as_binary::<i32>(), right.as_binary());
    }
    let (left, right) = (cast(left, &DataType::Utf8)?, cast(right, &DataType::Utf8)?);
    joined(left.as_string::<i32>(), right.as_string())
}

/// Concatenates both values of each row; NULL is skipped.
fn joined<T: ByteArrayType<Offset = i32>>(left: &GenericByteArray<T>, right: &GenericByteArray<T>) -> Result<ArrayRef> {
    let mut values: Vec<u8> = Vec::with_capacity(left.value_data().len() + right.value_data().len());
    let mut offsets = Vec::with_capacity(left.len() + 1);
    offsets.push(0);
    for row in 0..left.len() {
        for side in [left, right].into_iter().filter(|side| side.is_valid(row)) {
            values.extend_from_slice(side.value(row).as_ref());
        }
        offsets.push(offset(values.len())?);
    }
    let joined = GenericByteArray::<T>::try_new(OffsetBuffer::new(offsets.into()), values.into(), None)?;
    Ok(Arc::new(joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Kind {
        Kind::Of(headwater_language::sql::parse_type(text).expect("a type"))
    }

    #[test]
    fn results_have_room_for_every_exact_value() {
        for (left, op, right, result) in [
            ("INT", Op::Add, "INT", "INTEGER"),
            ("INT", Op::Divide, "BIGINT", "BIGINT"),
            ("DECIMAL(4, 2)", Op::Add, "DECIMAL(4, 2)", "DECIMAL(5, 2)"),
            ("DECIMAL(4, 2)", Op::Multiply, "DECIMAL(4, 2)", "DECIMAL(9, 4)"),
            ("DECIMAL(4, 2)", Op::Divide, "DECIMAL(4, 2)", "DECIMAL(11, 7)"),
            ("DECIMAL(4, 2)", Op::Modulo, "DECIMAL(5, 1)", "DECIMAL(4, 2)"),
            ("DECIMAL(4, 2)", Op::Subtract, "INT", "DECIMAL(13, 2)"),
            ("BIGINT", Op::Multiply, "DECIMAL(3, 3)", "DECIMAL(23, 3)"),
            ("DECIMAL(40, 2)", Op::Multiply, "DECIMAL(40, 2)", "DECIMAL(76, 4)"),
            ("DECIMAL(4, 2)", Op::Add, "DOUBLE", "DOUBLE"),
            ("STRING", Op::Add, "STRING", "STRING"),
        ] {
            let found = result_type(op, &of(left), &of(right)).map(|ty| ty.to_string());
            assert_eq!(found.expect(left), result, "{left} {op:?} {right}");
        }
        for (left, op, right) in [
            ("BOOLEAN", Op::Add, "INT"),
            ("STRING", Op::Subtract, "STRING"),
            ("STRING", Op::Add, "INT"),
            ("ARRAY<INT>", Op::Add, "ARRAY<INT>"),
        ] {
            assert!(result_type(op, &of(left), &of(right)).is_err(), "{left} {op:?} {right}");
        }
    }
}
