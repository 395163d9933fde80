//! WINDOW in bounded queries, whose groups are those with which the continuous query ends.
//!
//! Here is what the clause needs: it is checked, and the bounds of windows become calls (`bound`) that GROUP BY contains, too.
//! Once DataFusion has planned the query, `rows` assigns the rows below the aggregation to their windows. This is not the code
//! of continuous queries, so that each of the two can be tested with the other.

mod bound;
mod lateness;
mod rows;
mod sessions;
mod time;

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use headwater_language::catalog::Catalog;
use headwater_language::definition::SourceKind;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, STREAMING, Span};
use headwater_language::sql::{ast, each_own_expr, walk_mut};
use headwater_language::topology::AggregateWindow;
use sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, OrderByKind, Query as SqlQuery, Select, SelectItem, SetExpr, VisitorMut,
};

use super::callee::is_aggregate;
use super::continuous::{Scope, window};

pub use bound::with_bounds;
pub use rows::settle;

/// The clause WINDOW of a bounded query.
#[derive(Clone, Copy, Debug)]
pub struct Windowed {
    /// The windows.
    pub windows: AggregateWindow,
    /// The location of the clause.
    pub span: Span,
}

/// Reads the clause WINDOW of a query; `None` if there is none. Errors are added to `errors`.
pub fn read(
    query: &ast::Query,
    catalog: &Catalog,
    state: &SessionState,
    errors: &mut Vec<Diagnostic>,
) -> Option<Windowed> {
    let written = query.window.as_ref()?;
    let span = written.span;
    let refuse = |code, message: String| Diagnostic::new(code, message).at(span);
    let SetExpr::Select(select) = query.body.body.as_ref() else {
        errors.push(refuse(NOT_SUPPORTED, "WINDOW with a set operation is not supported yet".to_owned()));
        return None;
    };
    match groups(select) {
        Some([]) => errors.push(refuse(STREAMING, "WINDOW needs a GROUP BY".to_owned())),
        Some(_) => {}
        None => errors.push(refuse(NOT_SUPPORTED, "WINDOW with sets of groups is not supported yet".to_owned())),
    }
    check_sources(select, catalog, span, errors);
    check_bounds(select, state, query.span, errors);
    match window::read(&written.value, false, span) {
        Ok(windows) => {
            errors.extend(time::check(windows, span));
            Some(Windowed { windows, span })
        }
        Err(wrong) => {
            errors.extend(wrong);
            None
        }
    }
}

/// The expressions of GROUP BY; `None` if they are sets of groups.
fn groups(select: &Select) -> Option<&[Expr]> {
    let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else { return None };
    let is_set = |group: &Expr| matches!(group, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_));
    let is_empty = |group: &Expr| matches!(group, Expr::Tuple(values) if values.is_empty());
    match groups.iter().any(is_set) || !modifiers.is_empty() {
        true => None,
        false if groups.iter().all(is_empty) => Some(&[]),
        false => Some(groups),
    }
}

/// Rejects tables, and sources that have windows already. Subqueries are checked when they are planned.
fn check_sources(select: &Select, catalog: &Catalog, span: Span, errors: &mut Vec<Diagnostic>) {
    let Some(scope) = Scope::read(select, catalog) else { return };
    if scope.members.iter().all(|member| member.source.kind == SourceKind::Table) {
        let message = format!("WINDOW is only for streams, but {} is a table", scope.listed());
        errors.push(Diagnostic::new(STREAMING, message).at(span));
    } else if scope.members.iter().any(|member| member.source.window.is_some()) {
        let message = "WINDOW over a windowed source is not supported yet";
        errors.push(Diagnostic::new(NOT_SUPPORTED, message).at(span));
    }
}

/// Rejects bounds of windows where windows do not exist yet.
fn check_bounds(select: &Select, state: &SessionState, whole: Span, errors: &mut Vec<Diagnostic>) {
    groups(select).iter().copied().flatten().for_each(|group| window::no_bounds("GROUP BY", group, whole, errors));
    select.selection.iter().for_each(|filter| window::no_bounds("WHERE", filter, whole, errors));
    let listed = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in listed.chain(&select.having) {
        each_own_expr(expr, &mut |part| {
            let Expr::Function(Function { name, .. }) = part else { return };
            if is_aggregate(&name.to_string(), state) {
                window::no_bounds("an aggregate", part, whole, errors);
            }
        });
    }
}

/// The query without bounds of windows, for a search for unknown columns: [`read`] reports where bounds are not allowed.
pub fn without_bounds(mut query: SqlQuery) -> SqlQuery {
    if let SetExpr::Select(select) = query.body.as_mut() {
        walk_mut(select, &mut Marker::default());
    }
    walk_mut(&mut query.order_by, &mut Marker::default());
    query
}

/// Replaces the bounds of windows with calls, and groups the rows by them.
pub fn mark(query: &mut SqlQuery) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let given: Vec<String> = select.projection.iter().filter_map(alias).collect();
    select.projection.iter_mut().for_each(name_bound);
    walk_mut(&mut select.projection, &mut Marker::default());
    walk_mut(&mut select.having, &mut Marker::default());
    if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
        walk_mut(keys, &mut Marker { given, depth: 0 });
    }
    if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
        groups.extend(bound::calls());
    }
}

fn alias(item: &SelectItem) -> Option<String> {
    if let SelectItem::ExprWithAlias { alias, .. } = item { Some(alias.value.clone()) } else { None }
}

/// Gives a bound without an alias its own name.
fn name_bound(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expr) = item else { return };
    let Some(name) = window::bound(expr) else { return };
    let alias = Ident::with_quote('`', name);
    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
}

/// Replaces bounds in the expressions of one SELECT, but not in its subqueries.
#[derive(Default)]
struct Marker {
    /// Names of columns that SELECT gives, which ORDER BY refers to first.
    given: Vec<String>,
    /// The number of subqueries around an expression.
    depth: usize,
}

impl VisitorMut for Marker {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut SqlQuery) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut SqlQuery) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Some(name) = window::bound(expr).filter(|name| !self.given.iter().any(|given| given == name))
        {
            *expr = bound::call_of(name);
        }
        ControlFlow::Continue(())
    }
}
