//! WINDOW, and the bounds of windows.

use headwater_language::diagnostic::{Diagnostic, STREAMING};

use crate::continuous::query::Streaming;
use crate::continuous::window::no_bounds;

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
        no_bounds("GROUP BY", group, query.span(), errors);
    }
    query.select.selection.iter().for_each(|filter| no_bounds("WHERE", filter, query.span(), errors));
    query.select.having.iter().for_each(|having| no_bounds("HAVING", having, query.span(), errors));
    for aggregate in query.items.iter().flat_map(|item| query.aggregates_in(&item.expr)) {
        no_bounds("an aggregate", &aggregate, query.span(), errors);
    }
}
