//! ASSERT: conditions that scripts and tests require.

use super::super::ast::{Assert, CreateSource, Duration, InsertValues, StatementKind};
use super::super::clauses;
use super::super::cursor::{Cursor, Result};
use super::create::named;
use super::{parts, show};

/// Reads what follows ASSERT.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let exists = !cursor.eat(&["NOT", "EXISTS"]);
    let assert = if cursor.eat(&["TOPIC"]) {
        topic(exists, cursor)
    } else if cursor.eat(&["SCHEMA"]) {
        schema(exists, cursor)
    } else if !exists {
        Err(cursor.unexpected("TOPIC or SCHEMA"))
    } else if cursor.eat(&["NULL", "VALUES"]) {
        values(cursor, "KEY").map(Assert::NullValues)
    } else if cursor.eat(&["VALUES"]) {
        values(cursor, "VALUES").map(Assert::Values)
    } else {
        source(cursor)
    };
    assert.map(StatementKind::Assert)
}

fn topic(exists: bool, cursor: &mut Cursor<'_>) -> Result<Assert> {
    let name = show::topic(cursor)?;
    let properties = parts::properties(cursor)?;
    Ok(Assert::Topic { exists, name, properties, timeout: timeout(cursor)? })
}

fn schema(exists: bool, cursor: &mut Cursor<'_>) -> Result<Assert> {
    let subject = match cursor.eat(&["SUBJECT"]) {
        true => Some(show::topic(cursor)?),
        false => None,
    };
    let id = match cursor.eat(&["ID"]) {
        true => Some(cursor.count("the id of a schema")?),
        false => None,
    };
    if subject.is_none() && id.is_none() {
        return Err(cursor.unexpected("SUBJECT or ID"));
    }
    Ok(Assert::Schema { exists, subject, id, timeout: timeout(cursor)? })
}

fn timeout(cursor: &mut Cursor<'_>) -> Result<Option<Duration>> {
    match cursor.eat(&["TIMEOUT"]) {
        true => clauses::duration(cursor).map(Some),
        false => Ok(None),
    }
}

fn values(cursor: &mut Cursor<'_>, before_rows: &str) -> Result<InsertValues> {
    let target = cursor.name("the name of a stream or table")?;
    let columns = parts::names(cursor)?;
    cursor.expect(&[before_rows])?;
    Ok(InsertValues { target, columns, rows: parts::rows(cursor)? })
}

fn source(cursor: &mut Cursor<'_>) -> Result<Assert> {
    let Some(kind) = parts::source_kind(cursor) else {
        return Err(cursor.unexpected("TOPIC, SCHEMA, NOT EXISTS, VALUES, NULL VALUES, STREAM or TABLE"));
    };
    let name = cursor.name(named(kind))?;
    let columns = parts::columns(cursor)?;
    let properties = parts::properties(cursor)?;
    let (or_replace, read_only, if_not_exists) = (false, false, false);
    Ok(Assert::Source(CreateSource { or_replace, read_only, kind, if_not_exists, name, columns, properties }))
}
