//! The rules that a continuous query must follow, one function each, in the order in which users meet them.
//!
//! All rules are checked, so that all errors are reported at once; only errors that follow from another are left out.
//! Features that are valid but not supported yet are in [`not_built`], which is checked only if there are no other
//! errors. Semantics: ksqlDB's queries.

pub mod clauses;
mod formats;
mod functions;
mod grouping;
mod joins;
mod keys;
mod names;
pub mod not_built;
mod tables;
pub mod windows;

use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, Span};

use super::query::Streaming;

/// A rule: adds the errors that it finds in a query.
type Rule = fn(&Streaming<'_>, &mut Vec<Diagnostic>);

/// What a rule needs to know about a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Only its text.
    Text,
    /// The sources in FROM.
    Sources,
    /// The sources, and the columns that `*` stands for.
    Columns,
}
use Needs::{Columns, Sources, Text};

impl Needs {
    fn are_met(self, query: &Streaming<'_>) -> bool {
        let has_sources = !query.scope.members.is_empty();
        match self {
            Text => true,
            Sources => has_sources,
            Columns => has_sources && query.errors.is_empty(),
        }
    }
}

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
    (Columns, windows::of_groups),
    (Columns, windows::lengths),
    (Columns, windows::bounds),
    (Columns, joins::without_comma),
    (Columns, formats::of_joined_values),
    (Columns, joins::names_once),
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

/// The rules for the result of a query that has no errors so far and whose expressions can be compiled.
const RESULT: &[Rule] = &[keys::selected_once, keys::values, clauses::something_selected];

/// The rules for the stream or table that is written to.
const SINK: &[Rule] = &[tables::created, tables::inserted];

/// Adds the errors of a query. Returns whether its expressions can be compiled, so that more errors can be found in
/// them.
pub fn check(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) -> bool {
    errors.extend(query.errors.iter().cloned());
    let mut can_be_compiled = Columns.are_met(query);
    for (needs, rule) in RULES.iter().filter(|(needs, _)| needs.are_met(query)) {
        let before = errors.len();
        rule(query, errors);
        can_be_compiled &= *needs != Text || errors.len() == before;
    }
    can_be_compiled
}

/// Adds the errors that the first failing rule for the result finds.
pub fn check_result(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for rule in RESULT {
        if errors.is_empty() {
            rule(query, errors);
        }
    }
}

/// Adds the errors about writing the result of a query.
pub fn check_sink(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    SINK.iter().filter(|_| Columns.are_met(query)).for_each(|rule| rule(query, errors));
}

/// The error for a feature that is not supported yet.
pub fn not_yet(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} is not supported yet"))
        .at(span)
        .hint("Without EMIT CHANGES a query reads the current contents of the topics and supports all of SQL.")
}
