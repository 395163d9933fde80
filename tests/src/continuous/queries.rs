//! Random queries: aggregates of streams and tables, joins of each kind, and queries over what these write.

use super::records::World;
use crate::random::Random;

/// A query, and what is known of the stream or table that it writes.
pub(super) struct Made {
    /// The name of what it writes.
    pub(super) name: String,
    pub(super) statement: String,
    /// The columns by which its rows are sorted.
    pub(super) order: Vec<String>,
    /// The key columns of a table; none for a stream.
    pub(super) keys: Vec<String>,
    pub(super) is_windowed: bool,
    /// Whether it has groups of rows that another query writes. Groups that have lost all rows stay, and the other query does not
    /// write what comes and goes within one of its commits.
    pub(super) may_be_empty: bool,
}

/// Aggregates, and whether they do not depend on the order of records.
const AGGREGATES: [(&str, bool); 15] = [
    ("COUNT(*) AS n", true),
    ("COUNT(a) AS ca", true),
    ("COALESCE(SUM(a), 0) AS sa", true),
    ("MIN(a) AS mi", true),
    ("MAX(d) AS md", true),
    ("COALESCE(AVG(a), 0) AS av", true),
    ("COLLECT_LIST(a) AS cl", false),
    ("COLLECT_SET(b) AS cs", false),
    ("LATEST_BY_OFFSET(a) AS la", false),
    ("EARLIEST_BY_OFFSET(b) AS eb", false),
    ("TOPK(a, 2) AS tk", true),
    ("COUNT_DISTINCT(b) AS cd", true),
    ("MAX(ROWTIME) AS mt", true),
    ("HISTOGRAM(b) AS h", false),
    ("STDDEV_SAMP(d) AS sd", false),
];
/// Aggregates that can be undone, whether they do not depend on the order of records, and whether the bounded query has the same.
const UNDOABLE: [(&str, bool, bool); 6] = [
    ("COUNT(a) AS ca", true, true),
    ("COALESCE(SUM(a), 0) AS sa", true, true),
    ("HISTOGRAM(b) AS h", false, true),
    ("AVG(a) AS av", true, false),
    ("SUM(d) AS sd", true, false),
    ("COLLECT_LIST(a) AS cl", false, false),
];

/// A query, and perhaps one over what it writes.
pub(super) fn some(random: &mut Random, world: &World, number: usize) -> Vec<Made> {
    let first = match random.below(if world.has_fixed_tables { 10 } else { 8 }) {
        0 | 1 => return vec![aggregate(random, world, number)],
        2 => return vec![table_aggregate(random, world, number)],
        3 | 4 => streams(random, world, number),
        5 | 6 => tables(random, world, number),
        7 => foreign(random, number),
        _ => stream_table(random, world, number),
    };
    let second = match (random.below(2), first.keys.is_empty()) {
        (0, _) => None,
        (_, true) => Some(of_stream(random, world, number, &first)),
        (_, false) => Some(of_table(number, &first)),
    };
    [Some(first), second].into_iter().flatten().collect()
}

/// A query over one of the streams.
fn aggregate(random: &mut Random, world: &World, number: usize) -> Made {
    let keys = *random.pick(&[&["k"][..], &["b"], &["a"], &["k", "b"]]);
    let fitting = AGGREGATES.iter().filter(|(_, is_orderless)| *is_orderless || world.partitions == 1);
    let columns = random.some(&fitting.map(|(text, _)| *text).collect::<Vec<_>>(), 4);
    let window = (!random.one_in(3)).then(|| window(random, world));
    let having = *random.pick(&["", "", " HAVING COUNT(*) > 1", " HAVING SUM(a) > 0"]);
    let is_final = window.is_some() && !world.is_judged && random.one_in(3);
    let name = format!("q{number}");
    let statement = format!(
        "CREATE TABLE {name} WITH (KEY_FORMAT = 'JSON') AS SELECT {}, {} FROM s1{}{} GROUP BY {}{having} EMIT {};",
        keys.join(", "),
        columns.join(", "),
        window.clone().unwrap_or_default(),
        condition(random, ""),
        keys.join(", "),
        if is_final { "FINAL" } else { "CHANGES" },
    );
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let is_windowed = window.is_some();
    let start = is_windowed.then(|| "windowstart".to_owned());
    let order = keys.iter().cloned().chain(start).collect();
    Made { name, statement, order, keys, is_windowed, may_be_empty: false }
}

fn table_aggregate(random: &mut Random, world: &World, number: usize) -> Made {
    let keys = *random.pick(&[&["b"][..], &["a"], &["b", "a"]]);
    let fits = |is_orderless, is_same| (is_orderless || world.partitions == 1) && (is_same || !world.is_judged);
    let fitting = UNDOABLE.iter().filter(|(_, is_orderless, is_same)| fits(*is_orderless, *is_same));
    let columns = random.some(&fitting.map(|(text, ..)| *text).collect::<Vec<_>>(), 3);
    let having = *random.pick(&["", "", " HAVING COUNT(*) > 1", " HAVING SUM(a) > 0"]);
    let (name, groups, columns) = (format!("q{number}"), keys.join(", "), columns.join(", "));
    let condition = condition(random, "");
    let statement = format!(
        "CREATE TABLE {name} WITH (KEY_FORMAT = 'JSON') AS SELECT {groups}, COUNT(*) AS n, {columns} FROM t1{condition} GROUP BY {groups}{having} EMIT CHANGES;"
    );
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    Made { name, statement, order: keys.clone(), keys, is_windowed: false, may_be_empty: false }
}

/// A join of streams. Rows of several partitions meet in an order that nothing fixes, so none is late, and none waits for a match.
fn streams(random: &mut Random, world: &World, number: usize) -> Made {
    let is_ordered = world.partitions == 1 && !world.is_judged;
    let kind = if is_ordered { *random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]) } else { "JOIN" };
    let within_ms = (world.span_ms / *random.pick(&[2, 5, 20])).max(1);
    let within = match random.below(2) {
        0 => format!("{within_ms} MILLISECONDS"),
        _ => format!("({within_ms} MILLISECONDS, {} MILLISECONDS)", within_ms * random.below(3)),
    };
    let grace = match is_ordered {
        true if random.one_in(3) => String::new(),
        true => format!(" GRACE PERIOD {} MILLISECONDS", random.pick(&[0, world.span_ms / 10, world.span_ms])),
        false => format!(" GRACE PERIOD {} MILLISECONDS", world.span_ms * 10),
    };
    let (column, other) = (*random.pick(&["k", "b"]), *random.pick(&["s2", "s2", "s1"]));
    let (key, condition) = match kind {
        "FULL JOIN" => ("ROWKEY".to_owned(), String::new()),
        "RIGHT JOIN" => (format!("y.{column}"), condition(random, "x.")),
        _ => (format!("x.{column}"), condition(random, "x.")),
    };
    let name = format!("q{number}");
    let statement = format!(
        "CREATE STREAM {name} AS SELECT {key} AS j, x.a AS xa, y.a AS ya, AS_VALUE(x.b) AS xb, y.d AS yd FROM s1 x {kind} {other} y WITHIN {within}{grace} ON x.{column} = y.{column}{condition} EMIT CHANGES;"
    );
    joined(name, statement, false)
}

/// A join of a stream with a table. Which row of the table a row meets depends on the order of records, so the tables are fixed.
fn stream_table(random: &mut Random, world: &World, number: usize) -> Made {
    let column = *random.pick(&["k", "b"]);
    let is_keyed = column == "k" || !world.is_judged;
    let kind = if is_keyed { *random.pick(&["JOIN", "LEFT JOIN"]) } else { "JOIN" };
    let (name, condition) = (format!("q{number}"), condition(random, "x."));
    let statement = format!(
        "CREATE STREAM {name} AS SELECT x.{column} AS j, x.a AS xa, y.a AS ya, y.b AS xb, y.d AS yd FROM s1 x {kind} t1 y ON x.{column} = y.k{condition} EMIT CHANGES;"
    );
    joined(name, statement, false)
}

fn tables(random: &mut Random, world: &World, number: usize) -> Made {
    let kinds = &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "FULL JOIN"][..if world.is_judged { 3 } else { 5 }];
    let kind = *random.pick(kinds);
    let key = match kind {
        "FULL JOIN" => "ROWKEY",
        "RIGHT JOIN" => "y.k",
        _ => "x.k",
    };
    let (name, other) = (format!("q{number}"), *random.pick(&["t2", "t2", "t1"]));
    let condition = random.pick(&["", "", " WHERE x.a > 0", " WHERE y.a IS NULL"]);
    let statement = format!(
        "CREATE TABLE {name} AS SELECT {key} AS j, x.a AS xa, y.a AS ya, x.b AS xb, y.d AS yd FROM t1 x {kind} {other} y ON x.k = y.k{condition} EMIT CHANGES;"
    );
    joined(name, statement, true)
}

fn foreign(random: &mut Random, number: usize) -> Made {
    let (name, other) = (format!("q{number}"), *random.pick(&["t2", "t2", "t1"]));
    let (kind, condition) = (*random.pick(&["JOIN", "LEFT JOIN"]), condition(random, "x."));
    let statement = format!(
        "CREATE TABLE {name} AS SELECT x.k AS j, x.a AS xa, y.a AS ya, x.b AS xb, y.d AS yd FROM t1 x {kind} {other} y ON x.b = y.k{condition} EMIT CHANGES;"
    );
    joined(name, statement, true)
}

/// What is known of a join.
fn joined(name: String, statement: String, is_table: bool) -> Made {
    let order = ["j", "xa", "ya", "xb", "yd"].map(str::to_owned).into();
    let keys = if is_table { vec!["j".to_owned()] } else { Vec::new() };
    Made { name, statement, order, keys, is_windowed: false, may_be_empty: false }
}

/// A query over the stream that a join writes.
fn of_stream(random: &mut Random, world: &World, number: usize, first: &Made) -> Made {
    let (name, source) = (format!("r{number}"), &first.name);
    if world.has_fixed_tables && random.one_in(2) {
        let statement = format!(
            "CREATE STREAM {name} AS SELECT x.j AS j, x.xa AS xa, y.a AS ya, x.xb AS xb, x.yd AS yd FROM {source} x JOIN t2 y ON x.j = y.k EMIT CHANGES;"
        );
        return joined(name, statement, false);
    }
    let window = (!random.one_in(2)).then(|| window(random, world));
    let (key, windowed) = (*random.pick(&["j", "xb"]), window.clone().unwrap_or_default());
    let statement = format!(
        "CREATE TABLE {name} AS SELECT {key}, COUNT(*) AS n, COALESCE(SUM(xa), 0) AS s, COUNT(ya) AS c FROM {source}{windowed} GROUP BY {key} EMIT CHANGES;"
    );
    let is_windowed = window.is_some();
    let start = is_windowed.then(|| "windowstart".to_owned());
    let keys = vec![key.to_owned()];
    Made { name, statement, order: keys.iter().cloned().chain(start).collect(), keys, is_windowed, may_be_empty: false }
}

/// A query over the table that a join writes.
fn of_table(number: usize, first: &Made) -> Made {
    let (name, source, keys) = (format!("r{number}"), &first.name, vec!["xb".to_owned()]);
    let statement = format!(
        "CREATE TABLE {name} AS SELECT xb, COUNT(*) AS n, COALESCE(SUM(xa), 0) AS s FROM {source} GROUP BY xb EMIT CHANGES;"
    );
    Made { name, statement, order: keys.clone(), keys, is_windowed: false, may_be_empty: true }
}

fn window(random: &mut Random, world: &World) -> String {
    let size_ms = (world.span_ms / *random.pick(&[3, 5, 10])).max(2);
    let grace_ms = *random.pick(&[0, world.span_ms / 10, world.span_ms]);
    let grace = match world.partitions {
        1 if random.one_in(2) => String::new(),
        1 => format!(", GRACE PERIOD {grace_ms} MILLISECONDS"),
        _ => format!(", GRACE PERIOD {} MILLISECONDS", world.span_ms * 10),
    };
    match random.below(3) {
        0 => format!(" WINDOW TUMBLING (SIZE {size_ms} MILLISECONDS{grace})"),
        1 => {
            let advance_ms = size_ms / (1 + random.below(3));
            format!(" WINDOW HOPPING (SIZE {size_ms} MILLISECONDS, ADVANCE BY {advance_ms} MILLISECONDS{grace})")
        }
        _ => format!(" WINDOW SESSION ({size_ms} MILLISECONDS{grace})"),
    }
}

/// A condition on the columns of a stream or table.
fn condition(random: &mut Random, prefix: &str) -> String {
    let p = prefix;
    match random.below(5) {
        0 => format!(" WHERE {p}a > 0"),
        1 => format!(" WHERE {p}b IS NOT NULL"),
        2 => format!(" WHERE {p}a % 2 = 0 OR {p}d > 1"),
        _ => String::new(),
    }
}
