//! Finds the location of an error in the statement, and rewords what is still in DataFusion's wording.
//!
//! Some errors of DataFusion name the function, literal or field that is wrong but not where it is. It is looked up in
//! the query here, so that the carets mark it and not the whole query. Arrow's type names are replaced with the
//! dialect's.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use headwater_language::diagnostic::{AMBIGUOUS_COLUMN, DUPLICATE_COLUMN, Diagnostic, PLAN, Span, UNKNOWN_COLUMN};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{Tree, ast, place, walk};
use sqlparser::ast::{Expr, Query, Spanned as _, TableFactor, UnaryOperator, Value, ValueWithSpan, Visitor};

use super::diagnose::{Draft, read};
use super::{clause, wording};

/// Converts an error of optimizing a query. All names were resolved by then, so a missing column was lost when a
/// subquery became a join.
pub fn diagnose_optimized(error: &DataFusionError, query: &ast::Query) -> Vec<Diagnostic> {
    let lost = |diagnostic: Diagnostic| {
        let is_name = matches!(diagnostic.code, UNKNOWN_COLUMN | AMBIGUOUS_COLUMN | DUPLICATE_COLUMN);
        if !is_name && diagnostic.message != wording::unplanned().message {
            return diagnostic;
        }
        let unplanned = clause::unplanned(&query.body);
        Diagnostic { span: unplanned.span.or(Some(query.span)), ..unplanned }
    };
    diagnose(error, query).into_iter().map(lost).collect()
}

/// Converts an error of planning a query, with the most precise location that is known.
pub fn diagnose(error: &DataFusionError, query: &ast::Query) -> Vec<Diagnostic> {
    let drafts = read(error, Some(query.span));
    let reword = |draft: Draft| {
        let diagnostic = narrow(draft.diagnostic, query);
        let reworded = clause::reword(&diagnostic, &query.body);
        reworded.unwrap_or_else(|| Draft { diagnostic, ..draft }.settled())
    };
    let mut all: Vec<Diagnostic> = Vec::new();
    for found in drafts.into_iter().map(reword) {
        // Four columns over the same invalid window would each report it.
        if !all.contains(&found) {
            all.push(found);
        }
    }
    all
}

fn narrow(diagnostic: Diagnostic, query: &ast::Query) -> Diagnostic {
    if wording::is_correlated(&diagnostic) && diagnostic.span != Some(query.span) {
        return to_subquery(diagnostic, query.body.as_ref());
    }
    if let Some(place) = wording::too_far_column(&diagnostic).and_then(|column| innermost(&query.body, column)) {
        return diagnostic.at(place);
    }
    if diagnostic.span != Some(query.span) {
        return widen(diagnostic, query.body.as_ref());
    }
    let named = quoted_pieces(&diagnostic.message).into_iter().find_map(|piece| locate(&query.body, piece));
    Diagnostic { span: named.or(diagnostic.span), ..diagnostic }
}

/// A diagnostic about an expression, with the most precise location that is known.
pub fn in_expression(diagnostic: Diagnostic, expr: &Expr) -> Diagnostic {
    if diagnostic.span.is_some() {
        return widen(diagnostic, expr);
    }
    let span = quoted_pieces(&diagnostic.message).into_iter().find_map(|piece| locate(expr, piece));
    Diagnostic { span, ..diagnostic }
}

/// Moves the error about a correlated subquery from the columns that refer to the outer query to the whole subquery.
fn to_subquery(diagnostic: Diagnostic, query: &Query) -> Diagnostic {
    let Some(span) = diagnostic.span else { return diagnostic };
    let mut around = Subqueries { span, found: None };
    walk(query, &mut around);
    Diagnostic { span: around.found.or(diagnostic.span), ..diagnostic }
}

/// Finds the innermost subquery around a location, whether in an expression or LATERAL.
struct Subqueries {
    span: Span,
    found: Option<Span>,
}

impl Subqueries {
    fn see(&mut self, whole: Option<Span>) {
        self.found = whole.filter(|whole| whole.start <= self.span.start && whole.end >= self.span.end).or(self.found);
    }
}

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if is_subquery(expr) {
            self.see(place(expr.span()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: true, subquery, .. } = factor {
            self.see(place(subquery.span()));
        }
        ControlFlow::Continue(())
    }
}

/// The location of a column in the innermost subquery that names it, if there is only one.
fn innermost(query: &Query, column: &str) -> Option<Span> {
    let mut named = Named { column, depth: 0, found: Vec::new() };
    walk(query, &mut named);
    let depth = named.found.iter().map(|(depth, _)| *depth).max()?;
    let mut places = named.found.iter().filter(|(found, _)| *found == depth).map(|(_, place)| *place);
    places.next().filter(|_| places.next().is_none())
}

/// Finds the locations where a column is named, with the depth of the query around each.
struct Named<'a> {
    column: &'a str,
    depth: usize,
    found: Vec<(usize, Span)>,
}

impl Visitor for Named<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => name.value.clone(),
            Expr::CompoundIdentifier(names) => {
                names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
            }
            _ => return ControlFlow::Continue(()),
        };
        let is_meant = name == self.column || self.column.rsplit('.').next() == Some(&name);
        self.found.extend(place(expr.span()).filter(|_| is_meant).map(|place| (self.depth, place)));
        ControlFlow::Continue(())
    }
}

/// Widens the location of an operator's error from its operands to the whole operator.
pub fn widen(diagnostic: Diagnostic, tree: &impl Tree) -> Diagnostic {
    let Some(span) = diagnostic.span.filter(|_| diagnostic.code == PLAN) else { return diagnostic };
    let mut around = Around { span, found: None };
    walk(tree, &mut around);
    Diagnostic { span: around.found.or(diagnostic.span), ..diagnostic }
}

/// Finds the smallest operator around a location.
struct Around {
    span: Span,
    found: Option<Span>,
}

impl Visitor for Around {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let operator = matches!(
            expr,
            Expr::BinaryOp { .. }
                | Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::Minus, .. }
                | Expr::Between { .. }
                | Expr::InList { .. }
                | Expr::Like { .. }
                | Expr::Case { .. }
                | Expr::Cast { .. }
                | Expr::Array(_)
                | Expr::IsDistinctFrom(..)
                | Expr::IsNotDistinctFrom(..)
                | Expr::AnyOp { .. }
                | Expr::AllOp { .. }
        );
        let whole = place(expr.span()).filter(|whole| whole.start <= self.span.start && whole.end >= self.span.end);
        let smaller = |whole: &Span| self.found.is_none_or(|found| whole.end - whole.start <= found.end - found.start);
        if let Some(whole) = whole.filter(|whole| operator && smaller(whole)) {
            self.found = Some(whole);
        }
        ControlFlow::Continue(())
    }
}

/// The parts of a message in single or double quotes.
fn quoted_pieces(message: &str) -> Vec<&str> {
    let between = |quote: char| message.split(quote).skip(1).step_by(2);
    between('\'').chain(between('"')).collect()
}

/// The location of the first literal with this text, or of the first call of a function with this name.
fn locate(tree: &impl Tree, piece: &str) -> Option<Span> {
    let mut finder = Finder { piece, found: None };
    walk(tree, &mut finder);
    finder.found
}

struct Finder<'a> {
    piece: &'a str,
    found: Option<Span>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let place = match expr {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) if text == self.piece => *span,
            Expr::Function(call) => match call.name.0.first().and_then(|part| part.as_ident()) {
                Some(name) if name.value.eq_ignore_ascii_case(self.piece) => name.span,
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        self.found = headwater_language::sql::place(place);
        if self.found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
