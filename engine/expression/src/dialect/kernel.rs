//! Calling conventions of this module's kernels: over arrays of the same length, or once for constants.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Calls `kernel` with the arguments. The result is a single value if all arguments are constants.
pub(super) fn evaluate(
    args: &ScalarFunctionArgs,
    kernel: impl FnOnce(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let constant = !args.args.is_empty() && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { args.number_rows };
    let arrays: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
    let values = kernel(&arrays)?;
    match constant {
        true => ScalarValue::try_from_array(&values, 0).map(ColumnarValue::Scalar),
        false => Ok(ColumnarValue::Array(values)),
    }
}

/// Two arrays of the same type: an untyped NULL array gets the type of the other.
pub(super) fn of_one_type(left: &ArrayRef, right: &ArrayRef) -> (ArrayRef, ArrayRef) {
    let typed = |one: &ArrayRef, other: &ArrayRef| match one.data_type() {
        DataType::Null => new_null_array(other.data_type(), one.len()),
        _ => one.clone(),
    };
    (typed(left, right), typed(right, left))
}
