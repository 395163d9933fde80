//! The key of a result: its parts, and the columns of SELECT that contain them.
//!
//! ```text
//! GROUP BY                  its expressions
//! PARTITION BY              its expressions; NULL removes the key
//! a join                    a column that its conditions make equal, or ROWKEY if no column contains it
//! a foreign-key join        the key of the left side
//! otherwise                 the key of the source
//! ```
//!
//! If the result is written to a topic, SELECT must contain each part of the key exactly once; see
//! [`super::rules::keys`].

use headwater_language::definition::SourceKind;
use headwater_language::sql::print;
use headwater_language::topology::JoinKind;
use sqlparser::ast::{Expr, Value, ValueWithSpan};

use super::joins::{self, JoinOn};
use super::query::{Streaming, identifier};
use super::scope::{ColumnRef, Scope, ident};

/// The key of a result.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// The parts of the key, in order.
    pub parts: Vec<Part>,
    /// Why this is the key, for the message about a missing part.
    pub reason: String,
    /// The columns that SELECT should list.
    pub example: String,
    /// An alternative to suggest.
    pub alternative: &'static str,
    /// The expression of a key that the join creates because no column contains it.
    pub made: Option<Expr>,
}

/// A part of a key.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name of the part in the message that SELECT lacks it.
    pub subject: String,
    /// The name of the part in the message that SELECT contains it twice.
    pub repeated: String,
    /// The expression, for use in AS_VALUE.
    pub text: String,
    /// The indices of the items of SELECT that contain it.
    pub items: Vec<usize>,
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

    /// The key of the result of a query's joins.
    pub fn of_join(query: &Streaming<'_>) -> Self {
        match joins::read(query).split_last() {
            Some((last, _)) if last.is_foreign => of_left_side(query),
            Some((last, before)) => joined(query, last, before),
            None => Self::default(),
        }
    }

    /// The position of an item of SELECT in the key, if it is part of the key.
    pub fn rank(&self, item: usize) -> Option<usize> {
        self.parts.iter().position(|part| part.items.contains(&item))
    }
}

/// The expressions of PARTITION BY, without duplicates; empty if one is NULL.
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

/// The name of a key that no column contains: `ROWKEY`, unless a source has such a column.
pub fn made_name(scope: &Scope) -> String {
    let numbered = (1..).map(|n| format!("ROWKEY_{n}"));
    let mut names = std::iter::once("ROWKEY".to_owned()).chain(numbered);
    names.find(|name| !scope.has(name)).expect("there is always a next number")
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

/// A part that has the same name in all messages.
fn part(noun: &str, text: String, items: Vec<usize>) -> Part {
    let subject = format!("{noun} \"{text}\"");
    Part { repeated: subject.clone(), subject, text, items }
}

fn example(parts: &[Part]) -> String {
    parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn among_columns(query: &Streaming<'_>, key: &str) -> String {
    let sink = query.purpose.sink().unwrap_or_default();
    format!("The columns of \"{sink}\" must include its key, under any name: {key}")
}

fn grouped(query: &Streaming<'_>) -> Key {
    let of = |group: &Expr| {
        let text = query.scope.text(group);
        let items = items_where(query, |expr| query.scope.text(expr) == text);
        part("the GROUP BY expression", text, items)
    };
    let parts: Vec<Part> = query.groups.iter().map(of).collect();
    let example = example(&parts);
    let reason = format!("{}.", among_columns(query, &example));
    Key { parts, reason, example, ..Key::default() }
}

/// Parts that are found in SELECT by comparing lowered expressions.
fn by_text<'e>(query: &Streaming<'_>, noun: &str, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<Part> {
    let of = |expr: &Expr| {
        let text = print::expr(&query.scope.lowered(expr));
        let items = items_where(query, |expr| print::expr(&query.scope.lowered(expr)) == text);
        part(noun, text, items)
    };
    exprs.into_iter().map(of).collect()
}

fn partitioned(query: &Streaming<'_>, list: &[Expr]) -> Key {
    let parts = by_text(query, "the PARTITION BY expression", partition_by(list, &query.scope));
    let example = example(&parts);
    let read = query.scope.listed();
    let reason = format!("{}. PARTITION BY is evaluated on the rows read from {read}.", among_columns(query, &example));
    Key { parts, reason, example, ..Key::default() }
}

fn of_source(query: &Streaming<'_>) -> Key {
    let Some(source) = query.only_source() else { return Key::default() };
    let columns: Vec<Expr> = query.key_columns(0).map(|name| Expr::Identifier(ident(name))).collect();
    let parts = by_text(query, "the key column", &columns);
    let example = example(&parts);
    let reason = format!("{} (the key of \"{}\").", among_columns(query, &example), source.name);
    let can_be_rekeyed = source.kind == SourceKind::Stream && source.window.is_none();
    let alternative = if can_be_rekeyed { ", or choose another key with PARTITION BY" } else { "" };
    Key { parts, reason, example, alternative, made: None }
}

fn qualified(query: &Streaming<'_>, column: &ColumnRef) -> String {
    format!("{}.{}", query.scope.members[column.member].alias, column.name)
}

/// The part of a join's key that a column contains. `subject` is its name in the message that SELECT lacks it.
fn part_of_join(query: &Streaming<'_>, subject: &str, column: &ColumnRef) -> Part {
    Part {
        subject: format!("the key {subject}"),
        repeated: format!("the key column \"{}\"", query.scope.merged_name(column)),
        text: qualified(query, column),
        items: items_where(query, |expr| query.scope.column(expr).as_ref() == Some(column)),
    }
}

fn key_of_join(query: &Streaming<'_>, parts: Vec<Part>, reason: &str) -> Key {
    let sink = query.purpose.sink().unwrap_or_default();
    let reason = format!("{reason} The columns of \"{sink}\" must include it, under any name.");
    Key { example: example(&parts), parts, reason, ..Key::default() }
}

/// A foreign-key join has the whole key of its left side.
fn of_left_side(query: &Streaming<'_>) -> Key {
    let column = |name: &str| ColumnRef { member: 0, name: name.to_owned() };
    let columns = query.key_columns(0).map(column);
    let parts = columns.map(|column| part_of_join(query, &qualified(query, &column), &column)).collect();
    key_of_join(
        query,
        parts,
        &format!("The key of a foreign-key join is the whole key of \"{}\".", query.scope.members[0].alias),
    )
}

fn joined(query: &Streaming<'_>, last: &JoinOn, before: &[JoinOn]) -> Key {
    let joins: Vec<JoinOn> = before.iter().chain([last]).cloned().collect();
    let class = equal_columns(query, &joins);
    let Some(first) = class.first() else { return made(query, last) };
    // If several are selected, the first one is the key; those that a `*` includes come last.
    let (written, of_star): (Vec<_>, Vec<_>) = query.items.iter().partition(|item| item.span.is_some());
    let mut items = written.into_iter().chain(of_star);
    let selected = items.find_map(|item| query.scope.column(&item.expr).filter(|column| class.contains(column)));
    let any: Vec<String> = class.iter().map(|column| qualified(query, column)).collect();
    let part = part_of_join(query, &any.join(" or "), selected.as_ref().unwrap_or(first));
    key_of_join(query, vec![part], "The key of a join is a column of its condition.")
}

/// The key that is created because no column contains it.
fn made(query: &Streaming<'_>, last: &JoinOn) -> Key {
    let name = made_name(&query.scope);
    let part = Part {
        subject: format!("the key {name}"),
        repeated: format!("the key column \"{name}\""),
        items: items_where(query, |expr| identifier(expr) == Some(&name)),
        text: name.clone(),
    };
    let reason = format!("No source column contains the key of this join, so the key column {name} is created.");
    Key { made: Some(last.right.0.clone()), ..key_of_join(query, vec![part], &reason) }
}
