//! Calls that stand for the bounds of a group's window, while DataFusion plans a query. They are never evaluated.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Result, internal_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use headwater_formats::decode::WINDOWSTART;
use headwater_language::sql::call;
use sqlparser::ast;

/// The names of the functions, for the start and the end.
const NAMES: [&str; 2] = ["headwater_window_start", "headwater_window_end"];

/// A state in which these calls can be planned.
pub fn with_bounds(state: &SessionState) -> Result<SessionState> {
    let mut state = state.clone();
    for name in NAMES {
        let signature = Signature::nullary(Volatility::Stable);
        state.register_udf(ScalarUDF::from(Bound { name, signature }).into())?;
    }
    Ok(state)
}

/// The calls for both bounds.
pub fn calls() -> [ast::Expr; 2] {
    NAMES.map(|name| call(name, Vec::new()))
}

/// The call for WINDOWSTART or WINDOWEND.
pub fn call_of(name: &str) -> ast::Expr {
    let [start, end] = calls();
    if name == WINDOWSTART { start } else { end }
}

/// Which bound a group of a plan is, under a name or in a guard against errors: 0 for the start, 1 for the end.
pub fn of(group: &Expr) -> Option<usize> {
    let mut found = None;
    let look = |expr: &Expr| {
        if let Expr::ScalarFunction(call) = expr
            && let Some(bound) = call.func.inner().downcast_ref::<Bound>()
        {
            found = NAMES.iter().position(|name| *name == bound.name);
        }
        Ok(found.is_some())
    };
    group.exists(look).ok().and(found)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bound {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the bound of a window was not planned")
    }
}
