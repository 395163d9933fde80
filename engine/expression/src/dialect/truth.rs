//! IS TRUE and its kind, as they are computed.
//!
//! DataFusion (55) says of `x IS TRUE` in a plan that it is never NULL, and of the comparison it computes for it that it may
//! be; where a plan's schema depends on it, as above a subquery whose SELECT list compares, it refuses its own plan.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// The expression with every IS [NOT] TRUE, FALSE and UNKNOWN as the comparison that it is.
pub(super) fn spelled_out(expr: Expr) -> Result<Expr> {
    let spelled = expr.transform_up(|expr| {
        let (inner, same, truth) = match expr {
            Expr::IsTrue(inner) => (inner, true, Some(true)),
            Expr::IsNotTrue(inner) => (inner, false, Some(true)),
            Expr::IsFalse(inner) => (inner, true, Some(false)),
            Expr::IsNotFalse(inner) => (inner, false, Some(false)),
            Expr::IsUnknown(inner) => (inner, true, None),
            Expr::IsNotUnknown(inner) => (inner, false, None),
            other => return Ok(Transformed::no(other)),
        };
        let op = if same { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom };
        let right = Box::new(Expr::Literal(ScalarValue::Boolean(truth), None));
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: inner, op, right })))
    })?;
    Ok(spelled.data)
}
