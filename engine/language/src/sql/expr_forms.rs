//! How the dialect's expressions are represented in sqlparser's tree. Read this page before matching on it.
//!
//! | written | node |
//! |---|---|
//! | `a`, `` `a` ``, `s.a` | `Identifier`, `CompoundIdentifier`; the value is folded, `quote_style` says whether it was quoted |
//! | `a->b`, `s.a->b->c` | `CompoundFieldAccess { root: a or s.a, access_chain: [Dot(Value('B')), …] }`: the field is a string value, so DataFusion plans it as a field access |
//! | `a->*` | the same with a last link `Dot(Wildcard)`; only as a whole item of a SELECT list, see [`struct_star`] |
//! | `a[1]`, `m['k']`, `a[1]->b` | `CompoundFieldAccess` with a link `Subscript(Index)`, mixed with the above in order; the index is as written, from 1 |
//! | `ARRAY[x, y]` | `Array`, `named: true` |
//! | `MAP(k := v, …)` | `Function` MAP with arguments `ExprNamed { name: k, operator: Assignment, arg: v }` |
//! | `STRUCT(f := v, …)` | `Function` STRUCT with arguments `Named { name: f, operator: Assignment, arg: v }` |
//! | `x => e`, `(k, v) => e` | `Lambda`, as DataFusion's higher-order functions take it |
//! | `CAST(x AS t)` | `Cast`; [`cast_type`] gives the type of the dialect, or none for one that only bounded queries know |
//! | `DECIMAL '1.5'`, `DATE '…'` | `TypedString` |
//! | `DATEADD(DAYS, 5, d)` | `Function`; the unit is an `Identifier` |
//! | `SUBSTRING(s, 1, 2)`, `TRIM(s)`, `CEIL(x)` | `Function`; with the keywords of standard SQL (`SUBSTRING(s FROM 1)`) they keep sqlparser's own nodes |
//! | `-9223372036854775808` | `Value` with that very number; other negative numbers are `UnaryOp` |
//! | `UNNEST(a)` in FROM | `TableFactor::UNNEST`; any other function in FROM is `TableFactor::Table` with `args` |
//!
//! Function names are folded and have no `quote_style`; DataFusion converts them to lower case for look-ups.

use sqlparser::ast::{AccessExpr, DataType, Expr, SelectItem};

use super::data_type;
use crate::types::SqlType;

/// The field access in an item `a->*` of a SELECT list; its last link is the star.
pub fn struct_star(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr @ Expr::CompoundFieldAccess { access_chain, .. }) => {
            matches!(access_chain.last(), Some(AccessExpr::Dot(Expr::Wildcard(_)))).then_some(expr)
        }
        _ => None,
    }
}

/// True for MAP and STRUCT, in any case: constructors that are written as calls.
pub fn is_constructor(name: &str) -> bool {
    ["MAP", "STRUCT"].iter().any(|constructor| constructor.eq_ignore_ascii_case(name))
}

/// True if the expression is a query or a comparison with one.
pub fn is_subquery(expr: &Expr) -> bool {
    use Expr::{AllOp, AnyOp, Exists, InSubquery, Subquery};
    matches!(expr, Subquery(_) | Exists { .. } | InSubquery { .. } | AnyOp { .. } | AllOp { .. })
}

/// The type of a CAST; none for one that the dialect does not have, such as SMALLINT.
pub fn cast_type(ty: &DataType) -> Option<SqlType> {
    data_type::from_ast(ty)
}

/// The type in the form in which a CAST contains it.
pub fn cast_ast(ty: &SqlType) -> DataType {
    data_type::to_ast(ty)
}
