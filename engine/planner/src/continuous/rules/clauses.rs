//! EMIT FINAL, ORDER BY, LIMIT and FROM.

use headwater_language::diagnostic::{Diagnostic, STREAMING};
use headwater_language::sql::{ast, place};
use sqlparser::ast::{Spanned as _, TableFactor};

use crate::continuous::query::{Streaming, limit};

/// Only windows are final, records have no order but their own, and LIMIT is a number.
pub fn of_query(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    of_any_query(query.query, errors);
}

/// The same for what need not be a SELECT.
pub fn of_any_query(query: &ast::Query, errors: &mut Vec<Diagnostic>) {
    let is_final = query.emit.as_ref().filter(|emit| emit.value == ast::Emit::Final);
    if let (Some(emit), None) = (is_final, &query.window) {
        let message = "EMIT FINAL is only for windowed aggregations";
        errors.push(Diagnostic::new(STREAMING, message).at(emit.span).hint("Say EMIT CHANGES."));
    }
    if let Some(order) = &query.body.order_by {
        let message = "a continuous query has no order but that of its records";
        let span = place(order.span()).unwrap_or(query.span);
        errors.push(Diagnostic::new(STREAMING, message).at(span).hint("Leave ORDER BY out, or EMIT CHANGES."));
    }
    if let Err(span) = limit(&query.body) {
        let message = "LIMIT of a continuous query is a whole number, without OFFSET";
        errors.push(Diagnostic::new(STREAMING, message).at_maybe(span));
    }
}

/// FROM has streams and tables by their names.
pub fn from(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.select.from.is_empty() {
        errors.push(Diagnostic::new(STREAMING, "a continuous query reads FROM a stream").at(query.span()));
    }
    for from in &query.select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
            if !is_name(factor) {
                let message = "a continuous query reads a stream by its name, not a subquery or function";
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

/// What is written goes on for ever.
pub fn no_limit_on_a_sink(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if let (Some(_), Ok(Some(_))) = (query.purpose.sink(), query.limit()) {
        let message = "a query that is written to a topic has no LIMIT: it never ends";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}

/// SELECT is not empty.
pub fn something_selected(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.items.is_empty() {
        errors.push(Diagnostic::new(STREAMING, "a continuous query selects at least one column").at(query.span()));
    }
}
