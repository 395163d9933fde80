//! Lowers and guards the expressions of every node in the plan of a bounded query.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan};

use super::comparison::relax;
use super::on::SplitJoin;
use super::{
    any_all, average, correlation, doubles, extremes, foreign, frames, guard, lower, mean, multiset, one_form, one_row,
    reach, shift, subqueries, sums, truth,
};

/// Lowers and guards a plan. Rejects expressions without a meaning.
pub fn settle_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(settle_node).map(|settled| settled.data)
}

/// Applies `settle` to an expression, or to every expression in a GROUPING SETS, ROLLUP or CUBE, each of which has its
/// own name.
pub(super) fn each_grouped(expr: Expr, settle: &impl Fn(Expr) -> Result<Expr>) -> Result<Expr> {
    let each = |exprs: Vec<Expr>| exprs.into_iter().map(settle).collect::<Result<Vec<_>>>();
    Ok(Expr::GroupingSet(match expr {
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => GroupingSet::Cube(each(exprs)?),
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => GroupingSet::Rollup(each(exprs)?),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            GroupingSet::GroupingSets(sets.into_iter().map(each).collect::<Result<_>>()?)
        }
        expr => return settle(expr),
    }))
}

/// Lowers a join with a condition that was taken out of its ON and moved above or below it.
fn settle_split(join: Join, above: Option<Expr>) -> Result<Transformed<LogicalPlan>> {
    let side = |plan: Arc<LogicalPlan>| match plan.as_ref() {
        LogicalPlan::Filter(_) if above.is_none() => {
            settle_node(Arc::unwrap_or_clone(plan)).map(|it| Arc::new(it.data))
        }
        _ => Ok(plan),
    };
    let (left, right) = match join.join_type {
        JoinType::Right => (side(join.left)?, join.right),
        _ => (join.left, side(join.right)?),
    };
    let joined = settle_node(LogicalPlan::Join(Join { left, right, ..join }))?;
    match above {
        Some(condition) => settle_node(LogicalPlan::Filter(Filter::new(condition, Arc::new(joined.data)))),
        None => Ok(joined),
    }
}

fn settle_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let Some(SplitJoin { join, above }) = SplitJoin::of(&plan)? {
        return settle_split(join, above);
    }
    let plan = any_all::marked(plan)?;
    let schema = merge_schema(&plan.inputs());
    let around = correlation::around(&plan)?;
    let names = NamePreserver::new(&plan);
    let condition = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
    let computed = matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    let listed = matches!(plan, LogicalPlan::Projection(_));
    let fixed = matches!(plan, LogicalPlan::Limit(_) | LogicalPlan::TableScan(_));
    let settle = |expr: Expr| {
        let name = names.save(&expr);
        let expr = one_row::compared(expr)?;
        correlation::check(&expr, &around)?;
        let expr = match condition || listed {
            true => any_all::as_exists(expr, &schema)?,
            false => any_all::refused(expr)?,
        };
        let expr = if listed { subqueries::as_values(expr, &schema)? } else { expr };
        let lowered = lower(expr, &schema)?;
        reach::check(&lowered, &schema)?;
        let lowered = one_form::settle_calls(shift::settle(lowered, &schema)?, &schema)?;
        let lowered = if computed { average::with_a_digit_more(lowered, &schema)? } else { lowered };
        let lowered = extremes::settle(sums::settle(lowered, &schema)?, &schema)?;
        let lowered = frames::settle(mean::settle(lowered, &schema)?, &schema)?;
        let guarded = match (condition, fixed) {
            (true, _) => guard::wrap_condition(relax(lowered)?, &schema)?,
            (_, true) => lowered,
            _ => truth::spelled_out(guard::wrap_parts(lowered, &schema)?)?,
        };
        Ok(name.restore(guarded))
    };
    let plan = plan.map_expressions(|expr| each_grouped(expr, &settle).map(Transformed::yes))?;
    let plan = plan.map_data(|plan| match plan {
        LogicalPlan::Join(join) => {
            correlation::check_lateral(&join)?;
            multiset::settle_join(one_form::settle_join(doubles::settle_join(join)?)?)
        }
        LogicalPlan::Filter(filter) => subqueries::with_keys(filter),
        LogicalPlan::Union(union) => doubles::settle_union(union),
        LogicalPlan::Aggregate(aggregate) => one_form::settle_aggregate(aggregate),
        LogicalPlan::Sort(sort) => one_form::settle_sort(sort).map(LogicalPlan::Sort),
        LogicalPlan::Distinct(distinct) => one_form::settle_distinct(distinct).map(LogicalPlan::Distinct),
        LogicalPlan::RecursiveQuery(query) => {
            one_form::check_recursive(&query).map(|()| LogicalPlan::RecursiveQuery(query))
        }
        other => Ok(other),
    })?;
    plan.map_data(LogicalPlan::recompute_schema)?.map_data(foreign::brought_plan)
}
