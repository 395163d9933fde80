//! The joins of a query, from left to right: each adds one source and compares one expression of it with one expression
//! of the sources joined before.

use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::place;
use headwater_language::topology::JoinKind;
use sqlparser::ast::{BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Spanned as _};

use super::key;
use super::query::Streaming;
use super::scope::{ColumnRef, span_of};

/// A join whose condition could be read.
#[derive(Clone, Debug)]
pub struct JoinOn {
    /// How rows without a match are kept.
    pub kind: JoinKind,
    /// The expression of the sources joined before, and the index of its source.
    pub left: (Expr, usize),
    /// The expression of the new source, and the source's index.
    pub right: (Expr, usize),
    /// The left expression is not the key of the tables joined so far: a foreign-key join.
    pub is_foreign: bool,
    /// The location of the condition.
    pub span: Span,
}

/// The kind of a join, and its condition; `None` for joins that continuous queries do not have.
fn kind_of(operator: &JoinOperator) -> Option<(JoinKind, &JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
        JoinOperator::FullOuter(c) => (JoinKind::Full, c),
        _ => return None,
    })
}

/// The joins in FROM, each with the index of the source that it adds; empty if FROM contains a comma.
pub fn written<'q>(query: &'q Streaming<'_>) -> impl Iterator<Item = (usize, &'q Join)> {
    let from = if let [from] = &query.select.from[..] { Some(from) } else { None };
    from.into_iter().flat_map(|from| &from.joins).enumerate().map(|(at, join)| (at + 1, join))
}

/// The joins whose conditions can be read.
pub fn read(query: &Streaming<'_>) -> Vec<JoinOn> {
    let mut read: Vec<JoinOn> = Vec::new();
    if query.scope.members.is_empty() {
        return read;
    }
    for join in written(query).filter_map(|(right, join)| read_one(query, right, join).ok()) {
        let tables = (0..=join.right.1).all(|member| query.is_table(member));
        let is_foreign = tables && !is_key_so_far(query, &join, &read);
        read.push(JoinOn { is_foreign, ..join });
    }
    read
}

/// Whether the conditions of all joins can be read.
pub fn are_readable(query: &Streaming<'_>) -> bool {
    read(query).len() == written(query).count()
}

/// Reads one join: its kind, and both sides of the `=` in its condition.
pub fn read_one(query: &Streaming<'_>, right: usize, join: &Join) -> Result<JoinOn, Vec<Diagnostic>> {
    let span = place(join.span()).unwrap_or(query.span());
    let refuse = |message: String| Diagnostic::new(STREAMING, message).at(span);
    let (kind, condition) = condition(join, span)?;
    let (left, other) = compared(query, condition, span)?;
    let mut errors = Vec::new();
    query.scope.check("JOIN ON", condition, &[], &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let sides = [left, other].map(|side| of_one_source(query, side, condition, &mut errors));
    let [Some(left), Some(other)] = sides else { return Err(errors) };
    let (left, other) = if left.1 == right { (other, left) } else { (left, other) };
    if other.1 != right || left.1 >= right {
        let alias = |member: usize| &query.scope.members[member].alias;
        let text = query.scope.text(condition);
        let message = format!(
            "the join condition does not use \"{}\", the source in FROM that is being joined: ({text})",
            alias(right)
        );
        let detail = format!("It uses \"{}\" and \"{}\".", alias(left.1), alias(other.1));
        return Err(vec![refuse(message).detail(detail)]);
    }
    Ok(JoinOn { kind, left, right: other, is_foreign: false, span: span_of(condition, span) })
}

fn condition(join: &Join, span: Span) -> Result<(JoinKind, &Expr), Vec<Diagnostic>> {
    let refuse = |message: &str| Diagnostic::new(STREAMING, message).at(span);
    let Some((kind, constraint)) = kind_of(&join.join_operator) else {
        return Err(vec![refuse("a continuous join must be INNER, LEFT, RIGHT or FULL")]);
    };
    match constraint {
        JoinConstraint::On(condition) => Ok((kind, condition)),
        _ => Err(vec![refuse("a continuous join needs ON").hint("Write ON a.id = b.id.")]),
    }
}

/// The two expressions that a condition compares with `=`.
fn compared<'e>(
    query: &Streaming<'_>,
    condition: &'e Expr,
    span: Span,
) -> Result<(&'e Expr, &'e Expr), Vec<Diagnostic>> {
    let refuse = |message: String| Diagnostic::new(STREAMING, message).at(span);
    let Expr::BinaryOp { left, op, right } = bare(condition) else {
        return Err(vec![refuse("ON must compare two expressions".to_owned()).hint("Write ON a.id = b.id.")]);
    };
    let text = query.scope.text(condition);
    match op {
        BinaryOperator::Eq => Ok((left, right)),
        BinaryOperator::And | BinaryOperator::Or => {
            Err(vec![refuse(format!("a continuous join supports only one condition: {text}"))])
        }
        _ => Err(vec![refuse(format!("a continuous join must compare with =, not with {op}: {text}"))]),
    }
}

/// One side of a condition, and the only source whose columns it uses.
fn of_one_source(
    query: &Streaming<'_>,
    side: &Expr,
    condition: &Expr,
    errors: &mut Vec<Diagnostic>,
) -> Option<(Expr, usize)> {
    let mut members: Vec<usize> = query.scope.columns_in(side).iter().map(|column| column.member).collect();
    members.dedup();
    if let [member] = members[..] {
        return Some((bare(side).clone(), member));
    }
    let (side_text, text) = (query.scope.text(side), query.scope.text(condition));
    let message = format!(
        "each side of a join condition must use columns of exactly one source, but \"{side_text}\" does not: ({text})"
    );
    errors.push(Diagnostic::new(STREAMING, message).at(span_of(side, query.span())));
    None
}

/// Whether the left expression is the key of the sources joined so far.
pub fn is_key_so_far(query: &Streaming<'_>, join: &JoinOn, before: &[JoinOn]) -> bool {
    let Some(left) = query.scope.column(&join.left.0) else { return false };
    match before.last() {
        // A foreign-key join keeps the key of its left side.
        Some(last) if !last.is_foreign => key::equal_columns(query, before).contains(&left),
        _ => left.member == 0 && is_whole_key(query, &left),
    }
}

/// Whether a column is the whole key of its source.
pub fn is_whole_key(query: &Streaming<'_>, column: &ColumnRef) -> bool {
    query.key_columns(column.member).eq([column.name.as_str()])
}

/// An expression without parentheses around it.
fn bare(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { bare(inner) } else { expr }
}
