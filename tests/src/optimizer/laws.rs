//! The laws: which queries must return the same rows.

use super::Table;
use super::expressions::{Column, Scope};
use super::queries::{Select, Writer, order_by_all};
use super::tables::{Table as Source, Ty};
use crate::random::Random;

/// Compares the rows of a law's sides.
type Holds = dyn Fn(Vec<Table>) -> Option<(Table, Table)> + Send + Sync;

/// Queries, and a relation that must hold between their rows.
pub struct Law {
    pub name: &'static str,
    pub sides: Vec<Side>,
    /// Returns the two tables that differ, if the law is broken.
    pub holds: Box<Holds>,
    /// Whether all sides are the same query, so that either all of them or none is rejected.
    pub same_query: bool,
}

/// A query and how it is run.
pub struct Side {
    pub query: String,
    pub off: &'static str,
    pub partitions: &'static str,
}

impl Side {
    fn new(query: String) -> Self {
        Self { query, off: "", partitions: "2" }
    }
}

/// A random law about a random query.
pub fn any(random: &mut Random, tables: &[Source]) -> Law {
    let kind = random.below(16);
    let mut writer = Writer { random, tables, windows: true, failures: true };
    match kind {
        0 => parts(&mut writer),
        1 => counted(&mut writer),
        2 => set_operation(&mut writer),
        3 => limited(&mut writer),
        4 => named_before(&mut writer),
        5 => nothing_can_be_known(&mut writer),
        6 => joined_using(&mut writer),
        7 => some_row(&mut writer),
        8 => swapped(&mut writer),
        _ => without_rules(&mut writer),
    }
}

/// With and without optimizer rules, the rows are the same, in the same order if ORDER BY determines it.
fn without_rules(writer: &mut Writer<'_>) -> Law {
    let (query, is_ordered) = query(writer);
    let side = |off, partitions| Side { query: query.clone(), off, partitions };
    let sides = vec![side("", "2"), side("", "1"), side("all", "1")];
    let sorted = move |table: Table| if is_ordered { table } else { sorted(table) };
    let holds = move |tables: Vec<Table>| {
        let tables: Vec<Table> = tables.into_iter().map(&sorted).collect();
        let last = tables.last()?.clone();
        tables.into_iter().find(|table| *table != last).map(|table| (table, last))
    };
    Law { name: "rules change nothing", sides, holds: Box::new(holds), same_query: true }
}

fn query(writer: &mut Writer<'_>) -> (String, bool) {
    let select = writer.select(None, 2);
    let (mut text, types) = (select.text(), select.types.clone());
    if writer.random.one_in(5) && select.grouping.is_empty() {
        let other = writer.select(Some(&types), 1);
        let op = *writer.random.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        text = format!("{text} {op} {}", other.text());
    } else if writer.random.one_in(4) {
        // ORDER BY a name refers to the column of the result.
        let by: Vec<&str> = select.list.iter().map(|(_, name)| name.as_str()).collect();
        let direction = *writer.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let limit = if writer.random.one_in(2) { writer.limit() } else { String::new() };
        return (format!("{text} ORDER BY {}{direction}{}{limit}", by[0], rest(&by)), true);
    }
    match writer.random.below(3) {
        0 => (format!("{text}{}{}", order_by_all(types.len()), writer.limit()), true),
        1 => (format!("{text}{}", order_by_all(types.len())), true),
        _ => (text, false),
    }
}

fn rest(names: &[&str]) -> String {
    names[1..].iter().map(|name| format!(", {name}")).collect()
}

/// The rows for which a condition is true, false and unknown are together all rows.
fn parts(writer: &mut Writer<'_>) -> Law {
    // An expression that fails is NULL as a whole, so neither it nor its negation keeps the row.
    (writer.windows, writer.failures) = (false, false);
    let select = Select { condition: None, ..writer.plain(&[], 2) };
    let columns = select.from.columns.clone();
    let condition = writer.condition(Scope { columns: &columns, depth: 1 }, 3);
    let part = |condition: String| Side::new(select.text_where(Some(&condition)));
    let sides = vec![
        Side::new(select.text_where(None)),
        part(condition.clone()),
        part(format!("NOT ({condition})")),
        part(format!("({condition}) IS NULL")),
    ];
    let holds = |mut tables: Vec<Table>| {
        let all = tables.remove(0);
        differing(all, tables.concat())
    };
    Law { name: "a condition parts the rows", sides, holds: Box::new(holds), same_query: false }
}

/// The number of rows that a condition keeps is the number of rows for which it is true.
fn counted(writer: &mut Writer<'_>) -> Law {
    let select = writer.plain(&[Ty::Int], 2);
    let Some(condition) = select.condition.clone() else { return without_rules(writer) };
    let of = &select.from.text;
    let kept = format!("SELECT 1 AS one FROM {of} WHERE {condition}");
    let counted = format!("SELECT COUNT(CASE WHEN {condition} THEN 1 ELSE CAST(NULL AS INT) END) AS n FROM {of}");
    let holds = |tables: Vec<Table>| {
        let counted = vec![vec![tables[0].len().to_string()]];
        differing(counted, tables[1].clone())
    };
    let sides = vec![Side::new(kept), Side::new(counted)];
    Law { name: "a condition keeps rows for which it is true", sides, holds: Box::new(holds), same_query: false }
}

/// UNION, INTERSECT and EXCEPT follow the definitions for multisets.
fn set_operation(writer: &mut Writer<'_>) -> Law {
    let left = writer.plain(&[], 1);
    let right = Select { distinct: writer.random.one_in(5), ..writer.plain(&left.types, 1) };
    let op = *writer.random.pick(&["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]);
    let (left, right) = (left.text(), right.text());
    let sides = vec![Side::new(left.clone()), Side::new(right.clone()), Side::new(format!("({left}) {op} ({right})"))];
    let holds = move |tables: Vec<Table>| {
        let [left, right, found] = <[Table; 3]>::try_from(tables).ok()?;
        differing(combined(op, left, right), found)
    };
    Law { name: "set operations are of multisets", sides, holds: Box::new(holds), same_query: false }
}

fn combined(op: &str, left: Table, mut right: Table) -> Table {
    let mut found = Table::new();
    let all = op.ends_with("ALL");
    for row in &left {
        let partner = right.iter().position(|other| other == row);
        if let Some(at) = partner.filter(|_| all && !op.starts_with("UNION")) {
            right.remove(at);
        }
        if op.starts_with("UNION") || partner.is_some() == op.starts_with("INTERSECT") {
            found.push(row.clone());
        }
    }
    if op.starts_with("UNION") {
        found.append(&mut right);
    }
    if !all {
        found.sort();
        found.dedup();
    }
    found
}

/// LIMIT and OFFSET select from the rows without them.
fn limited(writer: &mut Writer<'_>) -> Law {
    let select = writer.select(None, 2);
    let ordered = format!("{}{}", select.text(), order_by_all(select.types.len()));
    let (limit, offset) = (writer.random.below(5), writer.random.below(4));
    let cut = format!("SELECT * FROM ({ordered} LIMIT {limit} OFFSET {offset}) AS q ORDER BY 1 DESC");
    let holds = move |tables: Vec<Table>| {
        let all = tables[0].iter().skip(offset).take(limit).cloned().collect();
        differing(all, tables[1].clone())
    };
    let sides = vec![Side::new(ordered), Side::new(cut)];
    Law { name: "LIMIT cuts", sides, holds: Box::new(holds), same_query: false }
}

/// A subquery can be named in WITH or in place.
fn named_before(writer: &mut Writer<'_>) -> Law {
    let inner = writer.select(None, 1);
    let name = "z";
    let columns: Vec<Column> = inner
        .list
        .iter()
        .zip(&inner.types)
        .map(|((_, column), ty)| Column { texts: vec![format!("{name}.{column}")], ty: *ty })
        .collect();
    let scope = Scope { columns: &columns, depth: 1 };
    let (value, condition) = (writer.value(inner.types[0], scope, 1), writer.condition(scope, 2));
    let rest = format!("SELECT {value} AS a, COUNT(*) AS b FROM {{}} WHERE {condition} GROUP BY {value}");
    let (before, inside) = (
        format!("WITH {name} AS ({}) {}", inner.text(), rest.replace("{}", name)),
        rest.replace("{}", &format!("({}) AS {name}", inner.text())),
    );
    law_of_two("a name before is the same as within", before, inside)
}

/// Adding a condition that is always true, but not provably so, changes nothing.
fn nothing_can_be_known(writer: &mut Writer<'_>) -> Law {
    let select = writer.select(None, 2);
    let always =
        *writer.random.pick(&["(SELECT COUNT(*) FROM m) >= 0", "RANDOM() >= 0e0", "EXISTS (SELECT COUNT(*) FROM m)"]);
    let condition = select.condition.as_deref().map_or(always.to_owned(), |known| format!("({known}) AND {always}"));
    law_of_two("what is always true changes nothing", select.text(), select.text_where(Some(&condition)))
}

fn law_of_two(name: &'static str, one: String, other: String) -> Law {
    let holds = |tables: Vec<Table>| differing(tables[0].clone(), tables[1].clone());
    Law { name, sides: vec![Side::new(one), Side::new(other)], holds: Box::new(holds), same_query: false }
}

/// The column of a USING is the first non-NULL value of the two sides.
fn joined_using(writer: &mut Writer<'_>) -> Law {
    let shared: Vec<&str> = writer.tables[0]
        .columns
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| writer.tables[1].columns.iter().any(|(other, _)| other == name))
        .collect();
    let (column, kind) =
        (*writer.random.pick(&shared), *writer.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]));
    let either = format!("COALESCE(l.{column}, r.{column})");
    let (using, on) = (format!("l {kind} r USING ({column})"), format!("l {kind} r ON l.{column} = r.{column}"));
    let (one, other) = match writer.random.below(4) {
        0 => (format!("SELECT {column} FROM {using}"), format!("SELECT {either} AS c FROM {on}")),
        1 => (
            format!("SELECT {column}, COUNT(*) AS n FROM {using} GROUP BY {column}"),
            format!("SELECT {either} AS c, COUNT(*) AS n FROM {on} GROUP BY {either}"),
        ),
        2 => (
            format!("SELECT l.k AS a, r.k AS b FROM {using} WHERE {column} IS NOT NULL"),
            format!("SELECT l.k AS a, r.k AS b FROM {on} WHERE {either} IS NOT NULL"),
        ),
        _ => (
            format!(
                "SELECT {column} AS c, (SELECT COUNT(*) FROM m WHERE m.k = l.k) AS n FROM {using} ORDER BY {column}"
            ),
            format!("SELECT {either} AS c, (SELECT COUNT(*) FROM m WHERE m.k = l.k) AS n FROM {on}"),
        ),
    };
    law_of_two("USING is the value of either side", one, other)
}

/// EXISTS is true if there are rows to count, and IN if one of them is equal.
fn some_row(writer: &mut Writer<'_>) -> Law {
    let inner = *writer.random.pick(&["r", "m"]);
    let aggregates = ["", " HAVING COUNT(*) = 0", " HAVING COUNT(*) > 1", " HAVING MAX(z.k) IS NULL"];
    let having = *writer.random.pick(&aggregates);
    let counted = format!("(SELECT COUNT(*) FROM {inner} AS z WHERE z.k = l.k)");
    let negated = *writer.random.pick(&["", "NOT "]);
    let (condition, meant) = match writer.random.below(3) {
        0 => {
            let meant = match having {
                "" => "true".to_owned(),
                " HAVING MAX(z.k) IS NULL" => format!("(SELECT MAX(z.k) FROM {inner} AS z WHERE z.k = l.k) IS NULL"),
                having => format!("{counted} {}", having.trim_start_matches(" HAVING COUNT(*) ")),
            };
            (format!("EXISTS (SELECT COUNT(*) AS n FROM {inner} AS z WHERE z.k = l.k{having})"), meant)
        }
        1 => (format!("EXISTS (SELECT 1 AS one FROM {inner} AS z WHERE z.k = l.k)"), format!("{counted} > 0")),
        _ => {
            let value = *writer.random.pick(&["0", "1", "l.k"]);
            let op = *writer.random.pick(&["IN", "= ANY", "= ALL"]);
            (
                format!("{value} {op} (SELECT COUNT(*) AS n FROM {inner} AS z WHERE z.k = l.k)"),
                format!("{value} = {counted}"),
            )
        }
    };
    let query = |condition: &str| match negated {
        "" => format!("SELECT l.k FROM l WHERE {condition}"),
        _ => format!("SELECT l.k, {condition} AS b FROM l WHERE NOT ({condition})"),
    };
    law_of_two("EXISTS and IN are about rows", query(&condition), query(&meant))
}

/// A LEFT JOIN is a RIGHT JOIN with the sides swapped.
fn swapped(writer: &mut Writer<'_>) -> Law {
    let columns: Vec<Column> = writer.tables[..2]
        .iter()
        .flat_map(|table| {
            table.columns.iter().map(|(column, ty)| Column { texts: vec![format!("{}.{column}", table.name)], ty: *ty })
        })
        .collect();
    let scope = Scope { columns: &columns, depth: 0 };
    let (on, condition) = (writer.condition(scope, 2), writer.condition(scope, 3));
    let value = writer.value(Ty::Int, scope, 2);
    let select =
        |joined: &str| format!("SELECT {value} AS a, l.k AS b, r.k AS c FROM {joined} ON {on} WHERE {condition}");
    match writer.random.below(2) {
        0 => law_of_two("joins can be turned round", select("l LEFT JOIN r"), select("r RIGHT JOIN l")),
        _ => law_of_two("joins can be turned round", select("l FULL JOIN r"), select("r FULL JOIN l")),
    }
}

fn sorted(mut table: Table) -> Table {
    table.sort();
    table
}

fn differing(one: Table, other: Table) -> Option<(Table, Table)> {
    let (one, other) = (sorted(one), sorted(other));
    (one != other).then_some((one, other))
}
