//! Adds the bounds of windows to the columns of a query.

use sqlparser::ast::{Expr, Ident, SelectItem, SetExpr};

use super::ast::Query;

/// The same query with WINDOWSTART and WINDOWEND as its last columns, to be compared with what a continuous query has written.
///
/// ```
/// use headwater_language::sql::ast::StatementKind;
/// use headwater_language::sql::{parse, with_bounds};
///
/// let text = "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;";
/// let StatementKind::Query(query) = &parse(text).statements[0].kind else { panic!("it is a query") };
/// let with_bounds = with_bounds(query).to_string();
/// assert!(with_bounds.starts_with("SELECT K, COUNT(*) AS N, WINDOWSTART, WINDOWEND FROM S"), "{with_bounds}");
/// ```
pub fn with_bounds(query: &Query) -> Query {
    let mut query = query.clone();
    if let SetExpr::Select(select) = query.body.body.as_mut() {
        let bounds =
            ["WINDOWSTART", "WINDOWEND"].map(|name| SelectItem::UnnamedExpr(Expr::Identifier(Ident::new(name))));
        select.projection.extend(bounds);
    }
    query
}
