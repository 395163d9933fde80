//! IS TRUE and its variants, written out as comparisons.
//!
//! In a plan, DataFusion (55) treats `x IS TRUE` as never NULL, but treats the comparison that it computes for it as
//! nullable. If the schema of a plan depends on it, as above a subquery whose SELECT list contains a comparison,
//! DataFusion rejects its own plan.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Replaces every IS [NOT] TRUE, FALSE and UNKNOWN with the equivalent comparison.
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
