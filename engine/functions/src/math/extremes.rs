//! GREATEST and LEAST: DataFusion's kernels, which ignore nulls as ksqlDB does.
//!
//! Texts are compared by their UTF-8 bytes and bytes as unsigned numbers, where Java compares UTF-16
//! units and signed bytes: the order differs only for characters beyond U+FFFF and bytes above 127.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use headwater_language::types::SqlType;

use crate::call::{Arg, Call};
use crate::delegate::delegate;
use crate::one_form::in_order;

/// A DECIMAL type with room for all digits of every argument.
pub fn widest(types: &[DataType]) -> DataType {
    let (mut whole, mut scale) = (0_u8, 0_u8);
    for ty in types {
        if let Some(SqlType::Decimal { precision, scale: digits }) = SqlType::from_arrow(ty) {
            whole = whole.max(precision - digits);
            scale = scale.max(digits);
        }
    }
    let precision = whole.saturating_add(scale).clamp(1, headwater_language::types::DECIMAL_PRECISION_MAX);
    SqlType::Decimal { precision, scale }.to_arrow().unwrap_or(DataType::Decimal128(38, 0))
}

/// Calls one of DataFusion's two functions.
pub fn extreme(call: &Call<'_>, udf: &ScalarUDF) -> Result<ArrayRef> {
    if call.len() == 1 {
        return call.array(0);
    }
    let arg = |at: usize| -> Result<Arg> {
        Ok(Arg { values: in_order(&cast(&call.array(at)?, call.returns())?), constant: false })
    };
    let args = (0..call.len()).map(arg).collect::<Result<Vec<_>>>()?;
    delegate(&Call::new("GREATEST", &args, call.rows(), call.returns(), None), udf)
}
