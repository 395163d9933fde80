//! INSERT INTO and COPY: rows, and results of queries, that are written to a target.

use sqlparser::tokenizer::Token;

use super::super::ast::{Copy, InsertSelect, InsertValues, StatementKind};
use super::super::cursor::{Cursor, Result};
use super::super::query;
use super::parts;
use crate::diagnostic::{Diagnostic, SYNTAX};

/// Reads what follows INSERT.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.expect(&["INTO"])?;
    let target = cursor.name("the name of a stream or table")?;
    let list = cursor.span();
    let columns = if lists_columns(cursor) { parts::names(cursor)? } else { Vec::new() };
    let listed = cursor.since(list);
    if cursor.eat(&["VALUES"]) {
        return Ok(StatementKind::InsertValues(InsertValues { target, columns, rows: parts::rows(cursor)? }));
    }
    let properties = parts::properties(cursor)?;
    if !query::begins(cursor) {
        return Err(cursor.unexpected("VALUES or SELECT"));
    }
    if !columns.is_empty() {
        return Err(Diagnostic::new(SYNTAX, "a list of columns is only allowed with VALUES")
            .at(listed)
            .hint("Name the columns in the SELECT: INSERT INTO … SELECT x AS column …"));
    }
    Ok(StatementKind::InsertSelect(InsertSelect { target, properties, query: query::parse(cursor)? }))
}

/// A parenthesis opens a list of columns unless it begins a query.
fn lists_columns(cursor: &Cursor<'_>) -> bool {
    let mut inside = *cursor;
    inside.advance();
    cursor.peek() == Some(&Token::LParen)
        && inside.peek() != Some(&Token::LParen)
        && !matches!(inside.peek_word(), Some("SELECT" | "WITH"))
}

/// Reads what follows COPY: `(SELECT …) TO 'file' [WITH (…)]`.
pub(super) fn copy(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    if cursor.peek() != Some(&Token::LParen) {
        return Err(cursor.unexpected("a query in parentheses"));
    }
    let Some((inside, behind)) = cursor.group() else { return Err(parts::unclosed(cursor)) };
    let mut inner = Cursor::new(cursor.text(), inside).before(cursor.rest().get(inside.len() + 1));
    let query = query::parse(&mut inner)?;
    *cursor = behind;
    cursor.expect(&["TO"])?;
    let path = cursor.string("a file name in quotes")?;
    Ok(StatementKind::Copy(Copy { query, path, properties: parts::properties(cursor)? }))
}
