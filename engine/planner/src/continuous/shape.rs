//! What a continuous query can be: one stream, filtered, projected, with another key perhaps.
//!
//! Everything else of SQL is refused here by name, all of it at once. Names of the one source are
//! taken off its columns, so that an expression has one way to be written.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, LimitClause, Select, SelectItem, SetExpr, Spanned as _, TableFactor, Value,
    Visitor, VisitorMut,
};

use super::lowering::Use;
use super::scope::{Scope, ident, span_of};
use crate::callee::{Callee, Caller};
use crate::define::real_first;
use crate::{naming, patterns, star};
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_language::catalog::Catalog;
use headwater_language::definition::{SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, STREAMING, Span, format_refusal};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{ast, each_own_expr, place, walk, walk_mut};

/// A query that can be continuous.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What it reads.
    pub source: Arc<SourceDef>,
    /// The items of SELECT, each with its name.
    pub items: Vec<Item>,
    /// Some items came from `*`.
    pub has_star: bool,
    /// WHERE.
    pub filter: Option<Expr>,
    /// PARTITION BY, with its place.
    pub partition_by: Option<ast::Spanned<Vec<Expr>>>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// The place of the query.
    pub span: Span,
    /// Names in it that are no column's.
    pub names: Vec<Diagnostic>,
    /// Why it cannot run yet, if it is right otherwise.
    pub later: Vec<Diagnostic>,
}

/// An item of SELECT.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, given or made.
    pub name: String,
    /// Its expression, without names of sources.
    pub expr: Expr,
    /// Where it is, when it was written.
    pub span: Option<Span>,
}

/// Reads the shape of a query. Gives everything that cannot be continuous.
pub fn read(
    query: &ast::Query,
    catalog: &Catalog,
    state: &SessionState,
    purpose: Use<'_>,
) -> Result<Shape, Vec<Diagnostic>> {
    let mut body = query.body.clone();
    let had_star = stars(&body);
    let mut errors = star::expand(&mut body, catalog);
    check_clauses(query, &mut errors);
    let limit = limit(&body, &mut errors);
    let SetExpr::Select(select) = body.body.as_mut() else {
        errors.push(not_yet("a set operation in a continuous query", query.span));
        return Err(errors);
    };
    check_select(select, query.span, &mut errors);
    check_expressions(select, query, state, &mut errors);
    let source = source(select, catalog, query.span, &mut errors);
    let mut names = Vec::new();
    check_names(select, query, catalog, &mut names);
    if had_star && purpose != Use::Show {
        // The window of a key stays in the key.
        select.projection.retain(|item| !is_bound(item));
    }
    if let Some((source, _)) = &source {
        check_source(source, select, query, state, purpose, &mut errors);
    }
    let (Some((source, alias)), true) = (source, errors.is_empty()) else {
        return Err(real_first(errors.into_iter().chain(names).collect()));
    };
    let later = later(&source, place(select.from[0].span()).unwrap_or(query.span));
    walk_mut(select, &mut Unqualify { alias: &alias });
    naming::name_columns(select, catalog);
    let mut partition_by = query.partition_by.clone();
    if let Some(list) = &mut partition_by {
        list.value.iter_mut().for_each(|expr| {
            walk_mut(expr, &mut Unqualify { alias: &alias });
        });
    }
    let items = select.projection.iter().filter_map(item).collect();
    Ok(Shape {
        source,
        items,
        has_star: had_star,
        filter: select.selection.clone(),
        partition_by,
        limit,
        span: query.span,
        names,
        later,
    })
}

/// What of reading a source is not built yet.
fn later(source: &SourceDef, span: Span) -> Vec<Diagnostic> {
    let table = (source.kind == SourceKind::Table).then(|| not_yet("a continuous query over a table", span));
    table.into_iter().chain(source.unbuilt_format().map(|error| format_refusal(&error).at(span))).collect()
}

/// What a table or a source with windows does not allow.
fn check_source(
    source: &SourceDef,
    select: &Select,
    query: &ast::Query,
    state: &SessionState,
    purpose: Use<'_>,
    errors: &mut Vec<Diagnostic>,
) {
    if let Some(list) = &query.partition_by {
        let why = match (source.kind, source.window) {
            (SourceKind::Table, _) => "is a table",
            (_, Some(_)) => "has windows in its keys",
            _ => "",
        };
        if !why.is_empty() {
            let message = format!("PARTITION BY is for streams without windows, \"{}\" {why}", source.name);
            errors.push(Diagnostic::new(STREAMING, message).at(list.span));
        }
    }
    if source.kind != SourceKind::Table {
        return;
    }
    if source.window.is_some() && purpose != Use::Show {
        let message = format!("\"{}\" is a table with windows: its rows can be shown, not written on", source.name);
        errors.push(Diagnostic::new(STREAMING, message).at(query.span));
    }
    each_own_expr(&select.projection, &mut |expr: &Expr| {
        let Expr::Function(function) = expr else { return };
        let name = function.name.to_string().to_uppercase();
        if Callee::of(&name, state).is_some_and(Callee::makes_rows) {
            let message = format!("table function {name} is for streams, \"{}\" is a table", source.name);
            errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, query.span)));
        }
    });
}

/// An item that is a bound of a window, under no other name.
fn is_bound(item: &SelectItem) -> bool {
    let is_bound = |name: &Ident| [WINDOWSTART, WINDOWEND].contains(&name.value.as_str());
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => is_bound(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().is_some_and(is_bound),
        _ => false,
    }
}

/// What of a query that is right is not built yet.
pub fn not_built(query: &ast::Query, state: &SessionState) -> Vec<Diagnostic> {
    let SetExpr::Select(select) = query.body.body.as_ref() else { return Vec::new() };
    let mut errors = Vec::new();
    if let Some(window) = &query.window {
        errors.push(not_yet("WINDOW", window.span));
    }
    if select.from.len() > 1 || select.from.iter().any(|from| !from.joins.is_empty()) {
        errors.push(not_yet("a join in a continuous query", query.span));
    }
    check_select(select, query.span, &mut errors);
    check_expressions(select, query, state, &mut errors);
    let mut errors = real_first(errors);
    if errors.is_empty() {
        errors.push(not_yet("an aggregate in a continuous query", query.span));
    }
    errors
}

/// Every name is that of a column.
fn check_names(select: &Select, query: &ast::Query, catalog: &Catalog, errors: &mut Vec<Diagnostic>) {
    let Some(scope) = Scope::read(select, catalog) else { return };
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) = item {
            scope.check("SELECT", expr, &[], errors);
        }
    }
    select.selection.iter().for_each(|filter| scope.check("WHERE", filter, &[], errors));
    let listed = query.partition_by.iter().flat_map(|list| &list.value);
    listed.for_each(|expr| scope.check("PARTITION BY, which works on what is read,", expr, &[], errors));
}

pub(super) fn item(item: &SelectItem) -> Option<Item> {
    let (name, expr) = match item {
        SelectItem::ExprWithAlias { expr, alias } => (alias.value.clone(), expr),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => (name.value.clone(), expr),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(names)) => (names.last()?.value.clone(), expr),
        _ => return None,
    };
    Some(Item { name, expr: expr.clone(), span: place(item.span()) })
}

fn stars(query: &sqlparser::ast::Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    select.projection.iter().any(star)
}

fn check_clauses(query: &ast::Query, errors: &mut Vec<Diagnostic>) {
    if let Some(emit) = query.emit.as_ref().filter(|emit| emit.value == ast::Emit::Final) {
        let message = "EMIT FINAL is only for windowed aggregations";
        errors.push(Diagnostic::new(STREAMING, message).at(emit.span).hint("Say EMIT CHANGES."));
    }
    let body = &query.body;
    if let Some(with) = &body.with {
        errors.push(not_yet("WITH in a continuous query", place(with.span()).unwrap_or(query.span)));
    }
    if let Some(order) = &body.order_by {
        let message = "a continuous query has no order but that of its records";
        let span = place(order.span()).unwrap_or(query.span);
        errors.push(Diagnostic::new(STREAMING, message).at(span).hint("Leave ORDER BY out, or EMIT CHANGES."));
    }
}

fn limit(body: &sqlparser::ast::Query, errors: &mut Vec<Diagnostic>) -> Option<u64> {
    let clause = body.limit_clause.as_ref()?;
    let span = place(clause.span());
    if let LimitClause::LimitOffset { limit: Some(Expr::Value(value)), offset: None, limit_by } = clause
        && limit_by.is_empty()
        && let Value::Number(digits, _) = &value.value
        && let Ok(limit) = digits.parse()
    {
        return Some(limit);
    }
    errors.push(
        Diagnostic::new(STREAMING, "LIMIT of a continuous query is a whole number, without OFFSET").at_maybe(span),
    );
    None
}

fn check_select(select: &Select, whole: Span, errors: &mut Vec<Diagnostic>) {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(list, _) => !list.is_empty(),
    };
    let found = [
        (grouped, "GROUP BY in a continuous query"),
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

/// The one source and what it is called.
fn source(
    select: &Select,
    catalog: &Catalog,
    whole: Span,
    errors: &mut Vec<Diagnostic>,
) -> Option<(Arc<SourceDef>, String)> {
    let [from] = &select.from[..] else {
        errors.push(match select.from.is_empty() {
            true => Diagnostic::new(STREAMING, "a continuous query reads FROM a stream").at(whole),
            false => not_yet("a join in a continuous query", whole),
        });
        return None;
    };
    if !from.joins.is_empty() {
        errors.push(not_yet("a join in a continuous query", place(from.span()).unwrap_or(whole)));
        return None;
    }
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else {
        let message = "a continuous query reads a stream by its name, not a subquery or function";
        errors.push(Diagnostic::new(STREAMING, message).at(place(from.span()).unwrap_or(whole)));
        return None;
    };
    let own = name.0.last().and_then(|part| part.as_ident())?;
    // What does not exist was told when `*` was settled.
    let source = catalog.source(&own.value)?;
    Some((source.clone(), alias.as_ref().map_or_else(|| own.value.clone(), |a| a.name.value.clone())))
}

/// Expressions that are more than one row's own business.
fn check_expressions(select: &Select, query: &ast::Query, state: &SessionState, errors: &mut Vec<Diagnostic>) {
    let mut checker = Checker { state, errors, whole: query.span, in_select: true };
    walk(&select.projection, &mut checker);
    checker.in_select = false;
    walk(&select.selection, &mut checker);
    for expr in query.partition_by.iter().flat_map(|list| &list.value) {
        walk(expr, &mut checker);
    }
}

struct Checker<'a> {
    state: &'a SessionState,
    errors: &'a mut Vec<Diagnostic>,
    whole: Span,
    in_select: bool,
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let span = place(expr.span()).unwrap_or(self.whole);
        match expr {
            query if is_subquery(query) => {
                let message = "a subquery cannot be part of a continuous query";
                self.errors.push(Diagnostic::new(STREAMING, message).at(span));
            }
            Expr::Function(function) => self.function(function, span),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Checker<'_> {
    fn function(&mut self, call: &Function, span: Span) {
        self.errors.extend(patterns::check(call));
        let name = call.name.to_string();
        if call.over.is_some() {
            self.errors.push(not_yet("a window function in a continuous query", span));
            return;
        }
        match Callee::of(&name, self.state) {
            Some(Callee::Aggregate) => {
                self.errors
                    .push(not_yet(&format!("the aggregate {} in a continuous query", name.to_uppercase()), span));
            }
            Some(callee) if !self.in_select && callee.makes_rows() => {
                let message = format!("table function {} can only be in SELECT", name.to_uppercase());
                self.errors.push(Diagnostic::new(STREAMING, message).at(span));
            }
            Some(callee) if callee.is_continuous() => {}
            _ => {
                let place = call.name.0.first().and_then(|part| part.as_ident()).and_then(|name| place(name.span));
                self.errors.push(Caller::Continuous(self.state).unknown(&name).at(place.unwrap_or(span)));
            }
        }
    }
}

/// Takes the name of the one source off its columns, and gives every name one way to be written.
struct Unqualify<'a> {
    alias: &'a str,
}

impl VisitorMut for Unqualify<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundIdentifier(names) => {
                if let [source, column] = &names[..]
                    && source.value == self.alias
                {
                    *expr = Expr::Identifier(Ident { span: column.span, ..ident(&column.value) });
                }
            }
            Expr::Identifier(name) => *name = Ident { span: name.span, ..ident(&name.value) },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn not_yet(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} is not supported yet"))
        .at(span)
        .hint("Without EMIT CHANGES a query reads what is in the topics now, and all of SQL is allowed.")
}
