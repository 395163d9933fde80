//! Prints statements as text that parses back to the same statement.
//!
//! The original spelling is not preserved: keywords are in upper case, names are quoted only if necessary, and
//! defaults are omitted. `Statement::text` has the text that the user typed.

mod query;
mod statement;

pub use query::expr;

use std::fmt::{self, Display, Formatter};

use super::ast::{
    ColumnDef, ColumnRole, Duration, Emit, Literal, Property, SourceKind, TimeUnit, Window, WindowKind, Within,
};

/// Words that must be quoted to be used as a name somewhere in a statement.
const RESERVED: &[&str] = &[
    "ADD",
    "ALL",
    "ANALYZE",
    "AND",
    "ARRAY",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLUMN",
    "CONNECTOR",
    "CREATE",
    "CROSS",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "FUNCTION",
    "GROUP",
    "HAVING",
    "HEADER",
    "HEADERS",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MAP",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PARTITION",
    "PRIMARY",
    "RIGHT",
    "SAMPLE",
    "SELECT",
    "SOURCE",
    "STREAMS",
    "STRUCT",
    "SYSTEM",
    "TABLES",
    "THEN",
    "TRUE",
    "UNION",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// A name as SQL: in backticks unless it is a plain word in upper case.
pub fn name(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// The name of a property, which may also be a string.
fn property_name(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { string(name) }
}

fn is_plain(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    starts && plain && !RESERVED.contains(&name)
}

/// A string in quotes.
fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Items separated by commas.
fn list<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(", ")
}

/// `text` if `said`, otherwise nothing.
fn when(said: bool, text: &str) -> &str {
    if said { text } else { "" }
}

/// ` WITH (…)`, or nothing.
fn properties(properties: &[Property]) -> String {
    match properties {
        [] => String::new(),
        some => format!(" WITH ({})", list(some, |it| format!("{} = {}", property_name(&it.name), it.value.value))),
    }
}

/// ` (columns)`, or nothing.
fn columns(columns: &[ColumnDef]) -> String {
    match columns {
        [] => String::new(),
        some => format!(" ({})", list(some, ToString::to_string)),
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Number(digits) => f.write_str(digits),
            Self::String(text) => f.write_str(&string(text)),
        }
    }
}

impl Display for ColumnDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name(&self.name), self.ty.value)?;
        match &self.role.value {
            ColumnRole::Value => Ok(()),
            ColumnRole::Key => f.write_str(" KEY"),
            ColumnRole::PrimaryKey => f.write_str(" PRIMARY KEY"),
            ColumnRole::Headers => f.write_str(" HEADERS"),
            ColumnRole::Header(header) => write!(f, " HEADER({})", string(header)),
        }
    }
}

impl Display for SourceKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "STREAM",
            Self::Table => "TABLE",
        })
    }
}

impl Display for Emit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changes => "EMIT CHANGES",
            Self::Final => "EMIT FINAL",
        })
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.unit)
    }
}

impl Display for TimeUnit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "MILLISECONDS",
            Self::Seconds => "SECONDS",
            Self::Minutes => "MINUTES",
            Self::Hours => "HOURS",
            Self::Days => "DAYS",
        })
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.kind {
            WindowKind::Tumbling { size } => write!(f, "WINDOW TUMBLING (SIZE {size}")?,
            WindowKind::Hopping { size, advance } => write!(f, "WINDOW HOPPING (SIZE {size}, ADVANCE BY {advance}")?,
            WindowKind::Session { gap } => write!(f, "WINDOW SESSION ({gap}")?,
        }
        if let Some(retention) = self.retention {
            write!(f, ", RETENTION {retention}")?;
        }
        if let Some(grace) = self.grace {
            write!(f, ", GRACE PERIOD {grace}")?;
        }
        f.write_str(")")
    }
}

impl Display for Within {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.before == self.after {
            true => write!(f, "WITHIN {}", self.before)?,
            false => write!(f, "WITHIN ({}, {})", self.before, self.after)?,
        }
        match self.grace {
            Some(grace) => write!(f, " GRACE PERIOD {grace}"),
            None => Ok(()),
        }
    }
}
