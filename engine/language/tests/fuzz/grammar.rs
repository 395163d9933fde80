//! Statements that the parser must read, at random.

use super::Rng;

const NAMES: &[&str] = &[
    "orders",
    "ID",
    "item_2",
    "`Quoted Name`",
    "\"other\"",
    "`a``b`",
    "1st",
    "x@y",
    "key",
    "source",
    "value",
    "rowtime",
    "offset",
    "`select`",
    "topics",
    "größe",
    "last",
    "first",
    "position",
    "`*`",
    "`x->y`",
    "headers",
    "`IF`",
    "types",
];
const LITERALS: &[&str] = &[
    "1",
    "0",
    "-5",
    "2147483648",
    "-9223372036854775808",
    "1.5",
    ".5",
    "5.",
    "1e5",
    "1.5E-3",
    "'text'",
    "''",
    "'it''s'",
    "TRUE",
    "false",
    "NULL",
    "DECIMAL '1.50'",
    "DATE '2020-01-01'",
    "INTERVAL '1' DAY",
    "X'00ff'",
    "'->'",
    "'a;b'",
    "'日本'",
];
const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];
const FUNCTIONS: &[&str] =
    &["count", "SUM", "substring", "Trim", "ceil", "dateadd", "coalesce", "left", "replace", "explode", "`Own fn`"];
const UNITS: &[&str] = &["DAY", "DAYS", "hours", "MINUTE", "Seconds", "MILLISECONDS"];
const TYPES: &[&str] =
    &["INT", "integer", "BIGINT", "DOUBLE", "BOOLEAN", "STRING", "varchar", "BYTES", "DATE", "TIME", "TIMESTAMP"];

/// A statement without its semicolon.
pub fn statement(rng: &mut Rng) -> String {
    let name = name(rng);
    let source = rng.pick(&["STREAM", "table"]);
    match rng.below(26) {
        0..=7 => query(rng, 3),
        8 => format!("CREATE {}{source} {name} AS {}", rng.pick(&["", "OR REPLACE "]), query(rng, 2)),
        9 => format!("CREATE {source} IF NOT EXISTS {name}{} AS {}", properties(rng), query(rng, 2)),
        10 => format!("CREATE {}{source} {name} ({}){}", rng.pick(&["", "SOURCE "]), columns(rng), properties(rng)),
        11 => format!("CREATE TYPE {name} AS {}", ty(rng, 3)),
        12 => format!(
            "CREATE {}FUNCTION {}{name}(a {}, b {}) RETURNS {} AS 'CONCAT(a, ''b'')'",
            rng.pick(&["", "OR REPLACE "]),
            rng.pick(&["", "IF NOT EXISTS "]),
            ty(rng, 1),
            ty(rng, 1),
            ty(rng, 1)
        ),
        13 => format!("INSERT INTO {name}{} {}", properties(rng), query(rng, 2)),
        14..=15 => format!("INSERT INTO {name} (a, {name}) VALUES ({}), ({})", exprs(rng, 2), exprs(rng, 2)),
        16 => format!("DROP {source} IF EXISTS {name} DELETE TOPIC"),
        17 => format!("ALTER {source} {name} ADD COLUMN a {}, ADD b {}", ty(rng, 2), ty(rng, 2)),
        18 => format!("{} {}", rng.pick(&["SHOW", "list"]), shown(rng)),
        19 => format!("DESCRIBE {}", described(rng)),
        20 => format!("EXPLAIN {}{}", rng.pick(&["", "ANALYZE "]), query(rng, 2)),
        21 => format!(
            "PRINT {} FROM BEGINNING INTERVAL 2 LIMIT {}",
            rng.pick(&["my-topic.v1", "'a b'", "`T`"]),
            rng.below(9)
        ),
        22 => rng.pick(SETTINGS).to_owned(),
        23 => format!("{} {}", rng.pick(&["PAUSE", "RESUME", "TERMINATE"]), rng.pick(&["ALL", "CSAS_X_1", "`all`"])),
        24 => format!("ASSERT {}", asserted(rng)),
        _ => format!("COPY ({}) TO 'x.parquet' WITH (FORMAT = 'parquet')", query(rng, 2)),
    }
}

const SETTINGS: &[&str] = &[
    "SET 'auto.offset.reset' = 'earliest'",
    "UNSET 'a'",
    "ALTER SYSTEM 'a' = 'b'",
    "DEFINE v = 'it''s'",
    "UNDEFINE V",
    "RUN SCRIPT '/tmp/x.sql'",
    "DROP TYPE IF EXISTS t",
    "DROP CONNECTOR c",
    "DROP FUNCTION f",
    "CREATE SOURCE CONNECTOR IF NOT EXISTS c WITH ('connector.class' = 'x', a = 1)",
    "CREATE SINK CONNECTOR c WITH ()",
];

fn shown(rng: &mut Rng) -> &'static str {
    rng.pick(&[
        "STREAMS",
        "TABLES EXTENDED",
        "QUERIES",
        "TOPICS",
        "ALL TOPICS EXTENDED",
        "FUNCTIONS",
        "TYPES",
        "VARIABLES",
        "PROPERTIES",
        "REJECTS",
        "CONNECTORS",
        "SINK CONNECTORS",
        "SOURCE CONNECTORS",
        "CONNECTOR PLUGINS",
    ])
}

fn described(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => format!("{} EXTENDED", name(rng)),
        1 => "TABLES EXTENDED".to_owned(),
        2 => format!("FUNCTION {}", name(rng)),
        _ => name(rng).to_owned(),
    }
}

fn asserted(rng: &mut Rng) -> String {
    match rng.below(5) {
        0 => "NOT EXISTS TOPIC my-topic WITH (PARTITIONS = 3) TIMEOUT 5 SECONDS".to_owned(),
        1 => "SCHEMA SUBJECT a-value ID 3".to_owned(),
        2 => format!("VALUES {} (a) VALUES ({})", name(rng), expr(rng, 1)),
        3 => format!("NULL VALUES {} (a) KEY ({})", name(rng), expr(rng, 1)),
        _ => format!("STREAM {} ({}){}", name(rng), columns(rng), properties(rng)),
    }
}

fn name(rng: &mut Rng) -> &'static str {
    rng.pick(NAMES)
}

fn properties(rng: &mut Rng) -> &'static str {
    rng.pick(&[
        "",
        " WITH (kafka_topic = 'a', partitions = 3)",
        " with (Value_Format='json', X=TRUE, `y`=null, 'z'=-1)",
    ])
}

fn columns(rng: &mut Rng) -> String {
    let role = rng.pick(&["", " KEY", " PRIMARY KEY", " HEADERS", " HEADER('h')"]);
    format!("{} {}{role}, {} {}", name(rng), ty(rng, 2), name(rng), ty(rng, 2))
}

fn ty(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return rng.pick(TYPES).to_owned();
    }
    match rng.below(9) {
        0 => format!("ARRAY<{}>", ty(rng, depth - 1)),
        1 => format!("map<{}, {}>", ty(rng, depth - 1), ty(rng, depth - 1)),
        2 => format!("STRUCT<{} {}, `b c` {}>", name(rng), ty(rng, depth - 1), ty(rng, depth - 1)),
        3 => format!("{} ARRAY", ty(rng, depth - 1)),
        4 => "DECIMAL(10, 2)".to_owned(),
        5 => "own_type".to_owned(),
        _ => rng.pick(TYPES).to_owned(),
    }
}

fn duration(rng: &mut Rng) -> String {
    format!("{} {}", 1 + rng.below(100), rng.pick(UNITS))
}

/// A query, continuous or bounded.
fn query(rng: &mut Rng, depth: usize) -> String {
    if rng.once_in(3) {
        return bounded(rng, depth);
    }
    let mut text = format!("SELECT {} FROM {}", items(rng, depth), table(rng));
    while rng.once_in(3) {
        text +=
            &format!(" {} JOIN {}", rng.pick(&["", "INNER", "LEFT", "LEFT OUTER", "FULL OUTER", "RIGHT"]), table(rng));
        text += &within(rng);
        text += &format!(" ON {} = {}", column(rng), column(rng));
    }
    if rng.once_in(3) {
        text += &window(rng);
    }
    for (clause, list) in [("WHERE", 0), ("GROUP BY", 1), ("PARTITION BY", 1), ("HAVING", 0)] {
        if rng.once_in(3) {
            text += &format!(" {clause} {}", if list == 1 { exprs(rng, depth) } else { expr(rng, depth) });
        }
    }
    text += rng.pick(&[" EMIT CHANGES", " EMIT FINAL", " emit changes", ""]);
    text += rng.pick(&["", " LIMIT 10"]);
    text
}

fn within(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => String::new(),
        1 => format!(" WITHIN {}", duration(rng)),
        _ => format!(" WITHIN ({}, {}) GRACE PERIOD {}", duration(rng), duration(rng), duration(rng)),
    }
}

fn window(rng: &mut Rng) -> String {
    let options = match rng.below(3) {
        0 => format!(", RETENTION {}, GRACE PERIOD {}", duration(rng), duration(rng)),
        1 => format!(", GRACE PERIOD {}", duration(rng)),
        _ => String::new(),
    };
    match rng.below(3) {
        0 => format!(" WINDOW TUMBLING (SIZE {}{options})", duration(rng)),
        1 => format!(" WINDOW HOPPING (SIZE {}, ADVANCE BY {}{options})", duration(rng), duration(rng)),
        _ => format!(" WINDOW SESSION ({}{options})", duration(rng)),
    }
}

/// A query of standard SQL.
fn bounded(rng: &mut Rng, depth: usize) -> String {
    let select = format!("SELECT {} FROM {}", items(rng, depth), table(rng));
    if depth == 0 {
        return select;
    }
    let inner = |rng: &mut Rng| bounded(rng, depth - 1);
    match rng.below(9) {
        0 => format!("WITH c AS ({}) SELECT * FROM c, {}", inner(rng), table(rng)),
        1 => format!("{select} UNION ALL ({})", inner(rng)),
        2 => format!("({}) EXCEPT ({}) ORDER BY 1 DESC NULLS LAST LIMIT 3 OFFSET 1", inner(rng), inner(rng)),
        3 => format!("{select} WHERE a IN ({}) OR EXISTS ({})", inner(rng), inner(rng)),
        4 => format!("SELECT * FROM ({}) AS q CROSS JOIN UNNEST(ARRAY[1, 2]) AS u (v)", inner(rng)),
        5 => format!("{select} GROUP BY ROLLUP (a, b), GROUPING SETS ((c), ()) HAVING count(*) > 1"),
        6 => "SELECT sum(a) OVER w, rank() OVER (PARTITION BY b ORDER BY c ROWS 1 PRECEDING) FROM t WINDOW w AS (ORDER BY d)".to_owned(),
        7 => "SELECT count(DISTINCT a) FILTER (WHERE b), first_value(c) IGNORE NULLS OVER (ORDER BY d) FROM t QUALIFY 1 = 1".to_owned(),
        _ => format!("{select} LEFT JOIN LATERAL ({}) q ON TRUE NATURAL JOIN r LEFT ANTI JOIN s USING (id) LIMIT 5", inner(rng)),
    }
}

fn table(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!("{} AS {}", name(rng), name(rng)),
        1 => format!("{} t", name(rng)),
        _ => name(rng).to_owned(),
    }
}

fn items(rng: &mut Rng, depth: usize) -> String {
    let mut items: Vec<String> = Vec::new();
    for _ in 0..1 + rng.below(3) {
        items.push(match rng.below(7) {
            0 => "*".to_owned(),
            1 => format!("{}.*", name(rng)),
            2 => format!("{}->*", column(rng)),
            3 => format!("{} AS {}", expr(rng, depth), name(rng)),
            _ => expr(rng, depth),
        });
    }
    items.join(", ")
}

fn column(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => format!("t.{}", name(rng)),
        1 => format!("{}->{}", name(rng), name(rng)),
        2 => format!("t.{}->{}[{}]->{}", name(rng), name(rng), rng.below(9), name(rng)),
        _ => name(rng).to_owned(),
    }
}

fn exprs(rng: &mut Rng, depth: usize) -> String {
    let exprs: Vec<String> = (0..1 + rng.below(3)).map(|_| expr(rng, depth)).collect();
    exprs.join(", ")
}

/// An expression.
pub fn expr(rng: &mut Rng, depth: usize) -> String {
    if depth == 0 {
        return if rng.once_in(2) { column(rng) } else { rng.pick(LITERALS).to_owned() };
    }
    let a = expr(rng, depth - 1);
    match rng.below(24) {
        0..=4 => format!("{a} {} {}", rng.pick(OPERATORS), expr(rng, depth - 1)),
        5 => format!("({a})"),
        6 => format!("NOT ({a})"),
        7 => format!("-({a})"),
        8..=9 => format!("{}({})", rng.pick(FUNCTIONS), exprs(rng, depth - 1)),
        10 => format!("CAST({a} AS {})", ty(rng, 2)),
        11 => format!("CASE WHEN {a} THEN {} ELSE {} END", expr(rng, depth - 1), expr(rng, depth - 1)),
        12 => format!("CASE {a} WHEN {} THEN 1 END", expr(rng, depth - 1)),
        13 => format!("({a}) {}BETWEEN 1 AND ({})", rng.pick(&["", "NOT "]), expr(rng, depth - 1)),
        14 => format!("({a}) {}IN (1, {})", rng.pick(&["", "NOT "]), exprs(rng, depth - 1)),
        15 => format!("({a}) {}LIKE 'x!%%' ESCAPE '!'", rng.pick(&["", "NOT "])),
        16 => format!("({a}) IS {}NULL", rng.pick(&["", "NOT "])),
        17 => format!("ARRAY[{a}, {}][1]", expr(rng, depth - 1)),
        18 => format!("MAP({a} := {}, 'k' := 1)['k']", expr(rng, depth - 1)),
        19 => format!("STRUCT({} := {a}, b := {})->b", name(rng), expr(rng, depth - 1)),
        20 => format!("TRANSFORM({a}, x => {}, (k, v) => k + v)", expr(rng, depth - 1)),
        21 => format!("REDUCE({a}, 0, (s, x) => s + x)"),
        22 => rng.pick(STANDARD).to_owned(),
        _ => format!("dateadd(DAYS, 5, {a})"),
    }
}

const STANDARD: &[&str] = &[
    "EXTRACT(YEAR FROM ts)",
    "SUBSTRING(s FROM 1 FOR 2)",
    "TRIM(LEADING 'x' FROM s)",
    "POSITION('a' IN s)",
    "ts AT TIME ZONE 'UTC'",
    "OVERLAY(s PLACING 'x' FROM 1)",
    "TRY_CAST(a AS SMALLINT)",
    "a::INT",
    "CURRENT_TIMESTAMP",
    "x = ANY (ARRAY[1])",
    "a ILIKE 'b'",
    "(SELECT max(a) FROM t)",
    "[1, 2][1:2]",
    "COUNT(*)",
    "INTERVAL '5 minutes'",
    "a IS NOT TRUE",
    "+a",
    "~b",
    "a & 1 | 2",
];
