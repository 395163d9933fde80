//! WITHIN in bounded queries: a condition on the times of the joined rows.
//!
//! ```text
//! FROM l JOIN r WITHIN (1 MINUTE, 2 MINUTES) ON l.k = r.k
//! FROM l JOIN r ON (l.k = r.k) AND r.ROWTIME >= l.ROWTIME - 60000 AND r.ROWTIME <= l.ROWTIME + 120000
//! ```
//!
//! The windows of windowed streams have to be the same. All records are there, so that none is late and GRACE PERIOD changes nothing. The time of rows that were joined before is the
//! latest one of their streams.

use headwater_formats::decode::ROWTIME;
use headwater_language::catalog::Catalog;
use headwater_language::definition::{SourceKind, WindowDef};
use headwater_language::diagnostic::{Diagnostic, STREAMING};
use headwater_language::sql::{ast, call};
use sqlparser::ast::{BinaryOperator, Expr, Ident, Join, JoinConstraint, Query as SqlQuery, SetExpr, Value};

use super::continuous::window::BOUNDS;
use super::continuous::{Member, Scope};
use super::merged::constraint_mut;
use super::using::operation;

/// Replaces each WITHIN of a query, whose body is `body`, by a condition. Returns the errors.
pub fn settle(query: &ast::Query, body: &mut SqlQuery, catalog: &Catalog) -> Vec<Diagnostic> {
    let Some(first) = query.within.first() else { return Vec::new() };
    let refuse = |span, message: &str| Diagnostic::new(STREAMING, message).at(span);
    let SetExpr::Select(select) = body.body.as_mut() else { return Vec::new() };
    let scope = Scope::read(select, catalog);
    let ([from], Some(scope)) = (select.from.as_mut_slice(), scope) else {
        return vec![refuse(first.span, "WITHIN is only for joins of streams that FROM names")];
    };
    let mut errors = Vec::new();
    for within in &query.within {
        let at = within.value.join;
        let (left, right) = (&scope.members[..=at], &scope.members[at + 1]);
        let times: Vec<Expr> = left.iter().filter(|member| is_stream(member)).map(time).collect();
        match on(&mut from.joins[at]) {
            Some(condition) if !times.is_empty() && is_stream(right) => {
                let bounds = bounds(&latest(times), &time(right), within.value);
                let windows = same_window(left, right);
                *condition = bounds.into_iter().chain(windows).fold(condition.clone(), and);
            }
            Some(_) => errors.push(refuse(within.span, "WITHIN is only for a join of two streams")),
            None => errors.push(refuse(within.span, "WITHIN needs a join with an ON condition")),
        }
    }
    errors
}

fn is_stream(member: &Member) -> bool {
    member.source.kind == SourceKind::Stream
}

/// The time of a source's rows.
fn time(member: &Member) -> Expr {
    column(member, ROWTIME)
}

fn column(member: &Member, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::with_quote('`', &member.alias), Ident::new(name)])
}

/// The conditions that the windows of windowed streams are the same: they are part of their keys. A time window is its start.
fn same_window(left: &[Member], right: &Member) -> Vec<Expr> {
    let windowed: Vec<&Member> = left.iter().filter(|member| member.source.window.is_some()).collect();
    let bounds: &[&str] = match right.source.window {
        _ if windowed.is_empty() => &[],
        None => &[],
        Some(WindowDef::Session) => &BOUNDS,
        Some(WindowDef::Tumbling(_) | WindowDef::Hopping(_)) => &BOUNDS[..1],
    };
    let is_same = |name: &&str| {
        // All that were joined before have the same window, unless they have no match.
        let mut before: Vec<Expr> = windowed.iter().map(|member| column(member, name)).collect();
        let before = if before.len() == 1 { before.remove(0) } else { call("COALESCE", before) };
        operation(before, BinaryOperator::Eq, column(right, name))
    };
    bounds.iter().map(is_same).collect()
}

/// The latest of some times.
fn latest(mut times: Vec<Expr>) -> Expr {
    if times.len() == 1 { times.remove(0) } else { call("GREATEST", times) }
}

/// The conditions on the time of the right row. A time that is too long never ends.
fn bounds(left: &Expr, right: &Expr, within: ast::Within) -> Vec<Expr> {
    let bound = |op, shift, ms: i64| {
        let ms = Expr::value(Value::Number(ms.to_string(), false));
        operation(right.clone(), op, operation(left.clone(), shift, ms))
    };
    let since = within.before.ms().map(|ms| bound(BinaryOperator::GtEq, BinaryOperator::Minus, ms));
    let until = within.after.ms().map(|ms| bound(BinaryOperator::LtEq, BinaryOperator::Plus, ms));
    since.into_iter().chain(until).collect()
}

fn and(condition: Expr, bound: Expr) -> Expr {
    let condition = if let Expr::BinaryOp { op: BinaryOperator::Or, .. } = condition {
        Expr::Nested(Box::new(condition))
    } else {
        condition
    };
    operation(condition, BinaryOperator::And, bound)
}

/// The ON condition of a join.
fn on(join: &mut Join) -> Option<&mut Expr> {
    match constraint_mut(&mut join.join_operator)? {
        JoinConstraint::On(condition) => Some(condition),
        _ => None,
    }
}
