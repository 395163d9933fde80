//! The aggregates that an expression calls, by themselves and over windows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{AggregateUDF, Expr};

/// A call of an aggregate, which may be changed.
pub(super) struct Call<'a> {
    pub function: &'a mut Arc<AggregateUDF>,
    pub args: &'a mut Vec<Expr>,
    pub distinct: bool,
    /// It has an OVER.
    pub over_window: bool,
}

/// The expression with each aggregate as `settle` leaves it; it says whether it changed anything.
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
