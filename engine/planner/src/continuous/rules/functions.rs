//! Function calls and subqueries, in every clause.

use std::ops::ControlFlow;

use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{place, walk};
use sqlparser::ast::{Expr, Function, Visitor};

use crate::callee::{Callee, Caller};
use crate::continuous::query::Streaming;
use crate::continuous::scope::span_of;
use crate::patterns;

/// Every function exists and is in an allowed place, and there are no subqueries.
pub fn called(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let mut checker = Checker { query, in_select: true, errors };
    walk(&query.select.projection, &mut checker);
    checker.in_select = false;
    walk(&query.select.selection, &mut checker);
    walk(&query.groups, &mut checker);
    walk(&query.select.having, &mut checker);
    query.query.partition_by.iter().flat_map(|list| &list.value).for_each(|expr| {
        walk(expr, &mut checker);
    });
}

struct Checker<'a> {
    query: &'a Streaming<'a>,
    in_select: bool,
    errors: &'a mut Vec<Diagnostic>,
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let span = span_of(expr, self.query.span());
        match expr {
            subquery if is_subquery(subquery) => {
                let message = "subqueries are not allowed in continuous queries";
                self.errors.push(Diagnostic::new(STREAMING, message).at(span));
            }
            Expr::Function(call) => {
                self.errors.extend(patterns::check(call));
                self.function(call, span);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Checker<'_> {
    fn function(&mut self, call: &Function, span: Span) {
        let name = call.name.to_string().to_uppercase();
        match Callee::of(&name, self.query.state) {
            // Window functions are not supported yet, whatever function they call.
            _ if call.over.is_some() => {}
            Some(callee) if !self.in_select && callee.makes_rows() => {
                let message = format!("table function {name} is allowed only in SELECT");
                self.errors.push(Diagnostic::new(STREAMING, message).at(span));
            }
            Some(callee) if callee.is_continuous() => {}
            _ => self.errors.push(Caller::Continuous(self.query.state).unknown(&name).at(self.place(call, span))),
        }
    }

    /// The location of a call is its name; for calls that group or join it extends over the arguments.
    fn place(&self, call: &Function, span: Span) -> Span {
        let name = call.name.0.first().and_then(|part| part.as_ident()).and_then(|name| place(name.span));
        name.filter(|_| !self.query.is_grouped() && !self.query.is_joined()).unwrap_or(span)
    }
}
