//! EXISTS and IN with a subquery as values, for example in a SELECT list: DataFusion supports them only in conditions.
//!
//! ```text
//! EXISTS (q)           (SELECT COUNT(*) > 0 FROM (q)) IS TRUE
//! x IN (SELECT v …)    (SELECT COUNT(*) > 0 FROM (SELECT v …) WHERE v = x) IS TRUE
//! ```
//!
//! A comparison with NULL is false here as everywhere in the dialect, so neither is ever NULL.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit};
use std::sync::Arc;

use super::any_all::Values;
use super::comparison::{self, relax};
use super::correlation::refers;
use super::operator::Op;
use super::{correlation, guard, lower};

/// The prefix of the names of columns that a condition needs, followed by a number.
const KEY: &str = "headwater_key_";

/// Rewrites the subqueries of an expression over `schema` as values.
pub(super) fn as_values(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let settled = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::Exists(Exists { subquery, negated }) => Transformed::yes(some(subquery, negated)?),
            Expr::InSubquery(among) => Transformed::yes(among_some(among, schema)?),
            other => Transformed::no(other),
        })
    })?;
    Ok(settled.data)
}

/// Whether the subquery has rows or, if `negated`, has none.
fn some(subquery: Subquery, negated: bool) -> Result<Expr> {
    let counted = count(lit(1_i64));
    let total = Expr::Column(Column::new_unqualified(counted.schema_name().to_string()));
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), vec![counted])?
        .project(vec![total.gt(lit(0_i64))])?
        .build()?;
    let is_some = Expr::IsTrue(Box::new(Expr::ScalarSubquery(with_plan(subquery, plan))));
    Ok(if negated { Expr::Not(Box::new(is_some)) } else { is_some })
}

fn among_some(among: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, mut subquery, negated } = among;
    let values = Values::of(&subquery)?;
    // The subquery has been lowered already, so whatever is added to it must be, too.
    let value = guard::wrap_parts(lower(*expr, schema)?, schema)?;
    comparison::check_sides(Op::Equal, (&values.shown, subquery.subquery.schema()), (&value, schema))?;
    let value = outer(value, schema, &mut subquery.outer_ref_columns)?;
    let equal = relax(comparison::lower(Op::Equal, values.column, value, values.plan.schema())?)?;
    let plan = with_keys(Filter::new(equal, Arc::new(values.plan)))?;
    correlation::check_names(&plan, correlation::SubqueryKind::In)?;
    some(with_plan(subquery, plan), negated)
}

/// Rewrites the conditions on outer columns in the form that DataFusion recognizes: an equality of a *column* with an
/// outer expression. Anything else on the inner side, such as `b + 1` or the canonical form of a DOUBLE, becomes a
/// column. Each column gets a unique name: DataFusion identifies them by their unqualified names across all relations
/// of the subquery.
pub(super) fn with_keys(filter: Filter) -> Result<LogicalPlan> {
    let mut keys = Keys { before: keys_of(&filter.input)?, exprs: Vec::new() };
    let conditions = split_conjunction_owned(filter.predicate.clone()).into_iter().map(|condition| match condition {
        plain if !refers(&plain) => Ok(plain),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if is_inside(&left) && is_outside(&right) => {
            Ok(Expr::eq(keys.key(*left), *right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if is_inside(&right) && is_outside(&left) => {
            Ok(Expr::eq(*left, keys.key(*right)))
        }
        other => keys.of_columns(other),
    });
    let condition = conjunction(conditions.collect::<Result<Vec<_>>>()?);
    let Some(condition) = condition.filter(|_| !keys.exprs.is_empty()) else { return Ok(LogicalPlan::Filter(filter)) };
    let columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
    let named = keys.exprs.iter().enumerate().map(|(at, expr)| expr.clone().alias(keys.name(at)));
    LogicalPlanBuilder::from(filter.input)
        .project(columns.iter().cloned().chain(named))?
        .filter(condition)?
        .project(columns)?
        .build()
}

/// The columns on which a subquery is correlated.
struct Keys {
    /// The number of such columns in the plan below.
    before: usize,
    exprs: Vec<Expr>,
}

impl Keys {
    fn name(&self, at: usize) -> String {
        format!("{KEY}{}", self.before + at)
    }

    fn key(&mut self, expr: Expr) -> Expr {
        let known = self.exprs.iter().position(|known| *known == expr);
        let at = known.unwrap_or_else(|| {
            self.exprs.push(expr);
            self.exprs.len() - 1
        });
        Expr::Column(Column::new_unqualified(self.name(at)))
    }

    /// Replaces the inner sides of a condition with key columns.
    fn of_columns(&mut self, condition: Expr) -> Result<Expr> {
        let replaced = condition.transform_up(|expr| {
            Ok(match expr {
                Expr::Column(_) => Transformed::yes(self.key(expr)),
                other => Transformed::no(other),
            })
        })?;
        Ok(replaced.data)
    }
}

/// The number of key columns that a plan already has; DataFusion passes all of them up.
fn keys_of(plan: &LogicalPlan) -> Result<usize> {
    let mut count = 0;
    plan.apply(|node| {
        if let LogicalPlan::Projection(projection) = node {
            let is_key = |expr: &&Expr| matches!(expr, Expr::Alias(alias) if alias.name.starts_with(KEY));
            count += projection.expr.iter().filter(is_key).count();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

/// Whether an expression reads only columns of the subquery.
fn is_inside(expr: &Expr) -> bool {
    !expr.column_refs().is_empty() && !refers(expr)
}

fn is_outside(expr: &Expr) -> bool {
    expr.column_refs().is_empty() && refers(expr)
}

fn with_plan(subquery: Subquery, plan: LogicalPlan) -> Subquery {
    Subquery { subquery: Arc::new(plan), ..subquery }
}

/// An expression as seen from inside a subquery. The columns that it refers to are added to `references`.
pub(super) fn outer(expr: Expr, schema: &DFSchema, references: &mut Vec<Expr>) -> Result<Expr> {
    let referring = expr.transform_up(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = &expr {
            return Err(correlation::too_far(column));
        }
        let Expr::Column(column) = expr else { return Ok(Transformed::no(expr)) };
        let (qualifier, field) = schema.qualified_field_from_column(&column)?;
        let column = Column::new(qualifier.cloned(), field.name());
        let reference = Expr::OuterReferenceColumn(Arc::clone(field), column);
        if !references.contains(&reference) {
            references.push(reference.clone());
        }
        Ok(Transformed::yes(reference))
    })?;
    Ok(referring.data)
}
