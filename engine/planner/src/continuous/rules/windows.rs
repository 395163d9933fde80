//! WINDOW, and the bounds of windows.

use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_language::diagnostic::{Diagnostic, STREAMING};
use headwater_language::sql::each_own_expr;
use sqlparser::ast::Expr;

use crate::continuous::query::{Streaming, identifier};
use crate::continuous::scope::span_of;

/// The columns that a windowed aggregation adds.
pub const BOUNDS: [&str; 2] = [WINDOWSTART, WINDOWEND];

/// WINDOW requires GROUP BY over a stream.
pub fn of_groups(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(window) = &query.query.window else { return };
    if query.groups.is_empty() {
        let message = "WINDOW needs a GROUP BY";
        errors.push(Diagnostic::new(STREAMING, message).at(window.span));
    }
    if query.only_source().is_some() && query.is_table(0) {
        let message = format!("WINDOW is only for streams, but {} is a table", query.scope.listed());
        errors.push(Diagnostic::new(STREAMING, message).at(window.span));
    }
}

/// The lengths in WINDOW are valid.
pub fn lengths(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    errors.extend(query.windows().and_then(Result::err).into_iter().flatten());
}

/// Window bounds are allowed only in SELECT.
pub fn bounds(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.query.window.is_none() || query.only_source().is_none() {
        return;
    }
    for group in &query.groups {
        no_bounds(query, "GROUP BY", group, errors);
    }
    query.select.selection.iter().for_each(|filter| no_bounds(query, "WHERE", filter, errors));
    query.select.having.iter().for_each(|having| no_bounds(query, "HAVING", having, errors));
    for aggregate in query.items.iter().flat_map(|item| query.aggregates_in(&item.expr)) {
        no_bounds(query, "an aggregate", &aggregate, errors);
    }
}

fn no_bounds(query: &Streaming<'_>, place: &str, expr: &Expr, errors: &mut Vec<Diagnostic>) {
    each_own_expr(expr, &mut |expr: &Expr| {
        let name = match expr {
            Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
            expr => identifier(expr),
        };
        let Some(name) = name.filter(|name| BOUNDS.contains(name)) else { return };
        let message = format!("window bound \"{name}\" cannot be part of {place}");
        let detail = "It exists only in the SELECT list of a windowed aggregation.";
        errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, query.span())).detail(detail));
    });
}
