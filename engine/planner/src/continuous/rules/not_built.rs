//! Valid features that are not supported yet. Checked last: if a feature is merely unsupported, the user need not look
//! for mistakes.

use std::ops::ControlFlow;

use headwater_functions::aggregate;
use headwater_language::diagnostic::{Diagnostic, format_refusal};
use headwater_language::sql::ast;
use headwater_language::sql::{place, walk};
use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArguments, Spanned as _, Visitor};

use super::{Rule, not_yet};
use crate::callee::is_aggregate;
use crate::continuous::query::{Purpose, Streaming};
use crate::continuous::scope::{Member, span_of};
use crate::define::ROWHEADERS;

/// The rules for features that have no steps in a topology yet.
const STEPS: &[Rule] = &[topics, window, headers, clauses, calls];

/// The features of a query that are not supported yet, apart from its source.
pub fn check(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    STEPS.iter().for_each(|rule| rule(query, &mut errors));
    errors
}

/// Whether the columns of the result can be planned.
pub fn can_be_lowered(query: &Streaming<'_>) -> bool {
    check(query).is_empty()
}

/// Whether GROUP BY is supported in this query: its result is shown or is a table. What is shown may also be one group of all rows.
fn is_grouping_built(query: &Streaming<'_>) -> bool {
    let (makes_table, has_groups) = match query.purpose {
        Purpose::Show => (true, !query.groups.is_empty() || query.is_one_group()),
        Purpose::Create(create) => (create.kind == ast::SourceKind::Table, !query.groups.is_empty()),
        Purpose::Insert(_) => (false, false),
    };
    makes_table && has_groups && !query.groups.iter().any(is_of_several) && query.query.partition_by.is_none()
}

/// Whether a GROUP BY expression defines several groupings (GROUPING SETS, CUBE, ROLLUP).
fn is_of_several(group: &Expr) -> bool {
    matches!(group, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_))
}

/// Two sources that read one topic: a query reads each topic as one source.
fn topics(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for (at, member) in query.scope.members.iter().enumerate() {
        let (own, before) = (&member.source, &query.scope.members[..at]);
        let is_other = |other: &&Member| other.source.topic == own.topic && other.source.name != own.name;
        if let Some(Member { source, .. }) = before.iter().find(is_other) {
            let what = format!("a join of \"{}\" and \"{}\", which have the same topic,", source.name, own.name);
            let hint = match source.kind == own.kind {
                true => format!("Join \"{0}\" with itself: FROM {0} a JOIN {0} b.", source.name),
                false => format!("Copy one of them: CREATE STREAM copy AS SELECT * FROM {};", source.name),
            };
            errors.push(not_yet(&what, query.span()).hint(hint));
        }
    }
}

fn window(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(window) = &query.query.window else { return };
    if !is_grouping_built(query) {
        errors.push(not_yet("WINDOW", window.span));
    }
}

/// ROWHEADERS in a query with GROUP BY, whose results come from many records.
fn headers(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let given = query.items.iter().find(|item| item.name == ROWHEADERS && is_grouping_built(query));
    errors.extend(given.map(|item| not_yet("ROWHEADERS beside GROUP BY", item.span.unwrap_or(query.span()))));
}

fn clauses(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let (select, whole) = (&query.select, query.span());
    if let Some(with) = &query.query.body.with {
        errors.push(not_yet("WITH in a continuous query", place(with.span()).unwrap_or(whole)));
    }
    let is_built = is_grouping_built(query);
    let found = [
        (query.has_group_by() && !is_built, "GROUP BY in a continuous query"),
        (select.having.is_some() && !is_built, "HAVING in a continuous query"),
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
    if is_grouping_built(query) {
        walk(&query.select.having, &mut calls);
    }
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
        } else if is_aggregate(&name, self.query.state) && !self.is_built(&name) {
            self.errors.push(not_yet(&format!("the aggregate {name} in a continuous query"), span));
        } else if is_aggregate(&name, self.query.state) && !has_plain_arguments(call) {
            self.errors.push(self.decorated(&name, call).at(span));
        }
        ControlFlow::Continue(())
    }
}

impl Calls<'_> {
    /// The error for an aggregate with a clause that continuous queries do not have. The hint is how to write it without.
    fn decorated(&self, name: &str, call: &Function) -> Diagnostic {
        let not_yet = |what: &str| not_yet(&format!("{name} with {what} in a continuous query"), self.query.span());
        let FunctionArguments::List(list) = &call.args else { return not_yet("this form of arguments") };
        let argument = list.args.first().map(ToString::to_string).unwrap_or_default();
        if let Some(condition) = &call.filter {
            let value = if argument == "*" { "1" } else { &argument };
            let hint = format!("Use CASE: {name}(CASE WHEN {condition} THEN {value} END).");
            return not_yet("FILTER").hint(hint);
        }
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            let distinct = match name {
                "COUNT" => "COUNT_DISTINCT",
                "COLLECT_LIST" => "COLLECT_SET",
                "TOPK" => "TOPKDISTINCT",
                "COLLECT_SET" | "MIN" | "MAX" => name,
                _ => return not_yet("DISTINCT"),
            };
            let arguments: Vec<String> = list.args.iter().map(ToString::to_string).collect();
            return not_yet("DISTINCT").hint(format!("Use {distinct}({}).", arguments.join(", ")));
        }
        match call.null_treatment {
            Some(_) => not_yet("IGNORE NULLS or RESPECT NULLS"),
            None => not_yet("ORDER BY or another clause"),
        }
    }

    /// Whether an aggregate is supported here: those of the dialect are, but not others of DataFusion.
    fn is_built(&self, name: &str) -> bool {
        aggregate::find(name).is_some() && is_grouping_built(self.query)
    }
}

/// Whether an aggregate is called without DISTINCT, FILTER, ORDER BY, IGNORE NULLS and named arguments.
fn has_plain_arguments(call: &Function) -> bool {
    let FunctionArguments::List(list) = &call.args else { return false };
    let is_plain = |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(_));
    list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && list.args.iter().all(is_plain)
        && call.filter.is_none()
        && call.within_group.is_empty()
        && call.null_treatment.is_none()
}

/// The formats of sources that are not supported yet.
pub fn source(query: &Streaming<'_>) -> Vec<Diagnostic> {
    let span = query.select.from.first().and_then(|from| place(from.span())).unwrap_or(query.span());
    let formats = query.scope.members.iter().filter_map(|member| member.source.unbuilt_format());
    formats.map(|error| format_refusal(&error).at(span)).collect()
}
