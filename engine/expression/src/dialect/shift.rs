//! The default value of LAG and LEAD has the same type as the value that it replaces.
//!
//! DataFusion (55) casts the default to the type of the value, so that 0.5 among INTs was 0.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, WindowFunctionDefinition};

use super::adapt;
use super::common::{coerced, common_type};
use super::kind::{Kind, is_null};

/// Converts values and defaults in an expression to one type.
pub(super) fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let settled = expr.transform_up(|expr| {
        let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
        let changed = match is_shift(&call.fun) {
            true => meet(&mut call.params.args, schema)?,
            false => false,
        };
        Ok(Transformed::new_transformed(Expr::WindowFunction(call), changed))
    })?;
    Ok(settled.data)
}

fn is_shift(function: &WindowFunctionDefinition) -> bool {
    matches!(function, WindowFunctionDefinition::WindowUDF(function) if matches!(function.name(), "lag" | "lead"))
}

/// Converts a value and its default to one type. False if they have the same type already.
fn meet(args: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let [value, _, default] = args else { return Ok(false) };
    let kinds = [Kind::of(value, schema)?, Kind::of(default, schema)?];
    if is_null(default) || kinds[0] == kinds[1] || !kinds.iter().all(|kind| kind.known().is_some()) {
        return Ok(false);
    }
    let both: [&Expr; 2] = [value, default];
    let ty = match adapt::meeting(&both, schema)? {
        Some(ty) => Some(ty),
        None => common_type(&both, schema)?,
    };
    let Some(ty) = ty else { return Ok(false) };
    *value = coerced(std::mem::take(value), &ty, schema)?;
    *default = coerced(std::mem::take(default), &ty, schema)?;
    Ok(true)
}
