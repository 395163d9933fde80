//! What the expression of a function may contain: its arguments, literals and calls of functions that return one value.
//!
//! All errors are reported at once, each with its location.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use headwater_functions::UNITS;
use headwater_language::catalog::Catalog;
use headwater_language::definition::ArgumentDef;
use headwater_language::diagnostic::{Diagnostic, PLAN, UNKNOWN_COLUMN};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{each_expr, place, walk};
use sqlparser::ast::{Expr, Function, Spanned as _, Visitor};

use super::super::callee::{Callee, Caller};
use super::super::{lambdas, patterns};

/// The errors that can be found in an expression before it is planned. Places are relative to its text.
pub(super) fn check(
    name: &str,
    arguments: &[ArgumentDef],
    body: &Expr,
    catalog: &Catalog,
    state: &SessionState,
) -> Vec<Diagnostic> {
    let mut params = BTreeSet::new();
    each_expr(body, &mut |expr| {
        if let Expr::Lambda(lambda) = expr {
            params.extend(lambda.params.iter().map(|param| param.name.value.clone()));
        }
    });
    let mut checker = Checker { name, arguments, params, catalog, state, errors: Vec::new() };
    walk(body, &mut checker);
    let mut errors = checker.errors;
    let is_argument = |name: &str| arguments.iter().any(|argument| argument.name == name);
    lambdas::check(body, "an argument of the function", is_argument, &mut errors);
    errors
}

struct Checker<'a> {
    name: &'a str,
    arguments: &'a [ArgumentDef],
    /// The names of all lambda parameters.
    params: BTreeSet<String>,
    catalog: &'a Catalog,
    state: &'a SessionState,
    errors: Vec<Diagnostic>,
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let error = match expr {
            Expr::Identifier(name) => self.named(&name.value),
            Expr::CompoundIdentifier(names) => {
                let text: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                let error = Diagnostic::new(UNKNOWN_COLUMN, format!("column \"{}\" does not exist", text.join(".")));
                let known = self.has(text[0]);
                let hint = known.then(|| format!("Use {} to access a field.", text.join("->")));
                let error = error.detail("The expression of a function can use only its arguments, not columns.");
                Some(Diagnostic { hint, ..error })
            }
            query if is_subquery(query) => {
                Some(Diagnostic::new(PLAN, "a subquery is not allowed in the expression of a function"))
            }
            Expr::Function(function) => self.call(function),
            _ => None,
        };
        let span = match expr {
            Expr::Function(function) => function.name.0.first().and_then(|part| part.as_ident()).map(|name| name.span),
            other => Some(other.span()),
        };
        self.errors.extend(error.map(|error| error.at_maybe(span.and_then(place))));
        // The contents of a subquery are not checked.
        if is_subquery(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Checker<'_> {
    fn has(&self, name: &str) -> bool {
        self.arguments.iter().any(|argument| argument.name == name) || self.params.contains(name)
    }

    fn named(&self, name: &str) -> Option<Diagnostic> {
        if self.has(name) || UNITS.iter().any(|(unit, _)| *unit == name) {
            return None;
        }
        let error =
            Diagnostic::new(UNKNOWN_COLUMN, format!("\"{name}\" is not an argument of function \"{}\"", self.name));
        let names: Vec<String> = self.arguments.iter().map(|argument| format!("\"{}\"", argument.name)).collect();
        let error = error.detail(match names.is_empty() {
            true => "The function has no arguments, and its expression cannot use columns.".to_owned(),
            false => format!("Its arguments are {}; its expression cannot use columns.", names.join(", ")),
        });
        Some(error.nearest_of(name, self.arguments.iter().map(|argument| argument.name.as_str())))
    }

    fn call(&self, function: &Function) -> Option<Diagnostic> {
        let name = function.name.to_string().to_uppercase();
        let one_value = "The expression of a function must return one value for its arguments.";
        let refuse = |message: String| Some(Diagnostic::new(PLAN, message).detail(one_value));
        let callee = Callee::of(&name, self.state);
        if function.over.is_some() {
            return refuse(format!("\"{name}\" is called as a window function"));
        }
        if callee.is_some_and(Callee::makes_rows) {
            return refuse(format!("\"{name}\" is a table function"));
        }
        if name == self.name {
            return Some(Diagnostic::new(PLAN, format!("function \"{name}\" calls itself")));
        }
        match callee {
            Some(Callee::Scalar | Callee::Constructor) => patterns::check(function),
            _ if self.catalog.function(&name).is_some() => patterns::check(function),
            Some(Callee::Aggregate) => refuse(format!("\"{name}\" is an aggregate")),
            Some(Callee::Bounded) => {
                let message = format!("function \"{name}\" is available only in bounded queries");
                let detail = "Functions created by CREATE FUNCTION can also be called in continuous queries.";
                Some(Diagnostic::new(PLAN, message).detail(detail))
            }
            _ => Some(Caller::Function(self.catalog).unknown(&name)),
        }
    }
}
