//! Parses a query: the clauses for streams, and the rest with sqlparser.

use sqlparser::ast::{SetExpr, TableWithJoins};

use super::ast::Query;
use super::clauses::{self, Lifted};
use super::cursor::{Cursor, Result};
use super::token::span_of;
use super::{error, standard};
use crate::diagnostic::{Diagnostic, MISPLACED, Span};

/// Parses a query from all remaining tokens.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Query> {
    let start = cursor.span();
    if cursor.is_done() {
        return Err(cursor.unexpected("SELECT"));
    }
    let tokens = cursor.rest();
    let lifted = clauses::lift(cursor)?;
    let behind = error::whole(&lifted.rest).end;
    let after = tokens.iter().find(|token| span_of(token).start >= behind).or(cursor.after());
    let body = standard::query(&lifted.rest, after)?;
    check_places(&lifted, &body.body)?;
    let Lifted { window, partition_by, within, emit, .. } = lifted;
    Ok(Query { body, window, partition_by, within, emit, span: cursor.since(start) })
}

/// True when the next tokens begin a query.
pub(super) fn begins(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek_word(), Some("SELECT" | "WITH" | "VALUES"))
        || cursor.peek() == Some(&sqlparser::tokenizer::Token::LParen)
}

/// Checks that clauses of a SELECT belong to a single SELECT.
fn check_places(lifted: &Lifted, body: &SetExpr) -> Result<()> {
    let clauses = [
        lifted.window.as_ref().map(|it| ("WINDOW", it.span)),
        lifted.partition_by.as_ref().map(|it| ("PARTITION BY", it.span)),
        lifted.within.first().map(|it| ("WITHIN", it.span)),
    ];
    let Some((clause, span)) = clauses.into_iter().flatten().min_by_key(|(_, span)| span.start) else { return Ok(()) };
    let SetExpr::Select(select) = body else {
        return Err(misplaced(format!("{clause} is not allowed in a UNION, EXCEPT or INTERSECT"), span));
    };
    let joins = joins(&select.from);
    match lifted.within.iter().find(|within| within.join >= joins) {
        Some(within) => Err(misplaced("WITHIN is only allowed in a join of the outermost SELECT", within.span)),
        None => Ok(()),
    }
}

fn joins(from: &[TableWithJoins]) -> usize {
    from.iter().map(|table| table.joins.len()).sum()
}

fn misplaced(message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::new(MISPLACED, message).at(span)
}
