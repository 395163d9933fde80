//! EMIT FINAL, ORDER BY, LIMIT and FROM.

use headwater_language::diagnostic::{Diagnostic, STREAMING};
use headwater_language::sql::{ast, place};
use sqlparser::ast::{Spanned as _, TableFactor};

use crate::continuous::query::{Streaming, limit};

/// EMIT FINAL is for windows only, records keep their own order, and LIMIT is a number.
pub fn of_query(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    of_any_query(query.query, errors);
}

/// The same rules for a query that need not be a SELECT.
pub fn of_any_query(query: &ast::Query, errors: &mut Vec<Diagnostic>) {
    let is_final = query.emit.as_ref().filter(|emit| emit.value == ast::Emit::Final);
    if let (Some(emit), None) = (is_final, &query.window) {
        let message = "EMIT FINAL is only for windowed aggregations";
        errors.push(Diagnostic::new(STREAMING, message).at(emit.span).hint("Use EMIT CHANGES."));
    }
    if let Some(order) = &query.body.order_by {
        let message = "ORDER BY is not allowed in a continuous query";
        let span = place(order.span()).unwrap_or(query.span);
        errors.push(Diagnostic::new(STREAMING, message).at(span).hint("Remove ORDER BY, or remove EMIT CHANGES."));
    }
    if let Err(span) = limit(&query.body) {
        let message = "LIMIT of a continuous query must be an integer, without OFFSET";
        errors.push(Diagnostic::new(STREAMING, message).at_maybe(span));
    }
}

/// FROM contains streams and tables by name.
pub fn from(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.select.from.is_empty() {
        errors.push(Diagnostic::new(STREAMING, "a continuous query needs a stream in FROM").at(query.span()));
    }
    for from in &query.select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
            if !is_name(factor) {
                let message = "a continuous query can read only streams and tables by name, not a subquery or function";
                let span = place(factor.span()).unwrap_or(query.span());
                errors.push(Diagnostic::new(STREAMING, message).at(span));
            }
        }
    }
}

fn is_name(factor: &TableFactor) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else { return false };
    name.0.last().is_some_and(|part| part.as_ident().is_some())
}

/// A query that is written to a topic never ends.
pub fn no_limit_on_a_sink(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if let (Some(_), Ok(Some(_))) = (query.purpose.sink(), query.limit()) {
        let message = "LIMIT is not allowed in a query that writes to a topic: such a query never ends";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}

/// SELECT is not empty.
pub fn something_selected(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.items.is_empty() {
        errors.push(Diagnostic::new(STREAMING, "a continuous query must select at least one column").at(query.span()));
    }
}
