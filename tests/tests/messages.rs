//! Goal: no message reveals internals of the engine: no plan nodes, no Rust types or notation, no links to issues of
//! other projects. Method: statements with mistakes that DataFusion's planner finds, one of each kind and many composed
//! at random of wrong parts, are run on the real engine on the memory transport; their errors are searched for words
//! that only the implementation uses.

use std::sync::Arc;

use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::{Diagnostic, render};
use headwater_engine::{Engine, Session};

/// Words that a user need not know.
const INSIDE: &[&str] = &[
    "datafusion",
    "DataFusion",
    "LogicalPlan",
    "Field {",
    "WindowFunction(",
    "Expr::",
    "physical",
    "Physical",
    "https://",
    "Utf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Float32",
    "Float64",
    "Decimal128",
    "List(",
    "Struct(",
    "Map(",
    "Timestamp(",
    "Some(",
    "None",
    "Ok(",
    "Err(",
    "::",
    " { ",
    "ScalarValue",
    "headwater_",
    "unnest",
    "coerc",
    "signature",
    "Signature",
    "UDF",
    "UDAF",
    "node",
    "Column {",
    "Arrow",
    "arrow-",
    "panicked",
    "Unnest",
    "not supported yet (not supported yet)",
    "OuterReference",
    "ScalarSubquery",
    "InSubquery",
    "Subquery(",
];

const BEFORE: &[&str] = &[
    "CREATE STREAM l (k INT, i INT, f BOOLEAN, s STRING, a ARRAY<STRING>, d DOUBLE) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON', PARTITIONS=1);",
    "CREATE STREAM r (k INT, i INT, n DECIMAL(9,2), m MAP<STRING, INT>, st STRUCT<x INT, y STRING>, t TIMESTAMP, b BYTES) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', PARTITIONS=1);",
    "INSERT INTO l VALUES (1, 10, true, 'x', ARRAY['x', 'y'], 0e0);",
    "INSERT INTO l VALUES (2, 20, false, 'y', ARRAY['x'], 1e0);",
    "INSERT INTO r VALUES (1, 1, 1.50, MAP('a' := 1), STRUCT(x := 1, y := 'z'), '2020-01-01T00:00:00', NULL);",
];

/// Statements that are rejected with a proper message.
const REFUSED: &[&str] = &[
    "SELECT l.k, t.x FROM l CROSS JOIN UNNEST(l.a) AS t(x);",
    "SELECT l.k, t.x FROM l, UNNEST(l.a) AS t(x);",
    "SELECT l.k FROM l LEFT JOIN UNNEST(a) AS t(x) ON TRUE;",
    "SELECT k, v FROM l, LATERAL UNNEST(a) AS t(v);",
    "SELECT * FROM EXPLODE(ARRAY[1, 2]);",
    "SELECT k FROM l WHERE EXPLODE(a) = 'x';",
    "SELECT k FROM l WHERE UNNEST(a) = 'x';",
    "SELECT SUM(EXPLODE(ARRAY[k])) FROM l;",
    "SELECT k FROM l ORDER BY EXPLODE(a);",
    "SELECT COUNT(*) FROM l GROUP BY EXPLODE(a);",
    "SELECT COUNT(*) FROM l HAVING EXPLODE(a) = 'x';",
    "SELECT CASE WHEN k > 1 THEN EXPLODE(a) END FROM l;",
    "SELECT EXPLODE(EXPLODE(ARRAY[a])) FROM l;",
    "SELECT ROW_NUMBER() OVER (ORDER BY EXPLODE(a)) FROM l;",
    "SELECT l.k FROM l JOIN r ON EXPLODE(l.a) = r.st->y;",
    "SELECT TRANSFORM(a, x => EXPLODE(ARRAY[x])) FROM l;",
    "SELECT k AS x, i AS x FROM l;",
    "SELECT q.x FROM (SELECT k AS x, i AS x FROM l) AS q;",
    "SELECT k FROM l FETCH FIRST 1 ROWS WITH TIES;",
    "SELECT k FROM l FETCH FIRST 10 PERCENT ROWS ONLY;",
    "SELECT k FROM l LIMIT 1 FETCH FIRST 2 ROWS ONLY;",
    "SELECT k FROM l LIMIT (SELECT 1);",
    "SELECT k FROM l LIMIT k;",
    "SELECT k FROM l LIMIT -1;",
    "SELECT k FROM l LIMIT 1.5;",
    "SELECT k FROM l LIMIT 'x';",
    "SELECT k FROM l OFFSET (SELECT 1);",
    "SELECT k FROM l OFFSET -1;",
    "SELECT k FROM l WHERE (k, i) IN ((1, 10), (2, 20));",
    "SELECT k FROM l WHERE (k, i) = (1, 10);",
    "SELECT k FROM l WHERE (k, i) IN (SELECT k, i FROM r);",
    "SELECT (k, i) FROM l;",
    "SELECT k FROM l WHERE ROW_NUMBER() OVER (ORDER BY k) = 1;",
    "SELECT k FROM l GROUP BY ROW_NUMBER() OVER (ORDER BY k);",
    "SELECT k FROM l GROUP BY k HAVING ROW_NUMBER() OVER (ORDER BY k) = 1;",
    "SELECT SUM(ROW_NUMBER() OVER (ORDER BY k)) FROM l;",
    "SELECT SUM(SUM(k) OVER ()) OVER () FROM l;",
    "SELECT l.k FROM l JOIN r ON ROW_NUMBER() OVER (ORDER BY l.k) = r.k;",
    "SELECT k FROM l WHERE COUNT(*) > 1;",
    "SELECT SUM(MAX(k)) FROM l;",
    "SELECT COUNT(*) FROM l GROUP BY MAX(k);",
    "SELECT MAX(m) FROM r;",
    "SELECT MIN(m) FROM r GROUP BY k;",
    "SELECT SUM(s) FROM l;",
    "SELECT AVG(a) FROM l;",
    "SELECT GREATEST(*) FROM l;",
    "SELECT UCASE(*) FROM l;",
    "SELECT SUM(*) FROM l;",
    "SELECT l.k FROM l LEFT JOIN LATERAL (SELECT r.i FROM r WHERE r.k = l.k LIMIT 1) AS q ON TRUE;",
    "SELECT k FROM l ORDER BY (SELECT MAX(r.i) FROM r WHERE r.k < l.k);",
    "SELECT k, (SELECT r.i FROM r WHERE r.k = l.k) AS x FROM l;",
    "SELECT k, (SELECT r.i FROM r WHERE r.k < l.k LIMIT 1) AS x FROM l;",
    "SELECT k, (SELECT k, i FROM r) AS x FROM l;",
    "SELECT k FROM l WHERE k IN (SELECT k, i FROM r);",
    "SELECT k FROM l WHERE k = ANY (SELECT k, i FROM r);",
    "SELECT k, COUNT(*) FROM l;",
    "SELECT k FROM l GROUP BY i;",
    "SELECT k FROM l HAVING k > 1;",
    "SELECT DISTINCT k FROM l ORDER BY i;",
    "SELECT k FROM l ORDER BY 9;",
    "SELECT k, i FROM l UNION SELECT k FROM r;",
    "SELECT a FROM l UNION SELECT k FROM r;",
    "SELECT k FROM l EXCEPT SELECT k, i FROM r;",
    "SELECT SUM(k) OVER w FROM l;",
    "SELECT SUM(k) OVER w FROM l WINDOW w AS (ORDER BY k), w AS (ORDER BY i);",
    "SELECT SUM(k) OVER (ORDER BY k ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW) FROM l;",
    "SELECT SUM(k) OVER (ORDER BY k ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM l;",
    "SELECT SUM(k) OVER (ORDER BY k ROWS BETWEEN s PRECEDING AND CURRENT ROW) FROM l;",
    "SELECT SUM(k) OVER (ORDER BY k, i RANGE 10 PRECEDING) FROM l;",
    "SELECT ABS(k) OVER (ORDER BY k) FROM l;",
    "SELECT ROW_NUMBER() FROM l;",
    "SELECT COUNT(*) FILTER (WHERE ROW_NUMBER() OVER () = 1) FROM l;",
    "WITH q AS (SELECT 1 AS one), q AS (SELECT 2 AS two) SELECT * FROM q;",
    "WITH q (x, y) AS (SELECT 1 AS one) SELECT * FROM q;",
    "SELECT * FROM (VALUES (1, 2), (3)) AS q;",
    "SELECT * FROM (VALUES (1), ('x')) AS q;",
    "SELECT *;",
    "SELECT a + 1 FROM l;",
    "SELECT s = k FROM l;",
    "SELECT NOT k FROM l;",
    "SELECT -s FROM l;",
    "SELECT k FROM l WHERE s;",
    "SELECT k FROM l WHERE k IN ('x');",
    "SELECT k FROM l WHERE s BETWEEN 1 AND 2;",
    "SELECT l.k FROM l JOIN r ON l.s;",
    "SELECT CASE WHEN k THEN 1 END FROM l;",
    "SELECT st->nope FROM r;",
    "SELECT st->x->y FROM r;",
    "SELECT k->x FROM r;",
    "SELECT a['x'] FROM l;",
    "SELECT k[1] FROM r;",
    "SELECT CAST(a AS INT) FROM l;",
    "SELECT date_trunc('day', k) FROM l;",
    "SELECT array_agg(k, i) FROM l;",
    "SELECT UCASE() FROM l;",
    "SELECT UCASE(s, s) FROM l;",
    "SELECT SUM() FROM l;",
    "SELECT COUNT(k, k) FILTER (WHERE s) FROM l;",
    "SELECT TRANSFORM(a, (x, y) => x) FROM l;",
    "SELECT TRANSFORM(a, 1) FROM l;",
    "SELECT UCASE(x => x) FROM l;",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s) FROM l;",
    "SELECT GROUPING(i) FROM l GROUP BY k;",
    "SELECT k FROM l GROUP BY ROLLUP ((k, i), f);",
    "SELECT s SIMILAR TO 1 FROM l;",
    "SELECT s COLLATE nocase FROM l;",
    "SELECT INTERVAL 'x' DAY;",
    "SELECT k FROM l NATURAL JOIN (SELECT 1 AS zz) AS q WHERE zz.y = 1;",
    "SELECT l.k FROM l JOIN r USING (nope);",
    "SELECT REGEXP_EXTRACT('(', s) FROM l;",
    "SELECT \"al\" FROM l;",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_mistake_is_refused_in_words() {
    let mut asked = Asked::new().await;
    let mut wrong = Vec::new();
    for statement in REFUSED {
        match asked.ask(statement).await {
            Ok(()) => wrong.push(format!("{statement}\n  is not rejected")),
            Err(errors) => wrong.extend(leaks(&errors).map(|leak| complaint(&leak, &errors, statement))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_put_together_at_random_are_refused_in_words() {
    let mut asked = Asked::new().await;
    let mut random = Random(20_261_128);
    let mut wrong = Vec::new();
    let mut refused = 0;
    for _ in 0..1_500 {
        let statement = random.statement();
        if let Err(errors) = asked.ask(&statement).await {
            refused += 1;
            wrong.extend(leaks(&errors).map(|leak| complaint(&leak, &errors, &statement)));
        }
    }
    assert!(refused > 300, "only {refused} were rejected");
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn complaint(leak: &str, errors: &[Diagnostic], statement: &str) -> String {
    format!("{leak:?} in\n{}", render(errors, statement))
}

/// The internal words in the errors, and errors that explain nothing.
fn leaks(errors: &[Diagnostic]) -> impl Iterator<Item = String> {
    let texts = errors.iter().flat_map(|error| [Some(&error.message), error.detail.as_ref(), error.hint.as_ref()]);
    let bare: Vec<String> = texts.flatten().map(|text| without_quoted(text)).collect();
    let unknown = errors.iter().any(|error| error.message.contains("cannot be planned yet") || error.code.0 == "K0901");
    let words =
        INSIDE.iter().filter(move |word| bare.iter().any(|text| text.contains(**word))).map(ToString::to_string);
    words.collect::<Vec<_>>().into_iter().chain(unknown.then(|| "no explanation".to_owned()))
}

/// The text without quoted parts, which are the user's own.
fn without_quoted(text: &str) -> String {
    text.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

/// An engine with the streams of [`BEFORE`].
struct Asked {
    engine: Engine,
    session: Session,
}

impl Asked {
    async fn new() -> Self {
        let engine = Engine::driven(Arc::new(MemoryTransport::default()), &Settings::default());
        let mut asked = Self { engine, session: Session::new(Settings::default()) };
        for statement in BEFORE {
            if let Err(errors) = asked.ask(statement).await {
                panic!("{}", render(&errors, statement));
            }
        }
        asked
    }

    /// Runs a statement and reads all of its rows.
    async fn ask(&mut self, statement: &str) -> Result<(), Vec<Diagnostic>> {
        match self.engine.ask(&mut self.session, statement).await? {
            Answer::Rows(rows) => {
                let rows: Result<Vec<_>, _> = rows.stream.try_collect().await;
                rows.map(drop).map_err(|error| headwater_engine::failure::diagnose(&error, None))
            }
            _ => Ok(()),
        }
    }
}

/// Pseudo-random numbers that are the same in every run.
struct Random(u64);

/// Valid and invalid expressions over both streams.
const EXPRESSIONS: &[&str] = &[
    "l.k",
    "l.i",
    "l.f",
    "l.s",
    "l.a",
    "l.d",
    "r.n",
    "r.m",
    "r.st",
    "r.st->x",
    "r.t",
    "r.b",
    "1",
    "'x'",
    "NULL",
    "1.5",
    "COUNT(*)",
    "SUM(l.k)",
    "MAX(r.m)",
    "MIN(l.a)",
    "SUM(l.s)",
    "AVG(r.n)",
    "array_agg(l.k)",
    "ROW_NUMBER() OVER (ORDER BY l.k)",
    "SUM(l.k) OVER (PARTITION BY l.i)",
    "LAG(l.s) OVER (ORDER BY r.n)",
    "RANK() OVER w",
    "EXPLODE(l.a)",
    "ARRAY[l.k, 1]",
    "MAP('a' := l.k)",
    "STRUCT(x := l.k)",
    "l.a[1]",
    "r.m['a']",
    "(l.k, l.i)",
    "(SELECT MAX(z.i) FROM r AS z WHERE z.k = l.k)",
    "(SELECT z.i FROM r AS z WHERE z.k = l.k)",
    "(SELECT z.i FROM r AS z WHERE z.k < l.k LIMIT 1)",
    "(SELECT COUNT(*) FROM r AS z WHERE z.k < l.k)",
    "(SELECT z.k, z.i FROM r AS z)",
    "EXISTS (SELECT 1 FROM r AS z WHERE z.k = l.k)",
    "EXISTS (SELECT 1 FROM r AS z WHERE z.k < l.k LIMIT 1)",
    "l.k IN (SELECT z.k FROM r AS z WHERE z.i = l.i)",
    "l.k IN (SELECT z.k FROM r AS z WHERE z.i < l.i LIMIT 2)",
    "l.k = ANY (SELECT z.k FROM r AS z)",
    "l.k > ALL (SELECT z.k FROM r AS z WHERE z.i < l.i)",
    "TRANSFORM(l.a, x => UCASE(x))",
    "FILTER(l.a, x => x = l.s)",
    "REGEXP_EXTRACT(l.s, 'x')",
    "CAST(l.s AS INT)",
    "CAST(l.a AS STRING)",
    "INTERVAL '1' DAY",
    "DATE '2020-01-01'",
    "GREATEST(l.k, l.i)",
    "COALESCE(l.s, 'x')",
    "date_trunc('day', r.t)",
    "r.t + INTERVAL '1' DAY",
    "l.s LIKE 'x%'",
    "GROUPING(l.k)",
    "COUNT(DISTINCT l.a)",
    "COUNT(*) FILTER (WHERE l.f)",
    "first_value(l.a)",
    "approx_distinct(l.d)",
    "CASE WHEN l.f THEN l.k ELSE l.i END",
    "UNIX_TIMESTAMP()",
    "l.k BETWEEN 1 AND r.n",
    "l.nope",
    "unnest(l.a)",
];

const OPERATORS: &[&str] = &["+", "=", "<", "||", "AND", "/", "IS DISTINCT FROM"];

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn expression(&mut self) -> String {
        let one = self.of(EXPRESSIONS);
        match self.below(6) {
            0 => format!("{one} {} {}", self.of(OPERATORS), self.of(EXPRESSIONS)),
            1 => format!("{}({one})", self.of(&["ABS", "UCASE", "SUM", "MAX", "ARRAY_LENGTH", "EXPLODE", "NOT "])),
            _ => one.to_owned(),
        }
    }

    fn statement(&mut self) -> String {
        let items: Vec<String> = (0..=self.below(3)).map(|at| format!("{} AS c{at}", self.expression())).collect();
        let join = self.of(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
        let mut text = format!("SELECT {} FROM l {join} r ON {}", items.join(", "), self.condition());
        for (clause, often) in [("WHERE", 3), ("GROUP BY", 3), ("HAVING", 5)] {
            if self.below(often) == 0 {
                let expr = if clause == "GROUP BY" { self.expression() } else { self.condition() };
                text.push_str(&format!(" {clause} {expr}"));
            }
        }
        if text.contains("OVER w") {
            text.push_str(" WINDOW w AS (ORDER BY l.k ROWS 1 PRECEDING)");
        }
        if self.below(3) == 0 {
            text.push_str(&format!(" ORDER BY {}", self.expression()));
        }
        if self.below(8) == 0 {
            text.push_str(&format!(" LIMIT {}", self.of(&["1", "0", "NULL", "1 + 1", "l.k", "'x'", "(SELECT 1)"])));
        }
        if self.below(6) == 0 {
            text = format!("SELECT q.c0 FROM ({text}) AS q WHERE q.c0 IS NOT NULL ORDER BY 1");
        }
        text + ";"
    }

    fn condition(&mut self) -> String {
        match self.below(3) {
            0 => "l.k = r.k".to_owned(),
            1 => format!("l.k = r.k AND {}", self.expression()),
            _ => self.expression(),
        }
    }
}
