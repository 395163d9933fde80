//! Valid features that are not supported yet. Checked last: if a feature is merely unsupported, the user need not look
//! for mistakes.

use std::ops::ControlFlow;

use headwater_language::definition::SourceKind;
use headwater_language::diagnostic::{Diagnostic, format_refusal};
use headwater_language::sql::{place, walk};
use sqlparser::ast::{Expr, Spanned as _, Visitor};

use super::{Rule, not_yet};
use crate::callee::is_aggregate;
use crate::continuous::query::Streaming;
use crate::continuous::scope::span_of;

/// The rules for features that have no steps in a topology yet.
const STEPS: &[Rule] = &[window, clauses, calls];

/// The features of a query that are not supported yet, apart from its source.
pub fn check(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    join(query, &mut errors);
    STEPS.iter().for_each(|rule| rule(query, &mut errors));
    errors
}

/// Whether the columns of the result can be planned.
pub fn can_be_lowered(query: &Streaming<'_>) -> bool {
    let mut errors = Vec::new();
    STEPS.iter().for_each(|rule| rule(query, &mut errors));
    errors.is_empty()
}

fn window(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    errors.extend(query.query.window.as_ref().map(|window| not_yet("WINDOW", window.span)));
}

fn join(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.is_joined() {
        errors.push(not_yet("a join in a continuous query", query.span()));
    }
}

fn clauses(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let (select, whole) = (&query.select, query.span());
    if let Some(with) = &query.query.body.with {
        errors.push(not_yet("WITH in a continuous query", place(with.span()).unwrap_or(whole)));
    }
    let found = [
        (query.has_group_by(), "GROUP BY in a continuous query"),
        (select.having.is_some(), "HAVING in a continuous query"),
        (select.distinct.is_some(), "DISTINCT in a continuous query"),
        (select.qualify.is_some(), "QUALIFY in a continuous query"),
        (!select.named_window.is_empty(), "a named window in a continuous query"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.into.is_some(), "SELECT … INTO"),
        (select.top.is_some(), "TOP"),
    ];
    errors.extend(found.iter().filter(|(there, _)| *there).map(|(_, what)| not_yet(what, whole)));
}

/// Reports aggregates and window functions.
fn calls(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let mut calls = Calls { query, errors };
    walk(&query.select.projection, &mut calls);
    walk(&query.select.selection, &mut calls);
    query.query.partition_by.iter().flat_map(|list| &list.value).for_each(|expr| {
        walk(expr, &mut calls);
    });
}

struct Calls<'a> {
    query: &'a Streaming<'a>,
    errors: &'a mut Vec<Diagnostic>,
}

impl Visitor for Calls<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let (name, span) = (call.name.to_string().to_uppercase(), span_of(expr, self.query.span()));
        if call.over.is_some() {
            self.errors.push(not_yet("a window function in a continuous query", span));
        } else if is_aggregate(&name, self.query.state) {
            self.errors.push(not_yet(&format!("the aggregate {name} in a continuous query"), span));
        }
        ControlFlow::Continue(())
    }
}

/// The kinds of sources that are not supported yet.
pub fn source(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let Some(source) = query.only_source() else { return Vec::new() };
    let span = query.select.from.first().and_then(|from| place(from.span())).unwrap_or(query.span());
    let table = (source.kind == SourceKind::Table).then(|| not_yet("a continuous query over a table", span));
    table.into_iter().chain(source.unbuilt_format().map(|error| format_refusal(&error).at(span))).collect()
}
