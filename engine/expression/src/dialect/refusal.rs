//! Errors about expressions, placed at the columns that the expressions name.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use headwater_language::diagnostic::{Diagnostic, PLAN, Span};

use crate::errors::place;

/// An error with the location of some expressions. It passes through DataFusion unchanged.
pub(super) fn refuse<'a>(message: impl Into<String>, about: impl IntoIterator<Item = &'a Expr>) -> DataFusionError {
    refusal(Diagnostic::new(PLAN, message), about)
}

/// The same for a diagnostic that already has details.
pub(super) fn refusal<'a>(diagnostic: Diagnostic, about: impl IntoIterator<Item = &'a Expr>) -> DataFusionError {
    let span =
        about.into_iter().filter_map(span).reduce(|a, b| Span { start: a.start.min(b.start), end: a.end.max(b.end) });
    DataFusionError::External(Box::new(diagnostic.at_maybe(span)))
}

/// The location from the first to the last column of an expression; literals have no location.
fn span(expr: &Expr) -> Option<Span> {
    let mut whole: Option<Span> = None;
    // The visit itself cannot fail.
    let _ = expr.apply(|node| {
        let own = match node {
            Expr::Column(column) => column.spans().first().and_then(place),
            _ => None,
        };
        whole = match (whole, own) {
            (Some(a), Some(b)) => Some(Span { start: a.start.min(b.start), end: a.end.max(b.end) }),
            (a, b) => a.or(b),
        };
        Ok(TreeNodeRecursion::Continue)
    });
    whole
}
