//! The key of a result: what it is made of, and which columns of SELECT hold it.
//!
//! ```text
//! GROUP BY                  its expressions
//! PARTITION BY              its expressions; NULL takes the key away
//! a join                    a column that its conditions make equal, or ROWKEY where no column holds it
//! a join on a foreign key   the key of the left side
//! otherwise                 the key of the source
//! ```
//!
//! What is written to a topic has each part of its key in SELECT exactly once; see [`super::rules::keys`].

use headwater_language::sql::print;
use sqlparser::ast::{Expr, Value, ValueWithSpan};

use super::joins::{self, JoinKind, JoinOn};
use super::query::{Streaming, identifier};
use super::scope::{ColumnRef, Scope, ident};

/// The key of a result.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Why it is the key, for the message that a part is missing.
    pub reason: String,
    /// What SELECT should list.
    pub example: String,
    /// What could be done instead.
    pub alternative: &'static str,
    /// The expression behind a key that the join makes because no column holds it.
    pub made: Option<Expr>,
}

/// A part of a key.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is called where SELECT lacks it.
    pub subject: String,
    /// What it is called where SELECT has it more than once.
    pub repeated: String,
    /// Its expression, for AS_VALUE.
    pub text: String,
    /// Indices of the items of SELECT that hold it.
    pub items: Vec<usize>,
    /// `*` has it although it is no item yet.
    pub in_star: bool,
}

impl Key {
    /// The key of the result of a query.
    pub fn of(query: &Streaming<'_>) -> Self {
        if query.is_grouped() {
            return grouped(query);
        }
        if let Some(list) = &query.query.partition_by {
            return partitioned(query, &list.value);
        }
        if query.is_joined() { Self::of_join(query) } else { of_source(query) }
    }

    /// The key of what the joins of a query give.
    pub fn of_join(query: &Streaming<'_>) -> Self {
        match joins::read(query).split_last() {
            Some((last, _)) if last.is_foreign => of_left_side(query),
            Some((last, before)) => joined(query, last, before),
            None => Self::default(),
        }
    }

    /// The place of an item of SELECT in the key, if it is part of it.
    pub fn rank(&self, item: usize) -> Option<usize> {
        self.parts.iter().position(|part| part.items.contains(&item))
    }
}

/// The expressions of PARTITION BY, each once; none where one is NULL.
pub fn partition_by<'e>(list: &'e [Expr], scope: &Scope) -> Vec<&'e Expr> {
    let mut texts = Vec::new();
    let is_first = |expr: &&Expr| {
        let text = print::expr(&scope.lowered(expr));
        let first = !texts.contains(&text);
        texts.push(text);
        first
    };
    if list.iter().any(is_null) { Vec::new() } else { list.iter().filter(is_first).collect() }
}

/// Whether an expression is the literal NULL.
pub fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Null, .. }))
}

/// The name of a key that no column holds: `ROWKEY`, unless a source has such a column.
pub fn made_name(scope: &Scope) -> String {
    let numbered = (1..).map(|n| format!("ROWKEY_{n}"));
    let mut names = std::iter::once("ROWKEY".to_owned()).chain(numbered);
    names.find(|name| !scope.has(name)).expect("numbers do not end")
}

/// The columns that the last joins make equal; any of them can be the key.
pub fn equal_columns(query: &Streaming<'_>, joins: &[JoinOn]) -> Vec<ColumnRef> {
    let texts = |join: &JoinOn| [&join.left.0, &join.right.0].map(|expr| query.scope.text(expr));
    let columns = |join: &JoinOn| [&join.left.0, &join.right.0].map(|expr| query.scope.column(expr));
    let Some((last, before)) = joins.split_last() else { return Vec::new() };
    if last.kind == JoinKind::Full {
        return Vec::new();
    }
    let (mut equal, mut class) = (texts(last).to_vec(), columns(last).to_vec());
    for join in before.iter().rev() {
        let others = texts(join);
        if join.kind == JoinKind::Full || !others.iter().any(|text| equal.contains(text)) {
            break;
        }
        equal.extend(others);
        class.extend(columns(join));
    }
    let mut class: Vec<ColumnRef> = class.into_iter().flatten().collect();
    class.sort();
    class.dedup();
    class
}

fn items_where(query: &Streaming<'_>, mut holds: impl FnMut(&Expr) -> bool) -> Vec<usize> {
    let items = query.items.iter().enumerate();
    items.filter(|(_, item)| holds(&item.expr)).map(|(at, _)| at).collect()
}

/// A part that messages call by one name.
fn part(noun: &str, text: String, items: Vec<usize>) -> Part {
    let subject = format!("{noun} \"{text}\"");
    Part { repeated: subject.clone(), subject, text, items, in_star: false }
}

fn example(parts: &[Part]) -> String {
    parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn among_columns(query: &Streaming<'_>, key: &str) -> String {
    let sink = query.purpose.sink().unwrap_or_default();
    format!("\"{sink}\" has its key among its columns, under any name: {key}")
}

fn grouped(query: &Streaming<'_>) -> Key {
    let of = |group: &Expr| {
        let text = query.scope.text(group);
        let items = items_where(query, |expr| query.scope.text(expr) == text);
        part("the expression of GROUP BY", text, items)
    };
    let parts: Vec<Part> = query.groups.iter().map(of).collect();
    let example = example(&parts);
    let reason = format!("{}.", among_columns(query, &example));
    Key { parts, reason, example, ..Key::default() }
}

/// Parts that are found in SELECT by the text that they are lowered to.
fn by_text<'e>(query: &Streaming<'_>, noun: &str, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<Part> {
    let of = |expr: &Expr| {
        let text = print::expr(&query.scope.lowered(expr));
        let items = items_where(query, |expr| print::expr(&query.scope.lowered(expr)) == text);
        part(noun, text, items)
    };
    exprs.into_iter().map(of).collect()
}

fn partitioned(query: &Streaming<'_>, list: &[Expr]) -> Key {
    let parts = by_text(query, "the expression of PARTITION BY", partition_by(list, &query.scope));
    let example = example(&parts);
    let read = query.scope.listed();
    let reason = format!("{}, with PARTITION BY of what it reads from {read}.", among_columns(query, &example));
    Key { parts, reason, example, ..Key::default() }
}

fn of_source(query: &Streaming<'_>) -> Key {
    let Some(source) = query.only_source() else { return Key::default() };
    let columns: Vec<Expr> = query.key_columns(0).map(|name| Expr::Identifier(ident(name))).collect();
    let parts = by_text(query, "the key column", &columns);
    let example = example(&parts);
    let reason = format!("{}, as that of \"{}\".", among_columns(query, &example), source.name);
    Key { parts, reason, example, alternative: ", or take another key with PARTITION BY", made: None }
}

fn qualified(query: &Streaming<'_>, column: &ColumnRef) -> String {
    format!("{}.{}", query.scope.members[column.member].alias, column.name)
}

/// The part of a join's key that a column holds. `subject` is what it is called where SELECT lacks it.
fn part_of_join(query: &Streaming<'_>, subject: &str, column: &ColumnRef) -> Part {
    Part {
        subject: format!("the key {subject}"),
        repeated: format!("the key column \"{}\"", query.scope.merged_name(column)),
        text: qualified(query, column),
        items: items_where(query, |expr| query.scope.column(expr).as_ref() == Some(column)),
        in_star: false,
    }
}

fn key_of_join(query: &Streaming<'_>, parts: Vec<Part>, reason: &str) -> Key {
    let sink = query.purpose.sink().unwrap_or_default();
    let reason = format!("{reason} \"{sink}\" has it among its columns, under any name.");
    Key { example: example(&parts), parts, reason, ..Key::default() }
}

/// A join on a foreign key has the whole key of its left side.
fn of_left_side(query: &Streaming<'_>) -> Key {
    let column = |name: &str| ColumnRef { member: 0, name: name.to_owned() };
    let columns = query.key_columns(0).map(column);
    let parts = columns.map(|column| part_of_join(query, &qualified(query, &column), &column)).collect();
    key_of_join(
        query,
        parts,
        &format!("A join on a foreign key has the whole key of \"{}\".", query.scope.members[0].alias),
    )
}

fn joined(query: &Streaming<'_>, last: &JoinOn, before: &[JoinOn]) -> Key {
    let joins: Vec<JoinOn> = before.iter().chain([last]).cloned().collect();
    let class = equal_columns(query, &joins);
    let Some(first) = class.first() else { return made(query, last) };
    let selected = query.items.iter().find_map(|item| query.scope.column(&item.expr).filter(|c| class.contains(c)));
    let any: Vec<String> = class.iter().map(|column| qualified(query, column)).collect();
    let part = part_of_join(query, &any.join(" or "), selected.as_ref().unwrap_or(first));
    key_of_join(query, vec![part], "The key of a join is a column of its condition.")
}

/// The key that is made where no column holds it.
fn made(query: &Streaming<'_>, last: &JoinOn) -> Key {
    let name = made_name(&query.scope);
    let part = Part {
        subject: format!("the key {name}"),
        repeated: format!("the key column \"{name}\""),
        items: items_where(query, |expr| identifier(expr) == Some(&name)),
        in_star: query.selects_all,
        text: name.clone(),
    };
    let reason = format!("No column of a source holds the key of this join, so it is made as {name}.");
    Key { made: Some(last.right.0.clone()), ..key_of_join(query, vec![part], &reason) }
}
