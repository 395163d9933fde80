//! Table functions, window functions and aggregates in places where they cannot be computed: reported with their place
//! and a workaround, before DataFusion would report them in its own wording.
//!
//! ```text
//!            SELECT  WHERE, ON, GROUP BY, VALUES  HAVING  QUALIFY, ORDER BY
//! table      yes     -                            -       -
//! window     yes     -                            -       yes
//! aggregate  yes     -                            yes     yes
//! ```

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, PLAN, STREAMING};
use headwater_language::sql::{each_expr, join_condition, place, print, walk};
use sqlparser::ast::{
    Expr, Function, GroupByExpr, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned as _,
    TableWithJoins, Visitor, WindowType,
};

use super::callee::{Callee, is_aggregate};
use super::relations::Namer;

/// Reports all misplaced calls in a bounded query.
pub(super) fn check(query: &Query, state: &SessionState) -> Vec<Diagnostic> {
    let mut clauses = Clauses { state, depth: 0, own: None, errors: Vec::new() };
    walk(query, &mut clauses);
    clauses.errors
}

/// The kind of a function call, by the rows that it reads and returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Several rows for one.
    Table,
    /// One value per row, which depends on other rows.
    Window,
    /// One value for many rows.
    Aggregate,
}

/// A clause, and the kinds of calls that it may contain.
#[derive(Clone, Copy)]
struct Clause {
    name: &'static str,
    takes: &'static [Kind],
}

const SELECT: Clause = Clause { name: "SELECT", takes: &[Kind::Table, Kind::Window, Kind::Aggregate] };
const WHERE: Clause = Clause { name: "WHERE", takes: &[] };
const ON: Clause = Clause { name: "ON", takes: &[] };
const GROUP_BY: Clause = Clause { name: "GROUP BY", takes: &[] };
const HAVING: Clause = Clause { name: "HAVING", takes: &[Kind::Aggregate] };
const QUALIFY: Clause = Clause { name: "QUALIFY", takes: &[Kind::Window, Kind::Aggregate] };
const ORDER_BY: Clause = Clause { name: "ORDER BY", takes: &[Kind::Window, Kind::Aggregate] };
const WINDOW: Clause = Clause { name: "WINDOW", takes: &[Kind::Aggregate] };
const VALUES: Clause = Clause { name: "VALUES", takes: &[] };

/// Visits the clauses of every SELECT.
struct Clauses<'a> {
    state: &'a SessionState,
    /// The number of enclosing queries.
    depth: usize,
    /// The names of the relations in the subquery whose clauses are visited; none if they are unknown.
    own: Option<Vec<String>>,
    errors: Vec<Diagnostic>,
}

impl Clauses<'_> {
    fn look(&mut self, clause: Clause, expr: &Expr) {
        let own = self.own.as_deref();
        let mut calls =
            Calls { clause, own, state: self.state, within: Vec::new(), queries: 0, errors: &mut self.errors };
        walk(expr, &mut calls);
    }
}

impl Visitor for Clauses<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.own = None;
        self.depth += 1;
        if let Some(OrderByKind::Expressions(items)) = query.order_by.as_ref().map(|by| &by.kind) {
            items.iter().for_each(|item| self.look(ORDER_BY, &item.expr));
        }
        if let SetExpr::Values(values) = query.body.as_ref() {
            values.rows.iter().flat_map(|row| row.iter()).for_each(|value| self.look(VALUES, value));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.own = named(&select.from).filter(|_| self.depth > 1);
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.look(SELECT, expr);
            }
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if let Some(JoinConstraint::On(condition)) = join_condition(&join.join_operator) {
                self.look(ON, condition);
            }
        }
        select.selection.iter().for_each(|condition| self.look(WHERE, condition));
        if let GroupByExpr::Expressions(expressions, _) = &select.group_by {
            expressions.iter().for_each(|expr| self.look(GROUP_BY, expr));
        }
        select.having.iter().for_each(|condition| self.look(HAVING, condition));
        select.qualify.iter().for_each(|condition| self.look(QUALIFY, condition));
        for window in &select.named_window {
            if let sqlparser::ast::NamedWindowExpr::WindowSpec(spec) = &window.1 {
                spec.partition_by.iter().for_each(|expr| self.look(WINDOW, expr));
                spec.order_by.iter().for_each(|by| self.look(WINDOW, &by.expr));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Checks the calls in one expression. Subqueries are checked with their own clauses.
struct Calls<'a> {
    clause: Clause,
    /// The names of the relations of its SELECT, if they are known.
    own: Option<&'a [String]>,
    state: &'a SessionState,
    /// The enclosing expressions that restrict what they may contain.
    within: Vec<Around>,
    queries: usize,
    errors: &'a mut Vec<Diagnostic>,
}

/// An expression that cannot contain every kind of call.
#[derive(Clone, PartialEq, Eq)]
enum Around {
    Case,
    Lambda,
    Call(Kind, String),
}

impl Calls<'_> {
    fn around(&self, expr: &Expr) -> Option<Around> {
        match expr {
            Expr::Case { .. } => Some(Around::Case),
            Expr::Lambda(_) => Some(Around::Lambda),
            Expr::Function(call) => {
                let kind = kind(call, self.state)?;
                Some(Around::Call(kind, call.name.to_string().to_uppercase()))
            }
            _ => None,
        }
    }

    fn call(&self, kind: Kind, name: &str, expr: &Expr) -> Option<Diagnostic> {
        if kind == Kind::Aggregate && !self.clause.takes.contains(&kind) && is_of_others(expr, self.own) {
            return Some(of_the_query_around(name));
        }
        if !self.clause.takes.contains(&kind) {
            return Some(misplaced(kind, name, self.clause, expr));
        }
        let refuse = |code, message: String| Some(Diagnostic::new(code, message));
        self.within.iter().rev().find_map(|around| match (kind, around) {
            (Kind::Table, Around::Case) => refuse(STREAMING, format!("table function {name} cannot be part of CASE")),
            (Kind::Table, Around::Lambda) => {
                refuse(STREAMING, format!("table function {name} cannot be part of a lambda"))
            }
            (Kind::Table, Around::Call(Kind::Table, _)) => {
                refuse(STREAMING, format!("table function {name} cannot be part of another"))
            }
            (Kind::Table, Around::Call(_, outer)) => {
                let error = refuse(STREAMING, format!("table function {name} cannot be part of {outer}"));
                error.map(|error| error.hint(rows_first(expr)))
            }
            (Kind::Aggregate | Kind::Window, Around::Lambda) => {
                refuse(PLAN, format!("{} {name} cannot be part of a lambda", kind.word()))
            }
            (Kind::Aggregate | Kind::Window, Around::Call(Kind::Aggregate, outer)) => {
                refuse(PLAN, format!("the aggregate {outer} cannot contain {} {name}", kind.word()))
            }
            (Kind::Window, Around::Call(Kind::Window, outer)) => {
                refuse(PLAN, format!("the window function {outer} cannot contain {} {name}", kind.word()))
            }
            _ => None,
        })
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Table => "table function",
            Self::Window => "the window function",
            Self::Aggregate => "the aggregate",
        }
    }
}

fn rows_first(call: &Expr) -> String {
    format!("Expand the rows in a subquery first: FROM (SELECT *, {} AS item FROM …) AS rows.", print::expr(call))
}

/// The names of the relations in FROM; none if one of them has no name.
fn named(from: &[TableWithJoins]) -> Option<Vec<String>> {
    let catalog = Catalog::default();
    let relations = Namer { catalog: &catalog, named: Vec::new() }.relations(from);
    relations.into_iter().map(|relation| relation.alias.map(|alias| alias.value)).collect()
}

/// Whether an expression uses only columns of relations that are not in FROM.
fn is_of_others(expr: &Expr, own: Option<&[String]>) -> bool {
    let Some(own) = own else { return false };
    let (mut others, mut is_own) = (false, false);
    each_expr(expr, &mut |part| match part {
        Expr::CompoundIdentifier(names) => match names.first().is_some_and(|name| own.contains(&name.value)) {
            true => is_own = true,
            false => others = true,
        },
        Expr::Identifier(_) => is_own = true,
        _ => {}
    });
    others && !is_own
}

fn of_the_query_around(name: &str) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("a subquery cannot refer to the aggregate {name} of the outer query"))
        .hint("Group in a subquery first: FROM (SELECT …, MAX(…) AS m FROM … GROUP BY …) AS g WHERE EXISTS (… g.m …).")
}

fn misplaced(kind: Kind, name: &str, clause: Clause, expr: &Expr) -> Diagnostic {
    let cannot = format!("{} cannot contain {} {name}", clause.name, kind.word());
    match kind {
        Kind::Table => Diagnostic::new(STREAMING, format!("table function {name} is allowed only in SELECT"))
            .hint(rows_first(expr)),
        Kind::Window => Diagnostic::new(PLAN, cannot).hint(format!(
            "Compute it in a subquery first: FROM (SELECT *, {} AS value FROM …) AS rows.",
            print::expr(expr)
        )),
        Kind::Aggregate if clause.name == "WHERE" => Diagnostic::new(PLAN, cannot).hint("Use HAVING to filter groups."),
        Kind::Aggregate => Diagnostic::new(PLAN, cannot),
    }
}

fn kind(call: &Function, state: &SessionState) -> Option<Kind> {
    let name = call.name.to_string();
    if Callee::of(&name, state).is_some_and(Callee::makes_rows) {
        return Some(Kind::Table);
    }
    match &call.over {
        Some(WindowType::WindowSpec(_) | WindowType::NamedWindow(_)) => Some(Kind::Window),
        None => is_aggregate(&name, state).then_some(Kind::Aggregate),
    }
}

/// Whether a call has OVER but its function returns one value per row.
fn is_no_window(call: &Function, state: &SessionState) -> bool {
    call.over.is_some() && Callee::of(&call.name.to_string(), state).is_some_and(Callee::is_scalar)
}

/// Whether a call has no OVER but its function can only be a window function.
fn is_bare_window(call: &Function, state: &SessionState) -> bool {
    call.over.is_none() && Callee::of(&call.name.to_string(), state) == Some(Callee::Window)
}

impl Visitor for Calls<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(call) = expr
            && is_bare_window(call, self.state)
        {
            let name = call.name.to_string().to_uppercase();
            let error = Diagnostic::new(PLAN, format!("the window function {name} needs OVER"));
            let hint = format!("{} OVER (ORDER BY …)", print::expr(expr));
            self.errors.push(error.at_maybe(place(expr.span())).hint(hint));
        }
        if let Expr::Function(call) = expr
            && is_no_window(call, self.state)
        {
            let name = call.name.to_string().to_uppercase();
            let error = Diagnostic::new(PLAN, format!("function {name} is not a window function and cannot have OVER"));
            self.errors.push(error.at_maybe(place(expr.span())));
        }
        let around = self.around(expr);
        if let Some(Around::Call(kind, name)) = &around
            && let Some(error) = self.call(*kind, name, expr)
        {
            self.errors.push(error.at_maybe(place(expr.span())));
        }
        self.within.extend(around);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries == 0 && self.around(expr).is_some() {
            self.within.pop();
        }
        ControlFlow::Continue(())
    }
}
