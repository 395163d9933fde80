//! Visits the aggregates that an expression calls, both plain calls and calls over windows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{AggregateUDF, Expr};

/// A call of an aggregate, which can be changed in place.
pub(super) struct Call<'a> {
    pub function: &'a mut Arc<AggregateUDF>,
    pub args: &'a mut Vec<Expr>,
    pub distinct: bool,
    /// Whether the call has an OVER clause.
    pub over_window: bool,
}

/// Applies `settle` to each aggregate call of an expression. `settle` returns whether it changed anything.
pub(super) fn each(expr: Expr, settle: impl Fn(Call<'_>) -> Result<bool>) -> Result<Expr> {
    let settled = expr.transform_up(|mut expr| {
        let changed = match &mut expr {
            Expr::AggregateFunction(call) => {
                let (args, distinct) = (&mut call.params.args, call.params.distinct);
                settle(Call { function: &mut call.func, args, distinct, over_window: false })?
            }
            Expr::WindowFunction(call) => match &mut call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => {
                    let (args, distinct) = (&mut call.params.args, call.params.distinct);
                    settle(Call { function, args, distinct, over_window: true })?
                }
                WindowFunctionDefinition::WindowUDF(_) => false,
            },
            _ => false,
        };
        Ok(Transformed::new_transformed(expr, changed))
    })?;
    Ok(settled.data)
}
