//! Refusals with their place: what is wrong with an expression, under the columns it names.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use headwater_language::diagnostic::{Diagnostic, PLAN, Span};

use crate::errors::place;

/// A refusal of a plan; it comes out of DataFusion as it went in.
pub(super) fn refuse<'a>(message: impl Into<String>, about: impl IntoIterator<Item = &'a Expr>) -> DataFusionError {
    refusal(Diagnostic::new(PLAN, message), about)
}

/// The same with what else is to be said.
pub(super) fn refusal<'a>(diagnostic: Diagnostic, about: impl IntoIterator<Item = &'a Expr>) -> DataFusionError {
    let span =
        about.into_iter().filter_map(span).reduce(|a, b| Span { start: a.start.min(b.start), end: a.end.max(b.end) });
    DataFusionError::External(Box::new(diagnostic.at_maybe(span)))
}

/// From the first to the last column that an expression names; literals have no place.
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
