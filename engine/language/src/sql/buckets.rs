//! Tumbling windows as plain SQL, for bounded queries, which have no WINDOW.

use sqlparser::ast::{GroupByExpr, SetExpr};

use super::ast::Query;
use super::parse_expr;

/// The same query without WINDOW, which also groups by time buckets of `size_ms`: it returns a row for each group and window
/// with records. A query without GROUP BY only loses its WINDOW.
///
/// ```
/// use headwater_language::sql::ast::StatementKind;
/// use headwater_language::sql::{in_buckets, parse};
///
/// let text = "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;";
/// let StatementKind::Query(query) = &parse(text).statements[0].kind else { panic!("it is a query") };
/// let bounded = in_buckets(query, 10_000).to_string();
/// assert!(bounded.ends_with("GROUP BY K, FLOOR(ROWTIME / 10000e0)"), "{bounded}");
/// ```
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
