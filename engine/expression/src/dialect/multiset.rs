//! INTERSECT ALL and EXCEPT ALL count duplicates: INTERSECT ALL keeps a row as often as it occurs on both sides, EXCEPT
//! ALL as often as it occurs more on the left side than on the right.
//!
//! DataFusion (55) keeps all copies of a row of the left side if the right side contains it at least once
//! (apache/datafusion#12955). Here equal rows are numbered on both sides, and the n-th copy on one side matches only
//! the n-th copy on the other.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder,
};

use super::one_form;

/// Changes the join that DataFusion plans for a set operation so that it counts duplicates, if the operation has ALL.
pub(super) fn settle_join(join: Join) -> Result<LogicalPlan> {
    if !is_all(&join) {
        return Ok(LogicalPlan::Join(join));
    }
    let Join { left, right, mut on, join_type, .. } = join;
    let shown: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let (left, which_left) = numbered(&left, "headwater_nth_left")?;
    let (right, which_right) = numbered(&right, "headwater_nth_right")?;
    on.push((which_left, which_right));
    let (constraint, equality) = (JoinConstraint::On, NullEquality::NullEqualsNull);
    let joined = Join::try_new(Arc::new(left), Arc::new(right), on, None, join_type, constraint, equality, false)?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(shown)?.build()
}

/// Whether a join is a set operation with ALL: without ALL its left side is DISTINCT. If the left side was DISTINCT
/// anyway, both variants keep the same rows.
fn is_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

/// Adds a column that numbers equal rows; returns the plan and the column.
fn numbered(plan: &Arc<LogicalPlan>, name: &str) -> Result<(LogicalPlan, Expr)> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns).build()?;
    let number = one_form::settle_calls(number, plan.schema())?;
    let plan = LogicalPlanBuilder::from(plan.as_ref().clone()).window([number.alias(name)])?.build()?;
    Ok((plan, Expr::Column(Column::new_unqualified(name))))
}
