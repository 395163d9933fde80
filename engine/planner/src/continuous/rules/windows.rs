//! WINDOW, EMIT FINAL and the bounds of windows.

use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use sqlparser::ast::Expr;

use super::Stateful;
use crate::continuous::scope::span_of;
use headwater_language::diagnostic::{Diagnostic, STREAMING};
use headwater_language::sql::{ast, each_own_expr};

/// The columns that a windowed aggregation has by itself.
pub const BOUNDS: [&str; 2] = [WINDOWSTART, WINDOWEND];

impl Stateful<'_> {
    /// WINDOW belongs to GROUP BY over a stream, EMIT FINAL to WINDOW, and the bounds to SELECT.
    pub(super) fn windows(&self, errors: &mut Vec<Diagnostic>) {
        let is_final = self.query.emit.as_ref().filter(|emit| emit.value == ast::Emit::Final);
        if let (Some(emit), None) = (is_final, &self.query.window) {
            let message = "EMIT FINAL is only for windowed aggregations";
            errors.push(Diagnostic::new(STREAMING, message).at(emit.span).hint("Say EMIT CHANGES."));
        }
        let Some(window) = &self.query.window else { return };
        if self.groups.is_empty() {
            let message = "WINDOW needs a GROUP BY: it is groups that have windows";
            errors.push(Diagnostic::new(STREAMING, message).at(window.span));
        }
        if self.scope.members.len() == 1 && self.is_table(0) {
            let message = format!("WINDOW is for streams, {} is a table", self.scope.listed());
            errors.push(Diagnostic::new(STREAMING, message).at(window.span));
        }
        if self.scope.members.len() == 1 {
            self.bounds(errors);
        }
    }

    fn bounds(&self, errors: &mut Vec<Diagnostic>) {
        for group in &self.groups {
            self.no_bounds("GROUP BY", group, errors);
        }
        self.select.selection.iter().for_each(|filter| self.no_bounds("WHERE", filter, errors));
        self.select.having.iter().for_each(|having| self.no_bounds("HAVING", having, errors));
        for item in &self.items {
            for aggregate in self.aggregates_in(&item.expr) {
                self.no_bounds("an aggregate", &aggregate, errors);
            }
        }
    }

    fn no_bounds(&self, place: &str, expr: &Expr, errors: &mut Vec<Diagnostic>) {
        each_own_expr(expr, &mut |expr: &Expr| {
            let name = match expr {
                Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
                expr => self.identifier(expr),
            };
            let Some(name) = name.filter(|name| BOUNDS.contains(name)) else { return };
            let message = format!("window bound \"{name}\" cannot be part of {place}");
            let detail = "It is only there in the SELECT list of a windowed aggregation.";
            errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, self.span())).detail(detail));
        });
    }
}
