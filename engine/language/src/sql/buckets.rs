//! Tumbling windows as plain SQL, for bounded queries, which have no WINDOW.

use sqlparser::ast::{GroupByExpr, SetExpr};

use super::ast::Query;
use super::parse_expr;

/// The same query without WINDOW, which also groups by time buckets of `size_ms`: it returns a row for each group and window
/// with records. A query without GROUP BY only loses its WINDOW.
pub fn in_buckets(query: &Query, size_ms: i64) -> Query {
    let mut bucketed = Query { window: None, ..query.clone() };
    if let SetExpr::Select(select) = bucketed.body.body.as_mut()
        && let GroupByExpr::Expressions(groups, _) = &mut select.group_by
        && let Ok(bucket) = parse_expr(&format!("FLOOR(ROWTIME / {size_ms}e0)"))
    {
        groups.push(bucket);
    }
    bucketed
}
