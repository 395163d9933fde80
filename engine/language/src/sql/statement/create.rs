//! CREATE: streams, tables, types, functions, connectors.

use sqlparser::tokenizer::Token;

use super::super::ast::{
    ConnectorKind, CreateAs, CreateConnector, CreateFunction, CreateSource, CreateType, Name, SourceKind, Spanned,
    StatementKind,
};
use super::super::cursor::{Cursor, Result};
use super::super::{data_type, query};
use super::parts;
use crate::diagnostic::{BAD_TYPE, Diagnostic, SYNTAX};
use crate::types::SqlType;

/// Reads what follows CREATE.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let replace = cursor.span();
    let or_replace = cursor.eat(&["OR", "REPLACE"]);
    let replaced = cursor.since(replace);
    if cursor.eat(&["FUNCTION"]) {
        return function(or_replace, cursor);
    }
    if cursor.peek_words(&["SOURCE", "CONNECTOR"]) || cursor.peek_words(&["SINK"]) || cursor.peek_words(&["TYPE"]) {
        if or_replace {
            return Err(
                Diagnostic::new(SYNTAX, "OR REPLACE is only allowed for streams, tables and functions").at(replaced)
            );
        }
        return if cursor.eat(&["TYPE"]) { create_type(cursor) } else { connector(cursor) };
    }
    source(or_replace, cursor)
}

fn source(or_replace: bool, cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let read_only = cursor.eat(&["SOURCE"]);
    let Some(kind) = parts::source_kind(cursor) else {
        return Err(cursor.unexpected(match (read_only, or_replace) {
            (true, _) => "STREAM, TABLE or CONNECTOR",
            (_, true) => "STREAM, TABLE, SOURCE or FUNCTION",
            _ => "STREAM, TABLE, SOURCE, TYPE, FUNCTION or SINK",
        }));
    };
    let if_not_exists = parts::if_not_exists(cursor)?;
    let name = cursor.name(named(kind))?;
    let behind_name = *cursor;
    let columns = parts::columns(cursor)?;
    let properties = parts::properties(cursor)?;
    if !cursor.eat(&["AS"]) {
        check_source_end(cursor, &behind_name)?;
        let source = CreateSource { or_replace, read_only, kind, if_not_exists, name, columns, properties };
        return Ok(StatementKind::CreateSource(source));
    }
    if read_only || behind_name.peek() == Some(&Token::LParen) {
        return Err(no_query_here(read_only, cursor));
    }
    let query = query::parse(cursor)?;
    Ok(StatementKind::CreateAs(CreateAs { or_replace, kind, if_not_exists, name, properties, query }))
}

/// Checks that a definition without AS ends here; if not, the error says what could follow.
fn check_source_end(cursor: &Cursor<'_>, behind_name: &Cursor<'_>) -> Result<()> {
    if cursor.is_done() {
        return Ok(());
    }
    let has_columns = behind_name.peek() == Some(&Token::LParen);
    Err(cursor.unexpected(match (has_columns, cursor.rest().len() == behind_name.rest().len()) {
        (_, true) => "\"(\" and columns, WITH (…) or AS SELECT",
        (true, _) => "WITH (…) or the end of the statement",
        _ => "AS SELECT or the end of the statement",
    }))
}

fn no_query_here(read_only: bool, cursor: &Cursor<'_>) -> Diagnostic {
    let error = Diagnostic::new(SYNTAX, "AS SELECT is not expected here").at(cursor.last_span());
    if read_only {
        return error.detail("A SOURCE stream or table is read-only, so no query can fill it.");
    }
    error.detail("A stream or table has either a list of columns or a query that fills it.")
}

pub(super) fn named(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "the name of a stream",
        SourceKind::Table => "the name of a table",
    }
}

fn create_type(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let if_not_exists = parts::if_not_exists(cursor)?;
    let name = cursor.name("the name of a type")?;
    if data_type::is_taken(&name.value) {
        let message = format!("{} is already a type of the dialect", name.value);
        return Err(Diagnostic::new(BAD_TYPE, message).at(name.span).hint("Give yours another name."));
    }
    cursor.expect(&["AS"])?;
    Ok(StatementKind::CreateType(CreateType { if_not_exists, name, ty: data_type::parse(cursor)? }))
}

fn function(or_replace: bool, cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let if_not_exists = parts::if_not_exists(cursor)?;
    let name = cursor.name("the name of a function")?;
    let arguments = arguments(cursor)?;
    cursor.expect(&["RETURNS"])?;
    let returns = data_type::parse(cursor)?;
    cursor.expect(&["AS"])?;
    let body = cursor.string("an expression in quotes")?;
    let function = CreateFunction { or_replace, if_not_exists, name, arguments, returns, body };
    Ok(StatementKind::CreateFunction(function))
}

fn arguments(cursor: &mut Cursor<'_>) -> Result<Vec<(Name, Spanned<SqlType>)>> {
    if cursor.peek() == Some(&Token::LParen) && cursor.peek_nth(1) == Some(&Token::RParen) {
        cursor.advance_by(2);
        return Ok(Vec::new());
    }
    cursor.list(|cursor| Ok((cursor.name("the name of an argument")?, data_type::parse(cursor)?)))
}

fn connector(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let kind = if cursor.eat(&["SOURCE"]) { ConnectorKind::Source } else { ConnectorKind::Sink };
    if kind == ConnectorKind::Sink {
        cursor.advance();
    }
    cursor.expect(&["CONNECTOR"])?;
    let if_not_exists = parts::if_not_exists(cursor)?;
    let name = cursor.name("the name of a connector")?;
    if !cursor.peek_words(&["WITH"]) {
        return Err(cursor.unexpected("WITH (…)"));
    }
    let properties = parts::properties(cursor)?;
    Ok(StatementKind::CreateConnector(CreateConnector { kind, if_not_exists, name, properties }))
}
