//! Subqueries that refer to the query around them.
//!
//! DataFusion (55) computes such a subquery once, for all rows around it: it takes the conditions that refer to them out and joins
//! by these. That is right only if what is between such a condition and the top does with many rows together what it
//! would do with those of each row alone. A window function would see all of them, OFFSET count all of them, and an outer join find
//! a partner among all of them. What it gives for these is wrong or an error in words of its own, so they are refused here.

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

/// What is asked of a subquery.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Exists,
    In,
    AnyAll,
    Value,
    /// All of its rows.
    Lateral,
}

impl Kind {
    /// What a subquery of this kind is called in messages.
    fn words(self) -> &'static str {
        match self {
            Self::Exists => "EXISTS",
            Self::In => "IN over a subquery",
            Self::AnyAll => "ANY or ALL over a subquery",
            Self::Value => "a subquery for a value",
            Self::Lateral => "a LATERAL subquery",
        }
    }
}

/// Whether the expressions of a node have subqueries.
pub(super) fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_subqueries(|_| {
        found = true;
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(found)
}

/// What the subqueries of a node may refer to: its inputs.
pub(super) fn around(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    Ok(if has_subqueries(plan)? { plan.inputs().into_iter().cloned().collect() } else { Vec::new() })
}

/// Refuses the subqueries of an expression over `around` that cannot be computed.
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

/// Refuses a subquery, changed by now, in which a column around would be taken for one of its own.
pub(super) fn check_names(plan: &LogicalPlan, kind: Kind) -> Result<()> {
    let references = references(plan)?;
    let captured = plan.exists(|node| Ok(captures(node, &references) && has_references(node)?))?;
    if captured { Err(refused(kind, plan)?) } else { Ok(()) }
}

/// The refusal of a subquery that depends on the query around it.
pub(super) fn refused(kind: Kind, plan: &LogicalPlan) -> Result<DataFusionError> {
    Ok(carried(correlated(kind.words()).at_maybe(referring_place(plan)?)))
}

/// The refusal of the first subquery in a condition.
pub(super) fn refused_in(condition: &Expr) -> Result<DataFusionError> {
    let beside = condition.column_refs().into_iter().find_map(|column| column.spans().first().and_then(place));
    let mut first = None;
    each_subquery(condition, &mut |kind, subquery| {
        if first.is_none() {
            first = Some((kind, referring_place(&subquery.subquery)?));
        }
        Ok(())
    })?;
    let (kind, place) = first.unwrap_or((Kind::Value, None));
    Ok(carried(correlated(kind.words()).at_maybe(place.or(beside))))
}

/// Refuses the LATERAL subquery on the right of a join if it cannot be computed.
pub(super) fn check_lateral(join: &Join) -> Result<()> {
    let right = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(named) => named.input.as_ref(),
        other => other,
    };
    match right {
        LogicalPlan::Subquery(subquery) => {
            Correlated { kind: Kind::Lateral, around: std::slice::from_ref(&join.left) }.check(&subquery.subquery)
        }
        _ => Ok(()),
    }
}

/// A subquery among what it may refer to.
struct Correlated<'a> {
    kind: Kind,
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

    /// Every column is one of the query directly around.
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

    /// `is_top` as long as nothing is above that depends on how many rows there are or which.
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

    /// Whether a node over rows that a condition with columns around selects comes to the same before it.
    fn is_computed(&self, plan: &LogicalPlan, is_top: bool) -> Result<bool> {
        let below = plan.inputs().into_iter().map(is_correlated).collect::<Result<Vec<_>>>()?;
        Ok(match plan {
            LogicalPlan::Join(join) => self.is_joined(join, &below)?,
            _ if !below.contains(&true) => true,
            LogicalPlan::Limit(limit) => is_top && self.kind == Kind::Exists && has_a_row(limit)?,
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

    /// Rows of a side that may be missing are selected before the join only.
    fn is_joined(&self, join: &Join, below: &[bool]) -> Result<bool> {
        let on = has_references(&LogicalPlan::Join(join.clone()))?;
        Ok(match join.join_type {
            JoinType::Inner => true,
            JoinType::Left | JoinType::LeftMark => !on && !below[1],
            JoinType::Right => !on && !below[0],
            _ => false,
        })
    }

    /// Rows that differ in a column by which they are joined are told apart. They are all of one row around if that is an
    /// equality; EXISTS, IN and their like do not count.
    fn is_distinct(&self, input: &LogicalPlan) -> Result<bool> {
        Ok(self.kind != Kind::Lateral || !input.exists(|node| Ok(has_another_condition(node)))?)
    }
}

/// Whether a LIMIT keeps a row if there is one.
fn has_a_row(limit: &Limit) -> Result<bool> {
    let skip = matches!(limit.get_skip_type()?, SkipType::Literal(0));
    let fetch = match limit.get_fetch_type()? {
        FetchType::Literal(fetch) => fetch != Some(0),
        FetchType::UnsupportedExpr => false,
    };
    Ok(skip && fetch)
}

/// Whether DataFusion would take a column around for one of the subquery, which has one of the same name.
fn captures(plan: &LogicalPlan, references: &[Column]) -> bool {
    matches!(plan, LogicalPlan::Filter(_)) && references.iter().any(|column| plan.schema().has_column(column))
}

/// Whether a node selects rows by something else than an equality with what is around.
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

/// Whether the plan refers to the query around it. What LATERAL refers to inside it is its own.
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

/// Whether the expressions of a node refer to the query around.
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

/// The columns around that a plan refers to.
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

/// The refusal of a column that is of a query further out than the one around.
pub(super) fn too_far(column: &Column) -> DataFusionError {
    carried(errors::too_far(&column.flat_name()))
}

fn ungrouped(column: &Column, place: Option<Span>) -> DataFusionError {
    let message = format!("in a subquery and neither aggregated nor in GROUP BY around it: {column}");
    let error = Diagnostic::new(PLAN, message).hint("Add it to GROUP BY, or group in a subquery first.");
    carried(error.at_maybe(place))
}

fn carried(diagnostic: Diagnostic) -> DataFusionError {
    DataFusionError::External(Box::new(diagnostic))
}

/// From the first to the last column beside one of the query around; those have no place themselves.
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

/// The place of the columns in the topmost node that has some from the text.
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
