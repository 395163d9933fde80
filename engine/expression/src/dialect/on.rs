//! Subqueries in the ON of a join, and conditions there with columns of the query around.
//!
//! DataFusion (55) knows what to do with both in a filter. In ON it moves them by the columns they name in the open, of
//! which EXISTS has none, into one of the sides, and finds columns of the other among those of a relation that has its name. So they
//! go to where they mean the same: above an inner join, below an outer one if they are about the side that may be missing.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, Subquery};

use super::correlation::{self, Kind, references, refers};

/// A join without such conditions.
pub(super) struct Apart {
    pub join: Join,
    /// Those that are asked of its rows.
    pub above: Option<Expr>,
}

impl Apart {
    /// None if the plan is no join with such conditions.
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

/// The outer join with the condition on the side that may be missing.
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

/// Whether all columns of a condition, those of its subqueries too, are of one schema.
fn is_about(condition: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut is_about = condition.column_refs().iter().all(|column| schema.has_column(column)) && !refers(condition);
    each_subquery(condition, &mut |_, subquery| {
        is_about &= references(&subquery.subquery)?.iter().all(|column| schema.has_column(column));
        Ok(())
    })?;
    Ok(is_about)
}

/// Whether a condition has a subquery that is not one value for all rows.
fn has_subquery(condition: &Expr) -> Result<bool> {
    let mut found = false;
    each_subquery(condition, &mut |kind, subquery| {
        found |= kind != Kind::Value || correlation::is_correlated(&subquery.subquery)?;
        Ok(())
    })?;
    Ok(found)
}

/// Hands over the subqueries of an expression.
pub(super) fn each_subquery(expr: &Expr, see: &mut impl FnMut(Kind, &Subquery) -> Result<()>) -> Result<()> {
    expr.apply(|expr| {
        match expr {
            Expr::Exists(exists) => see(Kind::Exists, &exists.subquery),
            Expr::InSubquery(among) => see(Kind::In, &among.subquery),
            Expr::SetComparison(among) => see(Kind::AnyAll, &among.subquery),
            Expr::ScalarSubquery(subquery) => see(Kind::Value, subquery),
            _ => Ok(()),
        }?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
