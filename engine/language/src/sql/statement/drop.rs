//! DROP: streams, tables, types, functions, connectors.

use super::super::ast::{DropNamed, DropSource, StatementKind};
use super::super::cursor::{Cursor, Result};
use super::create::named;
use super::parts;

/// Reads what follows DROP.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    if let Some(kind) = parts::source_kind(cursor) {
        let if_exists = parts::if_exists(cursor)?;
        let name = cursor.name(named(kind))?;
        let delete_topic = cursor.eat(&["DELETE", "TOPIC"]);
        return Ok(StatementKind::DropSource(DropSource { kind, if_exists, name, delete_topic }));
    }
    if cursor.eat(&["TYPE"]) {
        return dropped(cursor, "the name of a type").map(StatementKind::DropType);
    }
    if cursor.eat(&["FUNCTION"]) {
        return dropped(cursor, "the name of a function").map(StatementKind::DropFunction);
    }
    if cursor.eat(&["CONNECTOR"]) {
        return dropped(cursor, "the name of a connector").map(StatementKind::DropConnector);
    }
    Err(cursor.unexpected("STREAM, TABLE, TYPE, FUNCTION or CONNECTOR"))
}

fn dropped(cursor: &mut Cursor<'_>, what: &str) -> Result<DropNamed> {
    let if_exists = parts::if_exists(cursor)?;
    Ok(DropNamed { if_exists, name: cursor.name(what)? })
}
