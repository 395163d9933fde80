//! INTERSECT ALL and EXCEPT ALL count: a row is there as often as on the side that has it fewer times, or as often as the
//! left side has it more times.
//!
//! DataFusion (55) keeps a row of the left side as often as it is there when the right side has it, once or more
//! (apache/datafusion#12955). Here equal rows are numbered on both sides, and the n-th of one is a partner of the n-th of
//! the other alone.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder,
};

use super::one_form;

/// The join that DataFusion plans for a set operation, which counts if the operation has ALL.
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

/// Whether a join is an operation with ALL: without it the left side is DISTINCT. Of a left side that was DISTINCT
/// anyway both keep the same rows.
fn is_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

/// The plan with a column that counts equal rows, and that column.
fn numbered(plan: &Arc<LogicalPlan>, name: &str) -> Result<(LogicalPlan, Expr)> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns).build()?;
    let number = one_form::settle_calls(number, plan.schema())?;
    let plan = LogicalPlanBuilder::from(plan.as_ref().clone()).window([number.alias(name)])?.build()?;
    Ok((plan, Expr::Column(Column::new_unqualified(name))))
}
