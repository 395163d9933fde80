//! Table functions in SELECT: their results become columns of a step before the projection.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use headwater_expression::Compiler;
use headwater_functions::{is_table_call, rows_of};
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::{place, print, walk_mut};
use headwater_language::topology::Exploded;
use sqlparser::ast::{Expr, VisitorMut};

use crate::continuous::query::Item;
use crate::continuous::scope::ident;

/// Takes the table functions out of the items, each replaced by the name of its column. Gives those columns, and the
/// schema with them; everything that is wrong with them is added to `errors`.
pub fn extract(
    items: &mut [Item],
    compiler: &Compiler<'_>,
    whole: Span,
    errors: &mut Vec<Diagnostic>,
) -> (Vec<Exploded>, SchemaRef) {
    let mut finder = Finder { found: Vec::new(), within: Vec::new(), whole, errors };
    for item in items {
        walk_mut(&mut item.expr, &mut finder);
    }
    let found = finder.found;
    if !errors.is_empty() {
        return (Vec::new(), compiler.schema().clone());
    }
    let mut fields: Vec<Arc<Field>> = compiler.schema().fields().iter().cloned().collect();
    let mut columns = Vec::new();
    for (at, (call, span)) in found.into_iter().enumerate() {
        let text = print::expr(&call);
        match compiler.compile(&rows_of(call), &text, Some(span)) {
            Ok((array, _)) => {
                let item = match array.data_type() {
                    DataType::List(item) => item.data_type().clone(),
                    other => other.clone(),
                };
                fields.push(Arc::new(Field::new(name(at), item, true)));
                columns.push(Exploded { name: name(at), expr: text });
            }
            Err(wrong) => errors.extend(wrong),
        }
    }
    (columns, Arc::new(Schema::new(fields)))
}

fn name(at: usize) -> String {
    format!("KSQL_SYNTH_{at}")
}

struct Finder<'a> {
    found: Vec<(Expr, Span)>,
    /// What is open that no table function may be in.
    within: Vec<&'static str>,
    whole: Span,
    errors: &'a mut Vec<Diagnostic>,
}

fn closed(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Case { .. } => Some("CASE"),
        Expr::Lambda(_) => Some("a lambda"),
        call if is_table_call(call) => Some("another"),
        _ => None,
    }
}

impl VisitorMut for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let (true, Some(within), Expr::Function(function)) = (is_table_call(expr), self.within.last(), &*expr) {
            let message =
                format!("table function {} cannot be part of {within}", function.name.to_string().to_uppercase());
            let span = sqlparser::ast::Spanned::span(&*expr);
            self.errors.push(Diagnostic::new(STREAMING, message).at(place(span).unwrap_or(self.whole)));
        }
        self.within.extend(closed(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if closed(expr).is_some() {
            self.within.pop();
        }
        if is_table_call(expr) {
            let span = place(sqlparser::ast::Spanned::span(&*expr)).unwrap_or(self.whole);
            let column = Expr::Identifier(ident(&name(self.found.len())));
            self.found.push((std::mem::replace(expr, column), span));
        }
        ControlFlow::Continue(())
    }
}
