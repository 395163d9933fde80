//! How functions of this room are called: over arrays of one length, and for constants once.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// What `kernel` gives for the arguments; one value where all of them are constants.
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

/// Two arrays, of which one that is NULL without a type gets that of the other.
pub(super) fn of_one_type(left: &ArrayRef, right: &ArrayRef) -> (ArrayRef, ArrayRef) {
    let typed = |one: &ArrayRef, other: &ArrayRef| match one.data_type() {
        DataType::Null => new_null_array(other.data_type(), one.len()),
        _ => one.clone(),
    };
    (typed(left, right), typed(right, left))
}
