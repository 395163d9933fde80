//! DOUBLEs compared as in Java: NaN is not equal to, less than or greater than anything, and 0.0 equals -0.0.
//!
//! Arrow compares DOUBLEs by their bits, so that -0.0 is less than 0.0, and NaN equals itself and is greater than all
//! other values. So a comparison of DOUBLEs uses a kernel of our own, except for an equality that rows may be joined
//! on: it remains DataFusion's, with operands that are NULL for NaN ([`or_null`]). Operations that group or sort rows
//! (GROUP BY, DISTINCT and the like) are handled in [`super::one_form`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::kernel;
use super::operator::Op;

/// The name of the function, as EXPLAIN shows it.
pub(super) const OR_NULL: &str = "ordinary_or_null";

/// Prepares an operand of an equality: in a DOUBLE, NaN becomes NULL, which equals nothing, and -0.0 becomes 0.0.
pub(super) fn or_null(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if expr.get_type(schema)? != DataType::Float64 || matches!(&expr, Expr::Literal(value, _) if is_plain(value)) {
        return Ok(expr);
    }
    Ok(ScalarUDF::from(OrNull { signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr]))
}

/// Whether a constant has only one representation.
pub(super) fn is_plain(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(value)) => !value.is_nan() && *value != 0.0,
        other => other.is_null(),
    }
}

/// A function that returns a DOUBLE, or NULL for NaN.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrNull {
    signature: Signature,
}

impl ScalarUDFImpl for OrNull {
    fn name(&self) -> &'static str {
        OR_NULL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays| {
            // -0.0 + 0.0 is 0.0.
            let some = |value: f64| (!value.is_nan()).then_some(value + 0.0);
            Ok(Arc::new(doubles(&arrays[0])?.unary_opt::<_, Float64Type>(some)) as ArrayRef)
        })
    }
}

fn doubles(values: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Lowers a comparison of DOUBLEs.
pub(super) fn lower(op: Op, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    if op != Op::Equal {
        return Ok(op.call(left, right));
    }
    let (left, right) = (or_null(left, schema)?, or_null(right, schema)?);
    Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op: op.native(), right: Box::new(right) }))
}

/// Compares DOUBLEs; NULL if either side is NULL.
pub(super) fn compare(op: Op, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (left, right) = (doubles(left)?, doubles(right)?);
    // NaN is not distinct from NaN, just as NULL is not distinct from NULL.
    if matches!(op, Op::Distinct | Op::NotDistinct) {
        return Ok(distinct(op == Op::Distinct, &left, &right));
    }
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let (left, right) = (left.values(), right.values());
    match holding(op, left.len(), |row| (left[row], right[row])) {
        Some(found) => Ok(Arc::new(BooleanArray::new(found, nulls))),
        None => exec_err!("{} is not a comparison", op.symbol()),
    }
}

/// Compares DOUBLEs with one number, for operators that are false if a side is NULL.
pub(super) fn compare_to(op: Op, left: &ArrayRef, right: f64) -> Option<ArrayRef> {
    let left = left.as_primitive_opt::<Float64Type>()?;
    let values = left.values();
    let found = holding(op, values.len(), |row| (values[row], right))?;
    Some(Arc::new(BooleanArray::new(found, left.nulls().cloned())))
}

/// The rows for which an operator holds, with a separate loop for each operator so that there is no branch inside.
fn holding(op: Op, rows: usize, sides: impl Fn(usize) -> (f64, f64)) -> Option<BooleanBuffer> {
    Some(match op {
        Op::Equal => BooleanBuffer::collect_bool(rows, |row| sides(row).0 == sides(row).1),
        Op::NotEqual => BooleanBuffer::collect_bool(rows, |row| sides(row).0 != sides(row).1),
        Op::Less => BooleanBuffer::collect_bool(rows, |row| sides(row).0 < sides(row).1),
        Op::LessOrEqual => BooleanBuffer::collect_bool(rows, |row| sides(row).0 <= sides(row).1),
        Op::Greater => BooleanBuffer::collect_bool(rows, |row| sides(row).0 > sides(row).1),
        Op::GreaterOrEqual => BooleanBuffer::collect_bool(rows, |row| sides(row).0 >= sides(row).1),
        _ => return None,
    })
}

fn distinct(wanted: bool, left: &Float64Array, right: &Float64Array) -> ArrayRef {
    let same = |row: usize| match (left.is_valid(row), right.is_valid(row)) {
        (true, true) => {
            let (a, b) = (left.value(row), right.value(row));
            a == b || a.is_nan() && b.is_nan()
        }
        (a, b) => a == b,
    };
    Arc::new(BooleanArray::from_iter((0..left.len()).map(|row| Some(same(row) != wanted))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_compare_as_in_java() {
        let left: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::NAN), Some(-0.0), Some(1.0), None]));
        let right: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), Some(0.0), Some(2.0), Some(1.0)]));
        let (yes, no) = (Some(true), Some(false));
        for (op, wanted) in [
            (Op::Equal, [no, no, yes, no, None]),
            (Op::NotEqual, [yes, yes, no, yes, None]),
            (Op::Less, [no, no, no, yes, None]),
            (Op::LessOrEqual, [no, no, yes, yes, None]),
            (Op::Greater, [no, no, no, no, None]),
            (Op::GreaterOrEqual, [no, no, yes, no, None]),
            (Op::Distinct, [yes, no, no, yes, yes]),
            (Op::NotDistinct, [no, yes, yes, no, no]),
        ] {
            let found = compare(op, &left, &right).expect("compares");
            assert_eq!(found.as_boolean().iter().collect::<Vec<_>>(), wanted, "{op:?}");
        }
        let (yes, no) = (Some(true), Some(false));
        for (op, wanted) in [(Op::Less, [no, no, yes, no, None]), (Op::NotEqual, [yes, yes, yes, no, None])] {
            let found = compare_to(op, &left, 1.0).expect("compares");
            assert_eq!(found.as_boolean().iter().collect::<Vec<_>>(), wanted, "{op:?} 1.0");
        }
    }
}
