//! What a continuous query must be, one rule a function, in the order in which a user meets them.
//!
//! Every rule is asked, so that all mistakes come at once; only what would follow from another mistake is left out. What is
//! right and not built yet is in [`not_built`], which speaks only when nothing else is wrong.
//! Semantics: ksqlDB's queries.

pub mod clauses;
mod formats;
mod functions;
mod grouping;
mod joins;
mod keys;
mod names;
pub mod not_built;
mod tables;
mod windows;

use super::query::Streaming;
use headwater_language::diagnostic::{
    AMBIGUOUS_COLUMN, Diagnostic, NOT_SUPPORTED, RESERVED_NAME, Span, UNKNOWN_COLUMN,
};

/// Adds what is wrong with a query.
type Rule = fn(&Streaming<'_>, &mut Vec<Diagnostic>);

/// What must be known of a query for a rule to make sense.
#[derive(Clone, Copy)]
enum Needs {
    /// Its text.
    Text,
    /// The sources in FROM.
    Sources,
    /// The sources, and what `*` stands for.
    Columns,
}
use Needs::{Columns, Sources, Text};

/// The rules for every continuous query.
const RULES: &[(Needs, Rule)] = &[
    (Text, clauses::of_query),
    (Text, clauses::from),
    (Text, clauses::no_limit_on_a_sink),
    (Text, functions::called),
    (Sources, names::of_columns),
    (Sources, keys::partition_by),
    (Sources, tables::partition_by),
    (Sources, tables::windowed),
    (Sources, tables::table_functions),
    (Columns, tables::created),
    (Columns, tables::inserted),
    (Columns, windows::of_groups),
    (Columns, windows::bounds),
    (Columns, joins::without_comma),
    (Columns, formats::of_joined_values),
    (Columns, joins::sources_once),
    (Columns, joins::conditions),
    (Columns, joins::within),
    (Columns, joins::types),
    (Columns, joins::streams_and_tables),
    (Columns, joins::windows),
    (Columns, grouping::expressions),
    (Columns, grouping::something_aggregated),
    (Columns, grouping::arguments),
    (Columns, grouping::filter),
    (Columns, grouping::tables),
    (Columns, grouping::table_functions),
    (Columns, grouping::everything_grouped),
    (Columns, formats::of_grouped_values),
    (Columns, formats::of_state),
];

/// The rules for a query that is right so far and whose expressions could be compiled.
const LAST: &[Rule] = &[keys::selected, keys::repeated, keys::values, clauses::something_selected];

/// Everything that is wrong with a query, its expressions aside.
pub fn check(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let mut errors = query.errors.clone();
    let has_sources = !query.scope.members.is_empty();
    for (needs, rule) in RULES {
        let is_known = match needs {
            Text => true,
            Sources => has_sources,
            Columns => has_sources && query.errors.is_empty(),
        };
        if is_known {
            rule(query, &mut errors);
        }
    }
    errors
}

/// What the first of the last rules finds wrong.
pub fn check_last(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for rule in LAST {
        if errors.is_empty() {
            rule(query, &mut errors);
        }
    }
    errors
}

/// Whether an error is about a name only, so that expressions can be compiled in spite of it.
pub fn is_about_a_name(error: &Diagnostic) -> bool {
    [UNKNOWN_COLUMN, AMBIGUOUS_COLUMN, RESERVED_NAME].contains(&error.code)
}

/// The refusal of what is not built yet.
pub fn not_yet(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} is not supported yet"))
        .at(span)
        .hint("Without EMIT CHANGES a query reads what is in the topics now, and all of SQL is allowed.")
}
