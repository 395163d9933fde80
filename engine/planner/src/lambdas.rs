//! The names of lambda parameters: they must differ from the columns that the query reads and from the parameters of
//! enclosing lambdas, so that a name in a lambda has only one meaning. Semantics: ksqlDB's.

use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{Diagnostic, RESERVED_NAME};
use headwater_language::sql::{Tree, place, walk};
use sqlparser::ast::{Expr, Query, Select, Visitor};

use super::continuous::Scope;

/// Reports the lambda parameters in an expression whose names are not allowed. `columns` describes what they could be
/// confused with, such as "a column"; `is_column` recognizes its names.
pub fn check(expr: &impl Tree, columns: &str, is_column: impl Fn(&str) -> bool, errors: &mut Vec<Diagnostic>) {
    let mut params = Params { columns, is_column, around: Vec::new(), queries: 0, errors };
    walk(expr, &mut params);
}

/// The same for every SELECT of a bounded query that reads only sources.
pub fn check_bounded(query: &Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut selects = Selects { catalog, errors: Vec::new() };
    walk(query, &mut selects);
    selects.errors
}

struct Params<'a, F> {
    columns: &'a str,
    is_column: F,
    /// The parameters of the enclosing lambdas.
    around: Vec<Vec<String>>,
    /// The number of enclosing subqueries, whose contents are checked separately.
    queries: usize,
    errors: &'a mut Vec<Diagnostic>,
}

impl<F: Fn(&str) -> bool> Visitor for Params<'_, F> {
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
        let Expr::Lambda(lambda) = expr else { return ControlFlow::Continue(()) };
        let mut own: Vec<String> = Vec::new();
        for param in lambda.params.iter().filter(|_| self.queries == 0) {
            let name = &param.name.value;
            let taken = match () {
                () if (self.is_column)(name) => Some(format!("the same name as {}", self.columns)),
                () if own.contains(name) => Some("the same name as another parameter".to_owned()),
                () if self.around.iter().flatten().any(|outer| outer == name) => {
                    Some("the same name as a parameter of an enclosing lambda".to_owned())
                }
                () => None,
            };
            let tell = |taken| format!("lambda parameter \"{name}\" has {taken}");
            if let Some(message) = taken.map(tell) {
                let error = Diagnostic::new(RESERVED_NAME, message).at_maybe(place(param.name.span));
                self.errors.push(error.hint("Choose another name."));
            }
            own.push(name.clone());
        }
        self.around.push(own);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Lambda(_) = expr {
            self.around.pop();
        }
        ControlFlow::Continue(())
    }
}

struct Selects<'a> {
    catalog: &'a Catalog,
    errors: Vec<Diagnostic>,
}

impl Visitor for Selects<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let Some(scope) = Scope::read(select, self.catalog) {
            let is_column = |name: &str| scope.has(name);
            check(&select.projection, "a column", is_column, &mut self.errors);
            check(&select.selection, "a column", is_column, &mut self.errors);
            check(&select.having, "a column", is_column, &mut self.errors);
        }
        ControlFlow::Continue(())
    }
}
