//! The names of all functions, and the error for a function that does not exist.

use datafusion::execution::session_state::SessionState;
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_FUNCTION, nearest};

use super::{aggregate, all, find};

/// Names and categories of the dialect's functions, and of the additional functions of bounded queries.
pub fn list(state: &SessionState) -> Vec<(String, &'static str)> {
    let ours = all().map(|function| (function.name.to_owned(), function.category.word()));
    let free = |name: &&String| find(name).is_none() && !name.starts_with("headwater_");
    let scalar = state.scalar_functions().keys().filter(free).map(|name| (name.to_uppercase(), "BOUNDED QUERIES"));
    let aggregates = aggregate::FUNCTIONS.iter().map(|function| (function.name.to_owned(), "AGGREGATE"));
    let others = state.aggregate_functions().keys().filter(|name| aggregate::find(name).is_none());
    let aggregates = aggregates.chain(others.map(|name| (name.to_uppercase(), "AGGREGATE")));
    let window = state.window_functions().keys().map(|name| (name.to_uppercase(), "WINDOW"));
    let mut rows: Vec<_> = ours.chain(scalar).chain(aggregates).chain(window).collect();
    rows.sort();
    rows
}

/// The error for a function that does not exist, which suggests the nearest of these names.
pub fn unknown<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let error = Diagnostic::new(UNKNOWN_FUNCTION, format!("function \"{}\" does not exist", name.to_uppercase()));
    match nearest(name, names) {
        Some(near) => error.hint(format!("Did you mean {}?", near.to_uppercase())),
        None => error.hint("SHOW FUNCTIONS; lists them all."),
    }
}
