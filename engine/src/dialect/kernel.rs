//! How functions of this room are called: over arrays of one length, and for constants once.

use arrow::array::ArrayRef;
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
