//! The parser as its callers see it: text in, statements or diagnostics out.

use sqlparser::ast::{self as sql, AccessExpr, Expr, SelectItem, SetExpr};

use super::ast::{ColumnRole, Emit, Query, Statement, StatementKind, TimeUnit, WindowKind};
use super::{expr_forms, parse, parse_expr};
use crate::diagnostic::render;
use crate::types::SqlType;

/// The one statement of a text.
fn one(text: &str) -> Statement {
    let parsed = parse(text);
    assert!(parsed.errors.is_empty(), "{}", render(&parsed.errors, text));
    assert_eq!(parsed.statements.len(), 1, "{text}");
    parsed.statements.into_iter().next().expect("one statement")
}

fn query(text: &str) -> Query {
    match one(text).kind {
        StatementKind::Query(query) => query,
        other => panic!("a query was expected: {other}"),
    }
}

/// What a text prints as.
fn check_print(text: &str, expected: &str) {
    assert_eq!(one(text).to_string(), expected);
}

/// The line with the carets and what follows it, of every error of a text.
fn check_errors(text: &str, expected: &str) {
    let drawn = render(&parse(text).errors, text);
    let lines: Vec<&str> = drawn.lines().filter(|line| !line.starts_with("  line")).collect();
    assert_eq!(lines.join("\n"), expected.trim_matches('\n'), "{drawn}");
}

#[test]
fn a_script_is_read_statement_by_statement() {
    let text = "SET 'a' = 'b';\n-- c\nSELECT * FROM t; SHOW TOPICS";
    let parsed = parse(text);
    let texts: Vec<&str> = parsed.statements.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["SET 'a' = 'b'", "SELECT * FROM t", "SHOW TOPICS"]);
    let spans: Vec<&str> = parsed.statements.iter().map(|it| &text[it.span.start..it.span.end]).collect();
    assert_eq!(spans, texts);
}

#[test]
fn clauses_of_streams_stand_beside_the_query() {
    let found = query(
        "SELECT a.id, count(*) FROM a LEFT JOIN b WITHIN (1 HOUR, 2 DAYS) GRACE PERIOD 5 SECONDS ON a.id = b.id \
         WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS, GRACE PERIOD 0 SECONDS) \
         WHERE a.x > 1 GROUP BY a.id PARTITION BY a.y, a.z HAVING count(*) > 2 EMIT FINAL LIMIT 3;",
    );
    let window = found.window.expect("a window").value;
    let WindowKind::Hopping { size, advance } = window.kind else { panic!("{window}") };
    assert_eq!((size.ms(), advance.ms(), window.retention), (Some(60_000), Some(10_000), None));
    assert_eq!(window.grace.expect("grace").unit, TimeUnit::Seconds);
    let [within] = found.within.as_slice() else { panic!("one WITHIN") };
    assert_eq!((within.join, within.before.ms(), within.after.ms()), (0, Some(3_600_000), Some(172_800_000)));
    assert_eq!(found.partition_by.expect("PARTITION BY").len(), 2);
    assert_eq!(found.emit.expect("EMIT").value, Emit::Final);
    assert!(!found.body.to_string().contains("WITHIN"), "{}", found.body);
}

#[test]
fn standard_sql_stays_as_it_is() {
    for text in [
        "WITH A AS (SELECT 1) SELECT * FROM A UNION ALL SELECT 2 ORDER BY 1 LIMIT 5",
        "SELECT SUM(X) OVER W FROM T WINDOW W AS (PARTITION BY Y ORDER BY Z)",
        "SELECT A FROM T GROUP BY ROLLUP (A, B)",
        "SELECT * FROM (SELECT A FROM T) AS Q WHERE EXISTS (SELECT 1)",
        "SELECT A FROM T WHERE B IN (SELECT C FROM U) QUALIFY ROW_NUMBER() OVER (ORDER BY A) = 1",
    ] {
        check_print(text, text);
        assert!(query(text).is_bounded());
    }
}

#[test]
fn expressions_have_the_forms_that_are_documented() {
    let select = query("SELECT s->f, t.s->f[1]->`g`, s->* FROM t");
    let SetExpr::Select(select) = *select.body.body else { panic!("a SELECT") };
    let [SelectItem::UnnamedExpr(first), SelectItem::UnnamedExpr(second), third] = select.projection.as_slice() else {
        panic!("three items")
    };
    let Expr::CompoundFieldAccess { root, access_chain } = first else { panic!("{first:?}") };
    assert!(matches!(root.as_ref(), Expr::Identifier(name) if name.value == "S"));
    let [AccessExpr::Dot(Expr::Value(field))] = access_chain.as_slice() else { panic!("{access_chain:?}") };
    assert_eq!(field.value, sql::Value::SingleQuotedString("F".into()));
    let Expr::CompoundFieldAccess { root, access_chain } = second else { panic!("{second:?}") };
    assert!(matches!(root.as_ref(), Expr::CompoundIdentifier(parts) if parts.len() == 2));
    assert!(matches!(access_chain.as_slice(), [AccessExpr::Dot(_), AccessExpr::Subscript(_), AccessExpr::Dot(_)]));
    assert!(expr_forms::struct_star(third).is_some());
}

#[test]
fn operators_bind_as_in_ksqldb() {
    for (text, expected) in [
        ("a || b + 1", "[a || [b + 1]]"),
        ("a IS DISTINCT FROM b AND c", "[[a IS DISTINCT FROM b] AND c]"),
        ("-a->f * 2", "[[-A->F] * 2]"),
        ("NOT a = b OR c", "[[NOT [a = b]] OR c]"),
    ] {
        assert_eq!(grouped(&parse_expr(text).expect(text)).to_uppercase(), expected.to_uppercase());
    }
}

/// An expression with brackets around every operator.
fn grouped(expr: &Expr) -> String {
    match expr {
        Expr::BinaryOp { left, op, right } => format!("[{} {op} {}]", grouped(left), grouped(right)),
        Expr::UnaryOp { op: sql::UnaryOperator::Not, expr } => format!("[NOT {}]", grouped(expr)),
        Expr::UnaryOp { op, expr } => format!("[{op}{}]", grouped(expr)),
        Expr::IsDistinctFrom(left, right) => format!("[{} IS DISTINCT FROM {}]", grouped(left), grouped(right)),
        other => super::print::expr(other),
    }
}

#[test]
fn casts_name_types_of_the_dialect() {
    for text in ["CAST(a AS MAP<STRING, ARRAY<STRUCT<x INT>>>)", "a::MAP<STRING, ARRAY<STRUCT<x INT>>>"] {
        let Expr::Cast { data_type, .. } = parse_expr(text).expect(text) else { panic!("a cast") };
        let ty = expr_forms::cast_type(&data_type).expect("a type of the dialect");
        assert_eq!(ty.to_string(), "MAP<STRING, ARRAY<STRUCT<`X` INTEGER>>>");
    }
    let Expr::Cast { data_type, .. } = parse_expr("CAST(a AS smallint)").expect("a cast") else { panic!("a cast") };
    assert_eq!(expr_forms::cast_type(&data_type), None);
}

#[test]
fn lambdas_and_constructors() {
    for text in
        ["TRANSFORM(M, (K, V) => K || 'x', (K, V) => V)", "FILTER(A, X => X > 1)", "REDUCE(A, 0, (S, X) => S + X)"]
    {
        assert_eq!(super::print::expr(&parse_expr(text).expect(text)), text);
    }
    for text in ["MAP('a' := 1, 'b' := MAP())", "STRUCT(A := 1, `b` := STRUCT())", "ARRAY[1, NULL][1]"] {
        assert_eq!(super::print::expr(&parse_expr(text).expect(text)), text);
    }
}

#[test]
fn words_of_other_dialects_are_names() {
    check_print(
        "select key, source, value, top, offset, order, left, first from settings format",
        "SELECT KEY, SOURCE, VALUE, TOP, OFFSET, ORDER, LEFT, FIRST FROM SETTINGS FORMAT",
    );
}

#[test]
fn columns_know_their_roles() {
    let text =
        "CREATE TABLE t (a INT PRIMARY KEY, b STRING, c ARRAY<STRUCT<k STRING, v BYTES>> HEADERS, d BYTES HEADER('h'))";
    let StatementKind::CreateSource(table) = one(text).kind else { panic!("CREATE TABLE") };
    let roles: Vec<_> = table.columns.iter().map(|it| it.role.value.clone()).collect();
    assert_eq!(roles, [ColumnRole::PrimaryKey, ColumnRole::Value, ColumnRole::Headers, ColumnRole::Header("h".into())]);
    assert_eq!(table.columns[1].ty.value, SqlType::String);
    let span = table.columns[3].role.span;
    assert_eq!(&text[span.start..span.end], "HEADER('h')");
}

#[test]
fn topics_keep_their_case_and_their_points() {
    check_print("PRINT My-Topic.v1 FROM BEGINNING LIMIT 3", "PRINT 'My-Topic.v1' FROM BEGINNING LIMIT 3");
    check_print("print 'x y' sample 2", "PRINT 'x y' INTERVAL 2");
}

#[test]
fn every_other_statement_prints_as_itself() {
    for text in [
        "RESUME ALL",
        "RESUME CSAS_S_1 FROM EARLIEST",
        "RESUME ALL FROM LATEST",
        "CREATE OR REPLACE STREAM S WITH (KAFKA_TOPIC = 's', PARTITIONS = 3) AS SELECT * FROM T EMIT CHANGES",
        "CREATE SOURCE TABLE T (ID INTEGER PRIMARY KEY) WITH (KAFKA_TOPIC = 't', WRAP = TRUE, X = NULL, Y = -1.5)",
        "CREATE TYPE IF NOT EXISTS ADDRESS AS STRUCT<`STREET` STRING>",
        "CREATE FUNCTION F(A INTEGER, B STRING) RETURNS ARRAY<STRING> AS 'ARRAY[b]'",
        "INSERT INTO S (A, B) VALUES (1, 'x'), (ARRAY[1], STRUCT(C := 2))",
        "INSERT INTO S WITH (QUERY_ID = 'q') SELECT * FROM T",
        "DROP TABLE IF EXISTS T DELETE TOPIC",
        "ALTER STREAM S ADD COLUMN A INTEGER, ADD COLUMN B STRING",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN CSAS_S_1",
        "SHOW ALL TOPICS EXTENDED",
        "SHOW REJECTS",
        "DESCRIBE FUNCTION TRIM",
        "DESCRIBE TABLES EXTENDED",
        "TERMINATE ALL",
        "PAUSE CSAS_S_1",
        "SET 'a.b' = 'it''s'",
        "UNSET 'a.b'",
        "ALTER SYSTEM 'a' = 'b'",
        "DEFINE V = 'x'",
        "UNDEFINE V",
        "RUN SCRIPT 'x.sql'",
        "CREATE SINK CONNECTOR IF NOT EXISTS C WITH ('connector.class' = 'x')",
        "DROP CONNECTOR IF EXISTS C",
        "ASSERT NOT EXISTS TOPIC 't' WITH (PARTITIONS = 1) TIMEOUT 5 SECONDS",
        "ASSERT SCHEMA SUBJECT 't-value' ID 3 TIMEOUT 10 MILLISECONDS",
        "ASSERT NULL VALUES T (ID) KEY (1)",
        "ASSERT STREAM S (A INTEGER) WITH (KAFKA_TOPIC = 's')",
        "COPY (SELECT * FROM T) TO 'x.parquet' WITH (FORMAT = 'parquet')",
    ] {
        check_print(text, text);
    }
}

#[test]
fn independent_errors_come_together() {
    check_errors(
        "SELCT 1; SHOW TOPICS; SHOW TOPIC;",
        r#"
K0203: unknown statement "SELCT"
    1 | SELCT 1; SHOW TOPICS; SHOW TOPIC;
      | ^^^^^
  hint: Did you mean SELECT?

K0201: "TOPIC" is not expected here
    1 | SELCT 1; SHOW TOPICS; SHOW TOPIC;
      |                            ^^^^^
  detail: Expected TOPICS, STREAMS, TABLES, QUERIES, FUNCTIONS, TYPES, VARIABLES, PROPERTIES, REJECTS or CONNECTORS, found "TOPIC".
  hint: Did you mean TOPICS?"#,
    );
}

#[test]
fn a_misspelt_word_of_a_query_is_found_where_it_was_taken_for_an_alias() {
    check_errors(
        "SELECT id FORM orders",
        "K0201: \"FORM\" is not expected here\n    1 | SELECT id FORM orders\n      |           ^^^^\n  hint: Did you mean FROM?",
    );
    check_errors(
        "SELECT * FROM orders EMIT CHANGE",
        r#"
K0201: "CHANGE" is not expected here
    1 | SELECT * FROM orders EMIT CHANGE
      |                           ^^^^^^
  detail: Expected CHANGES or FINAL, found "CHANGE".
  hint: Did you mean CHANGES?"#,
    );
}

#[test]
fn an_error_in_a_subquery_is_told_where_it_is() {
    check_errors(
        "SELECT * FROM (SELECT a FROM x WHERE a = ) AS y",
        r#"
K0201: ")" is not expected here
    1 | SELECT * FROM (SELECT a FROM x WHERE a = ) AS y
      |                                          ^
  detail: Expected an expression, found ")"."#,
    );
}

#[test]
fn clauses_of_streams_have_their_places() {
    for (text, message) in [
        ("SELECT * FROM (SELECT * FROM t EMIT CHANGES)", "EMIT is only allowed in the outermost SELECT"),
        ("SELECT * FROM a WITHIN 1 HOUR JOIN b ON x = y", "WITHIN is only allowed in a join"),
        (
            "SELECT 1 FROM a UNION SELECT 2 FROM b PARTITION BY c",
            "PARTITION BY is not allowed in a UNION, EXCEPT or INTERSECT",
        ),
        ("SELECT * FROM t EMIT CHANGES EMIT CHANGES", "EMIT appears twice"),
        ("SELECT f(s->*) FROM t", "\"->*\" expands to several columns"),
    ] {
        assert_eq!(parse(text).errors[0].message, message);
    }
}

#[test]
fn a_call_named_like_a_clause_prints_as_itself() {
    let text = "SELECT COUNT(*) FROM T GROUP BY GROUPING SETS ((C), (WITHIN(D)))";
    check_print(text, text);
}

#[test]
fn a_number_is_no_field() {
    for text in ["SELECT f(x). 83 a", "SELECT t. 83 FROM t", "SELECT a[1]. 5 FROM t"] {
        assert_eq!(
            parse(text).errors[0].detail.as_deref().map(|it| it.starts_with("Expected a name or")),
            Some(true),
            "{text}"
        );
    }
}

#[test]
fn a_column_called_as_is_no_as() {
    let text = "SELECT A.AS AS B, A.AS WINDOW FROM A PARTITION BY A.AS EMIT CHANGES";
    let found = query(text);
    assert!(found.emit.is_some(), "{found}");
    check_print(&found.to_string(), &found.to_string());
}

#[test]
fn numbers_have_their_limits() {
    for (text, message) in [
        ("SELECT 9223372036854775808", "number is too large for BIGINT: 9223372036854775808"),
        ("SELECT 1.7976931348623159E308", "number overflows DOUBLE: 1.7976931348623159E308"),
        ("SELECT 1 LIMIT -1", "LIMIT cannot be negative"),
        ("PRINT t INTERVAL 0", "INTERVAL must be at least 1"),
        ("SELECT X'0'", "a string of bytes needs an even number of hexadecimal digits"),
    ] {
        assert_eq!(parse(text).errors[0].message, message);
    }
    assert!(parse("SELECT -9223372036854775808, 9223372036854775807, 1e308").errors.is_empty());
}

#[test]
fn a_string_is_no_name() {
    for text in [
        "SELECT a 'b' FROM t",
        "SELECT a AS 'b' FROM t",
        "SELECT a < ILIKE 'b' FROM t",
        "SELECT * FROM 'x.parquet'",
        "SELECT * FROM t 'u'",
    ] {
        let hint = parse(text).errors[0].hint.clone();
        assert_eq!(hint.as_deref(), Some("Write a name in double quotes or backticks, or without quotes."), "{text}");
    }
    let text = "SELECT TRIM(LEADING 'x' FROM 'xy'), 'a''''b', A IS DISTINCT FROM 'c'";
    check_print(text, text);
}

#[test]
fn places_inside_expressions_lead_back_to_the_text() {
    let text = "SELECT 'ä', größe FROM t";
    let SetExpr::Select(select) = *query(text).body.body else { panic!("a SELECT") };
    let SelectItem::UnnamedExpr(Expr::Identifier(name)) = &select.projection[1] else { panic!("a column") };
    let span = super::place(name.span).expect("a place");
    assert_eq!((&text[span.start..span.end], name.value.as_str()), ("größe", "GRÖSSE"));
}
