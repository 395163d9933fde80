//! Subqueries in the ON of a join, and conditions in ON that refer to the outer query.
//!
//! DataFusion (55) handles both correctly in a filter. In ON it moves them into one of the inputs according to the
//! columns that they name directly, of which EXISTS has none, and it confuses columns of the other input with those of
//! a relation of the same name. So they are moved to an equivalent place: above an inner join, or below an outer join
//! if they concern the side that may be missing.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, Subquery};

use super::correlation::{self, SubqueryKind, references, refers};

/// A join with such conditions taken out.
pub(super) struct SplitJoin {
    pub join: Join,
    /// The conditions to apply above the join.
    pub above: Option<Expr>,
}

impl SplitJoin {
    /// Takes the conditions out of a join; none if the plan is not a join with such conditions.
    pub fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        let LogicalPlan::Join(join) = plan else { return Ok(None) };
        let conditions = join.filter.clone().map(split_conjunction_owned).unwrap_or_default();
        let mut moved = Vec::new();
        let mut rest = Vec::new();
        for condition in conditions {
            let is_moved = has_subquery(&condition)? || join.join_type == JoinType::Inner && refers(&condition);
            if is_moved { &mut moved } else { &mut rest }.push(condition);
        }
        let Some(condition) = conjunction(moved) else { return Ok(None) };
        let join = Join { filter: conjunction(rest), ..join.clone() };
        if join.join_type == JoinType::Inner {
            return Ok(Some(Self { join, above: Some(condition) }));
        }
        below(join, condition).map(|join| Some(Self { join, above: None }))
    }
}

/// Moves the condition of an outer join to the side that may be missing.
fn below(mut join: Join, condition: Expr) -> Result<Join> {
    let side = match join.join_type {
        JoinType::Left => &mut join.right,
        JoinType::Right => &mut join.left,
        _ => return Err(correlation::refused_in(&condition)?),
    };
    if !is_about(&condition, side.schema())? {
        return Err(correlation::refused_in(&condition)?);
    }
    *side = Arc::new(LogicalPlan::Filter(Filter::new(condition, Arc::clone(side))));
    Ok(join)
}

/// Whether all columns of a condition, including those in its subqueries, belong to one schema.
fn is_about(condition: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut is_about = condition.column_refs().iter().all(|column| schema.has_column(column)) && !refers(condition);
    each_subquery(condition, &mut |_, subquery| {
        is_about &= references(&subquery.subquery)?.iter().all(|column| schema.has_column(column));
        Ok(())
    })?;
    Ok(is_about)
}

/// Whether a condition contains a subquery that is not one value for all rows.
fn has_subquery(condition: &Expr) -> Result<bool> {
    let mut found = false;
    each_subquery(condition, &mut |kind, subquery| {
        found |= kind != SubqueryKind::Value || correlation::is_correlated(&subquery.subquery)?;
        Ok(())
    })?;
    Ok(found)
}

/// Calls `see` with each subquery of an expression.
pub(super) fn each_subquery(expr: &Expr, see: &mut impl FnMut(SubqueryKind, &Subquery) -> Result<()>) -> Result<()> {
    expr.apply(|expr| {
        match expr {
            Expr::Exists(exists) => see(SubqueryKind::Exists, &exists.subquery),
            Expr::InSubquery(among) => see(SubqueryKind::In, &among.subquery),
            Expr::SetComparison(among) => see(SubqueryKind::AnyAll, &among.subquery),
            Expr::ScalarSubquery(subquery) => see(SubqueryKind::Value, subquery),
            _ => Ok(()),
        }?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
