//! GROUP BY () and HAVING without GROUP BY: all rows are one group, which exists even if there are no rows.
//!
//! DataFusion reads `()` as a row, and makes one group of all rows only if an aggregate is called. So `()` is removed,
//! and a condition that counts the rows and is always true is added. Semantics: the SQL standard's.

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED};
use headwater_language::sql::{call, each_own_expr, place, walk_mut};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select,
    SelectItem, Spanned as _, Value, VisitorMut,
};

use super::callee::{Callee, is_aggregate};

/// Rewrites every SELECT with a single group so that it calls an aggregate.
pub(super) fn settle(query: &mut Query, state: &SessionState) {
    walk_mut(query, &mut OneGroup { state });
}

struct OneGroup<'a> {
    state: &'a SessionState,
}

impl VisitorMut for OneGroup<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return ControlFlow::Continue(()) };
        let written = groups.len();
        groups.retain(|group| !matches!(group, Expr::Tuple(values) if values.is_empty()));
        let is_one = groups.is_empty() && (written > 0 || select.having.is_some());
        if is_one && !self.calls_aggregates(select) {
            let counted = any_count();
            select.having = Some(match select.having.take() {
                Some(having) => and(Expr::Nested(Box::new(having)), counted),
                None => counted,
            });
        }
        ControlFlow::Continue(())
    }
}

impl OneGroup<'_> {
    fn calls_aggregates(&self, select: &Select) -> bool {
        let listed = select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.calls_one(expr),
            _ => false,
        });
        listed || select.having.as_ref().is_some_and(|having| self.calls_one(having))
    }

    fn calls_one(&self, expr: &Expr) -> bool {
        let mut found = false;
        each_own_expr(expr, &mut |part| {
            if let Expr::Function(Function { name, over: None, .. }) = part {
                found |= is_aggregate(&name.to_string(), self.state);
            }
        });
        found
    }
}

/// `COUNT(*) >= 0`
fn any_count() -> Expr {
    let mut count = call("COUNT", Vec::new());
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut count {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    let zero = Expr::value(Value::Number("0".to_owned(), false));
    Expr::BinaryOp { left: Box::new(count), op: BinaryOperator::GtEq, right: Box::new(zero) }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

/// The errors for GROUPING SETS, ROLLUP or CUBE nested inside one of these.
pub(super) fn nested(expr: &Expr, state: &SessionState) -> Vec<Diagnostic> {
    let (around, sets) = match expr {
        Expr::GroupingSets(sets) => ("GROUPING SETS", sets),
        Expr::Rollup(sets) => ("ROLLUP", sets),
        Expr::Cube(sets) => ("CUBE", sets),
        _ => return Vec::new(),
    };
    let refuse = |inner: &Expr| {
        let Expr::Function(Function { name, .. }) = inner else { return None };
        let name = name.to_string().to_uppercase();
        let error = Diagnostic::new(NOT_SUPPORTED, format!("{name} is not supported inside {around}"));
        let hint = "List the sets explicitly: GROUPING SETS ((a, b), (a), ()).";
        (Callee::of(&name, state) == Some(Callee::Grouping)).then(|| error.at_maybe(place(inner.span())).hint(hint))
    };
    sets.iter().flatten().filter_map(refuse).collect()
}
