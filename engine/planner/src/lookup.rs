//! Recognizes queries that look one key of a table up: `SELECT n, total FROM t WHERE k = 5`. They need none of DataFusion's
//! planning, which takes longer than the look-up. Every other query, and every wrong one, is left to `bounded`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use headwater_formats::decode::{ColumnOrigin, TopicSpec};
use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::sql::ast;
use sqlparser::ast::{
    BinaryOperator, Expr, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, TableFactor, UnaryOperator,
    Value, ValueWithSpan, WildcardAdditionalOptions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// A query that looks one key up.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The persistent query that computes the table.
    pub query: Arc<QueryDef>,
    /// The records of the table and their columns.
    pub spec: Arc<TopicSpec>,
    /// The columns returned, as indices into [`TopicSpec::all_columns`].
    pub projection: Vec<usize>,
    /// The schema of these columns.
    pub schema: SchemaRef,
    /// The name and the value of each column in the predicate, none of them null.
    pub key: Vec<(String, ScalarValue)>,
}

/// `SELECT x FROM t WHERE k`, of which a look-up differs only in its columns, its table and its predicate.
static SHAPE: LazyLock<Option<Query>> = LazyLock::new(|| {
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql("SELECT x FROM t WHERE k").ok()?;
    parser.parse_query().ok().map(|query| *query)
});

impl Lookup {
    /// The look-up that a query is; `None` if it is another one, or a table without windows is not what it reads.
    pub fn of(query: &ast::Query, catalog: &Catalog) -> Option<Self> {
        let (select, ObjectName(parts)) = plain(query)?;
        let [ObjectNamePart::Identifier(name)] = parts.as_slice() else { return None };
        let (source, behind) = (catalog.source(&name.value)?, catalog.query_behind(&name.value)?);
        if source.window.is_some() {
            return None;
        }
        let spec = source.topic_spec().ok()?;
        let columns = spec.all_columns();
        let position = |expr: &Expr| {
            let Expr::Identifier(ident) = expr else { return None };
            columns.iter().position(|column| *column.field.name() == ident.value)
        };
        let projection = projected(&select.projection, spec.columns.len(), position)?;
        let mut key = Vec::new();
        values(select.selection.as_ref()?, &mut |column, literal| {
            let column = &columns[position(column)?];
            let is_new = key.iter().all(|(name, _)| name != column.field.name());
            let value = value(literal, column.field.data_type())?;
            key.push((column.field.name().clone(), value));
            (is_new && matches!(column.origin, ColumnOrigin::Key(_))).then_some(())
        })?;
        let schema = Arc::new(spec.schema().project(&projection).ok()?);
        Some(Self { query: behind.clone(), spec: Arc::new(spec), projection, schema, key })
    }
}

/// The SELECT and the table of a query that has nothing but columns, one table and a predicate.
fn plain(query: &ast::Query) -> Option<(&Select, &ObjectName)> {
    let has_streams = query.window.is_some() || query.partition_by.is_some() || !query.within.is_empty();
    let SetExpr::Select(select) = query.body.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &from.relation else { return None };
    let mut shape = SHAPE.clone()?;
    let SetExpr::Select(bare) = shape.body.as_mut() else { return None };
    bare.projection.clone_from(&select.projection);
    bare.selection.clone_from(&select.selection);
    match &mut bare.from[0].relation {
        TableFactor::Table { name: bare, .. } => bare.clone_from(name),
        _ => return None,
    }
    (!has_streams && query.is_bounded() && shape == *query.body).then_some((select.as_ref(), name))
}

/// The columns of a SELECT; `None` if one is an expression or comes twice.
fn projected(items: &[SelectItem], declared: usize, position: impl Fn(&Expr) -> Option<usize>) -> Option<Vec<usize>> {
    let mut projection = Vec::new();
    for item in items {
        match item {
            SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default() => {
                projection.extend(0..declared);
            }
            SelectItem::UnnamedExpr(expr) => projection.push(position(expr)?),
            _ => return None,
        }
    }
    let is_new = |(at, column): (usize, &usize)| !projection[..at].contains(column);
    projection.iter().enumerate().all(is_new).then_some(projection)
}

/// Calls `add` with the column and the literal of each equation of a predicate; `None` if it is something else.
fn values<'e>(predicate: &'e Expr, add: &mut impl FnMut(&'e Expr, &'e Expr) -> Option<()>) -> Option<()> {
    match predicate {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            values(left, add)?;
            values(right, add)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match left.as_ref() {
            Expr::Identifier(_) => add(left, right),
            _ => add(right, left),
        },
        _ => None,
    }
}

/// The value of a literal as this type; `None` if that needs a conversion.
fn value(literal: &Expr, data_type: &DataType) -> Option<ScalarValue> {
    let (literal, sign) = match literal {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (expr.as_ref(), "-"),
        literal => (literal, ""),
    };
    match (literal, data_type) {
        (Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }), DataType::Int32) => {
            format!("{sign}{digits}").parse().ok().map(|number| ScalarValue::Int32(Some(number)))
        }
        (Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }), DataType::Int64) => {
            format!("{sign}{digits}").parse().ok().map(|number| ScalarValue::Int64(Some(number)))
        }
        (Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }), DataType::Utf8) => {
            sign.is_empty().then(|| ScalarValue::Utf8(Some(text.clone())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use headwater_language::sql;

    use super::*;

    fn shape_of(text: &str) -> Option<String> {
        let parsed = sql::parse(text);
        assert!(parsed.errors.is_empty(), "{text}: {:?}", parsed.errors);
        let ast::StatementKind::Query(query) = &parsed.statements[0].kind else { panic!("{text} is no query") };
        let (select, _) = plain(query)?;
        let mut found = Vec::new();
        values(select.selection.as_ref()?, &mut |column, literal| {
            found.push(format!("{column}={:?}", value(literal, &DataType::Int64)?));
            Some(())
        })?;
        Some(found.join(" "))
    }

    #[test]
    fn a_key_with_a_literal_is_a_lookup() {
        assert_eq!(shape_of("SELECT * FROM t WHERE k = 5;").as_deref(), Some("K=Int64(5)"));
        assert_eq!(shape_of("SELECT n, k FROM t WHERE 5 = k AND j = -7").as_deref(), Some("K=Int64(5) J=Int64(-7)"));
    }

    #[test]
    fn every_other_query_is_none() {
        for query in [
            "SELECT * FROM t",
            "SELECT * FROM t AS u WHERE k = 5",
            "SELECT * FROM t WHERE k = 5 LIMIT 1",
            "SELECT * FROM t WHERE k = 5 ORDER BY k",
            "SELECT DISTINCT k FROM t WHERE k = 5",
            "SELECT * FROM t WHERE k = 5 OR k = 6",
            "SELECT * FROM t WHERE k = 5 GROUP BY k",
            "SELECT * FROM t, u WHERE k = 5",
            "SELECT * FROM t WHERE k = 'a'",
            "SELECT * FROM t WHERE k = 9223372036854775808.0",
            "SELECT * FROM t WHERE k = 5.0",
            "SELECT * FROM t WHERE (k = 5)",
            "WITH c AS (SELECT 1 AS one) SELECT * FROM t WHERE k = 5",
            "SELECT * FROM t WHERE k = 5 EMIT CHANGES",
        ] {
            assert_eq!(shape_of(query), None, "{query}");
        }
    }
}
