//! `UNIX_TIMESTAMP()`: the time of a query in ms since the epoch.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// The time at which the query started, one for all its rows. Semantics: ksqlDB's of no argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct UnixTimestamp {
    signature: Signature,
}

impl Default for UnixTimestamp {
    fn default() -> Self {
        Self { signature: Signature::new(TypeSignature::Nullary, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for UnixTimestamp {
    fn name(&self) -> &'static str {
        "unix_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match info.query_execution_start_time() {
            Some(now) => {
                ExprSimplifyResult::Simplified(Expr::Literal(ScalarValue::Int64(Some(now.timestamp_millis())), None))
            }
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("UNIX_TIMESTAMP() has a value in bounded queries and INSERT only; ROWTIME is a record's time")
    }
}
