//! Column names, in every clause.

use headwater_language::diagnostic::Diagnostic;
use sqlparser::ast::{Expr, SelectItem};

use crate::continuous::joins;
use crate::continuous::key::{self, Key};
use crate::continuous::query::Streaming;
use crate::continuous::window::BOUNDS;

/// Every name belongs to exactly one column. Join conditions are checked with their joins.
pub fn of_columns(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let (scope, made) = (&query.scope, key::made_name(&query.scope));
    let bounds: &[&str] = if has_bounds(query) { &BOUNDS } else { &[] };
    let selected: Vec<&str> = bounds.iter().copied().chain(may_make_key(query).then_some(made.as_str())).collect();
    for item in &query.select.projection {
        if let SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) = item {
            scope.check("SELECT", expr, &selected, errors);
        }
    }
    let mut check = |clause: &str, expr: &Expr| scope.check(clause, expr, bounds, errors);
    query.select.selection.iter().for_each(|filter| check("WHERE", filter));
    query.groups.iter().for_each(|group| check("GROUP BY", group));
    query.select.having.iter().for_each(|having| check("HAVING", having));
    let listed = query.query.partition_by.iter().flat_map(|list| &list.value);
    listed.for_each(|expr| scope.check("PARTITION BY, which is evaluated on the input rows", expr, &selected, errors));
}

/// Whether the key may be one that no column contains, as far as the joins can be read.
fn may_make_key(query: &Streaming<'_>) -> bool {
    query.is_joined() && (!joins::are_readable(query) || Key::of_join(query).made.is_some())
}

/// Whether window bounds are valid names: only over one source. [`super::windows::bounds`] checks where they may be
/// used.
fn has_bounds(query: &Streaming<'_>) -> bool {
    let grouped = query.has_aggregates() || !query.groups.is_empty();
    grouped && query.query.window.is_some() && query.only_source().is_some()
}
