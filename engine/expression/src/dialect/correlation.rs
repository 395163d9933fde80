//! Correlated subqueries: subqueries that refer to the outer query.
//!
//! DataFusion (55) computes such a subquery once for all outer rows: it takes out the conditions that refer to outer
//! columns and joins on them. That is correct only if the nodes between such a condition and the top of the subquery
//! give the same result for the rows of many outer rows together as for each outer row alone. A window function would
//! see all of these rows, OFFSET would count all of them, and an outer join would look for matches among all of them.
//! For these, DataFusion returns wrong results or an unclear error, so they are rejected here.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Cast, Distinct, Expr, FetchType, Filter, Join, JoinType, Limit, LogicalPlan, Operator,
    SkipType,
};
use headwater_language::diagnostic::{Diagnostic, PLAN, Span};

use super::on::each_subquery;
use crate::errors::{self, correlated, place};

/// The kind of a subquery, by how its rows are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SubqueryKind {
    Exists,
    In,
    AnyAll,
    Value,
    /// LATERAL: all rows are used.
    Lateral,
}

impl SubqueryKind {
    /// The name of this kind of subquery in messages.
    fn words(self) -> &'static str {
        match self {
            Self::Exists => "EXISTS",
            Self::In => "IN with a subquery",
            Self::AnyAll => "ANY or ALL with a subquery",
            Self::Value => "a scalar subquery",
            Self::Lateral => "a LATERAL subquery",
        }
    }
}

/// Whether the expressions of a node contain subqueries.
pub(super) fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_subqueries(|_| {
        found = true;
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(found)
}

/// The plans that the subqueries of a node may refer to: its inputs.
pub(super) fn around(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    Ok(if has_subqueries(plan)? { plan.inputs().into_iter().cloned().collect() } else { Vec::new() })
}

/// Rejects subqueries of an expression over `around` that cannot be computed.
pub(super) fn check(expr: &Expr, around: &[LogicalPlan]) -> Result<()> {
    expr.apply(|expr| match expr {
        Expr::InSubquery(among) => match first_reference(&among.expr) {
            Some(column) => Err(too_far(&column)),
            None => Ok(TreeNodeRecursion::Continue),
        },
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    each_subquery(expr, &mut |kind, subquery| Correlated { kind, around }.check(&subquery.subquery))
}

/// Rejects a rewritten subquery in which DataFusion would confuse an outer column with a column of the subquery.
pub(super) fn check_names(plan: &LogicalPlan, kind: SubqueryKind) -> Result<()> {
    let references = references(plan)?;
    let captured = plan.exists(|node| Ok(captures(node, &references) && has_references(node)?))?;
    if captured { Err(refused(kind, plan)?) } else { Ok(()) }
}

/// The error for a correlated subquery that is not supported.
pub(super) fn refused(kind: SubqueryKind, plan: &LogicalPlan) -> Result<DataFusionError> {
    Ok(carried(correlated(kind.words()).at_maybe(referring_place(plan)?)))
}

/// The error for the first subquery in a condition.
pub(super) fn refused_in(condition: &Expr) -> Result<DataFusionError> {
    let beside = condition.column_refs().into_iter().find_map(|column| column.spans().first().and_then(place));
    let mut first = None;
    each_subquery(condition, &mut |kind, subquery| {
        if first.is_none() {
            first = Some((kind, referring_place(&subquery.subquery)?));
        }
        Ok(())
    })?;
    let (kind, place) = first.unwrap_or((SubqueryKind::Value, None));
    Ok(carried(correlated(kind.words()).at_maybe(place.or(beside))))
}

/// Rejects the LATERAL subquery on the right side of a join if it cannot be computed.
pub(super) fn check_lateral(join: &Join) -> Result<()> {
    let right = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(named) => named.input.as_ref(),
        other => other,
    };
    match right {
        LogicalPlan::Subquery(subquery) => {
            Correlated { kind: SubqueryKind::Lateral, around: std::slice::from_ref(&join.left) }
                .check(&subquery.subquery)
        }
        _ => Ok(()),
    }
}

/// A subquery together with the plans that it may refer to.
struct Correlated<'a> {
    kind: SubqueryKind,
    around: &'a [LogicalPlan],
}

impl Correlated<'_> {
    fn check(&self, plan: &LogicalPlan) -> Result<()> {
        if !is_correlated(plan)? {
            return Ok(());
        }
        let references = references(plan)?;
        references.iter().try_for_each(|column| self.check_reference(column, plan))?;
        self.walk(plan, &references, true)
    }

    /// Checks that a column belongs to the query directly around the subquery.
    fn check_reference(&self, column: &Column, subquery: &LogicalPlan) -> Result<()> {
        if self.around.iter().any(|plan| plan.schema().has_column(column)) {
            return Ok(());
        }
        let mut is_below = false;
        for plan in self.around {
            is_below |= plan.exists(|node| Ok(node.schema().has_column(column)))?;
        }
        Err(if is_below { ungrouped(column, referring_place(subquery)?) } else { too_far(column) })
    }

    /// Checks the nodes of a plan from the top. `is_top` holds as long as no node above depends on the number or choice
    /// of rows.
    fn walk(&self, plan: &LogicalPlan, references: &[Column], is_top: bool) -> Result<()> {
        if !is_correlated(plan)? {
            return Ok(());
        }
        if !self.is_computed(plan, is_top)? || captures(plan, references) && has_references(plan)? {
            return Err(refused(self.kind, plan)?);
        }
        let stays = matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_));
        plan.inputs().into_iter().try_for_each(|input| self.walk(input, references, is_top && stays))
    }

    /// Whether a node gives the same result if it is moved below a condition on outer columns.
    fn is_computed(&self, plan: &LogicalPlan, is_top: bool) -> Result<bool> {
        let below = plan.inputs().into_iter().map(is_correlated).collect::<Result<Vec<_>>>()?;
        Ok(match plan {
            LogicalPlan::Join(join) => self.is_joined(join, &below)?,
            _ if !below.contains(&true) => true,
            LogicalPlan::Limit(limit) => is_top && self.kind == SubqueryKind::Exists && has_a_row(limit)?,
            LogicalPlan::Aggregate(Aggregate { aggr_expr, input, .. }) if aggr_expr.is_empty() => {
                self.is_distinct(input)?
            }
            LogicalPlan::Distinct(Distinct::All(input)) => self.is_distinct(input)?,
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Union(_) => true,
            _ => false,
        })
    }

    /// Whether a join can be computed. On a side that may be missing, rows must be selected before the join.
    fn is_joined(&self, join: &Join, below: &[bool]) -> Result<bool> {
        let on = has_references(&LogicalPlan::Join(join.clone()))?;
        Ok(match join.join_type {
            JoinType::Inner => true,
            JoinType::Left | JoinType::LeftMark => !on && !below[1],
            JoinType::Right => !on && !below[0],
            _ => false,
        })
    }

    /// Whether DISTINCT gives the same result. It distinguishes rows by the columns on which they are joined; with an
    /// equality all of them belong to one outer row. For EXISTS, IN and the like duplicates do not matter.
    fn is_distinct(&self, input: &LogicalPlan) -> Result<bool> {
        Ok(self.kind != SubqueryKind::Lateral || !input.exists(|node| Ok(has_another_condition(node)))?)
    }
}

/// Whether a LIMIT keeps at least one row if there is one.
fn has_a_row(limit: &Limit) -> Result<bool> {
    let skip = matches!(limit.get_skip_type()?, SkipType::Literal(0));
    let fetch = match limit.get_fetch_type()? {
        FetchType::Literal(fetch) => fetch != Some(0),
        FetchType::UnsupportedExpr => false,
    };
    Ok(skip && fetch)
}

/// Whether DataFusion would confuse an outer column with a column of the subquery that has the same name.
fn captures(plan: &LogicalPlan, references: &[Column]) -> bool {
    matches!(plan, LogicalPlan::Filter(_)) && references.iter().any(|column| plan.schema().has_column(column))
}

/// Whether a node selects rows by a condition on outer columns that is not an equality.
fn has_another_condition(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Filter(Filter { predicate, .. }) = plan else { return false };
    split_conjunction(predicate).into_iter().any(|condition| refers(condition) && !is_equality(condition))
}

fn is_equality(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return false };
    let is_column = |expr: &Expr| match expr {
        Expr::Cast(Cast { expr, .. }) => matches!(expr.as_ref(), Expr::Column(_)),
        other => matches!(other, Expr::Column(_)),
    };
    is_column(left) && !right.any_column_refs() || is_column(right) && !left.any_column_refs()
}

/// Whether a plan refers to the outer query. References of LATERAL subqueries inside the plan do not count.
pub(super) fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    if matches!(plan, LogicalPlan::Subquery(_)) {
        return Ok(false);
    }
    if has_references(plan)? {
        return Ok(true);
    }
    for input in plan.inputs() {
        if is_correlated(input)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the expressions of a node refer to the outer query.
fn has_references(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found |= refers(expr);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

pub(super) fn refers(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..)))).unwrap_or(false)
}

fn first_reference(expr: &Expr) -> Option<Column> {
    let mut found = None;
    // The visit itself cannot fail.
    let _ = expr.apply(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = expr {
            found = Some(column.clone());
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// The outer columns that a plan refers to.
pub(super) fn references(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found: Vec<Column> = Vec::new();
    plan.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    found.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The error for a column that belongs to a query further out than the one directly around.
pub(super) fn too_far(column: &Column) -> DataFusionError {
    carried(errors::too_far(&column.flat_name()))
}

fn ungrouped(column: &Column, place: Option<Span>) -> DataFusionError {
    let message = format!("in a subquery and neither aggregated nor in GROUP BY of the outer query: {column}");
    let error = Diagnostic::new(PLAN, message).hint("Add it to GROUP BY, or group in a subquery first.");
    carried(error.at_maybe(place))
}

fn carried(diagnostic: Diagnostic) -> DataFusionError {
    DataFusionError::External(Box::new(diagnostic))
}

/// The location from the first to the last column that is compared with an outer column; outer columns have no location
/// themselves.
fn referring_place(plan: &LogicalPlan) -> Result<Option<Span>> {
    let mut found = None;
    plan.apply(|node| {
        if has_references(node)? {
            found = first_place(node)?;
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The location of the columns in the topmost node that has columns with a location.
fn first_place(plan: &LogicalPlan) -> Result<Option<Span>> {
    let mut whole: Option<Span> = None;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            for column in expr.column_refs() {
                let Some(own) = column.spans().first().and_then(place) else { continue };
                whole = whole
                    .map(|whole| Span { start: whole.start.min(own.start), end: whole.end.max(own.end) })
                    .or(Some(own));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if whole.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(whole)
}
