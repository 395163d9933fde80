//! Settings, variables, scripts, and the control of running queries and sources.

use sqlparser::tokenizer::Token;

use super::super::ast::{AlterSource, Assignment, QueryChoice, Resume, ResumeFrom, Spanned, StatementKind};
use super::super::cursor::{Cursor, Result};
use super::super::variables;
use super::create::named;
use super::parts;
use crate::diagnostic::{Diagnostic, SYNTAX};

/// Reads what follows SET: `'property' = 'value'`.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    setting(cursor).map(StatementKind::Set)
}

/// Reads what follows UNSET.
pub(super) fn unset(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.string("a property in quotes").map(StatementKind::Unset)
}

/// Reads what follows ALTER: `SYSTEM 'property' = 'value'` or `STREAM|TABLE name ADD …`.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    if cursor.eat(&["SYSTEM"]) {
        return setting(cursor).map(StatementKind::AlterSystem);
    }
    let Some(kind) = parts::source_kind(cursor) else {
        return Err(cursor.unexpected("STREAM, TABLE or SYSTEM"));
    };
    let name = cursor.name(named(kind))?;
    let mut columns = Vec::new();
    loop {
        cursor.expect(&["ADD"])?;
        // A column may be named COLUMN; in that case a type follows, or nothing.
        let is_keyword =
            matches!(cursor.peek_nth(1), Some(Token::Word(_))) && matches!(cursor.peek_nth(2), Some(Token::Word(_)));
        if is_keyword {
            cursor.eat(&["COLUMN"]);
        }
        columns.push(parts::column(cursor)?);
        if !cursor.eat_symbol(&Token::Comma) {
            return Ok(StatementKind::AlterSource(AlterSource { kind, name, columns }));
        }
    }
}

fn setting(cursor: &mut Cursor<'_>) -> Result<Assignment> {
    let name = cursor.string("a property in quotes")?;
    cursor.expect_symbol(&Token::Eq)?;
    Ok(Assignment { name, value: cursor.string("a value in quotes")? })
}

/// Reads what follows DEFINE: `name = 'value'`.
pub(super) fn define(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let name = cursor.name("the name of a variable")?;
    if !variables::is_name(&name) {
        let error = Diagnostic::new(SYNTAX, format!("a variable cannot be called \"{}\"", name.value)).at(name.span);
        return Err(
            error.detail("A variable's name consists of letters, digits and _, and does not begin with a digit.")
        );
    }
    cursor.expect_symbol(&Token::Eq)?;
    Ok(StatementKind::Define(Assignment { name, value: cursor.string("a value in quotes")? }))
}

/// Reads what follows UNDEFINE.
pub(super) fn undefine(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.name("the name of a variable").map(StatementKind::Undefine)
}

/// Reads what follows PAUSE, RESUME and TERMINATE: `ALL` or the id of a query.
pub(super) fn query_choice(cursor: &mut Cursor<'_>) -> Result<QueryChoice> {
    if cursor.eat(&["ALL"]) {
        return Ok(QueryChoice::All);
    }
    cursor.name("ALL or the id of a query").map(QueryChoice::Id)
}

/// Reads what follows RESUME: which queries, and `FROM EARLIEST` or `FROM LATEST`.
pub(super) fn resume(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let choice = query_choice(cursor)?;
    let from = match cursor.eat(&["FROM"]) {
        false => None,
        true if cursor.eat(&["EARLIEST"]) => Some(ResumeFrom::Earliest),
        true if cursor.eat(&["LATEST"]) => Some(ResumeFrom::Latest),
        true => return Err(cursor.unexpected("EARLIEST or LATEST")),
    };
    Ok(StatementKind::Resume(Resume { choice, from }))
}

/// Reads what follows RUN: `SCRIPT 'file'`.
pub(super) fn run_script(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    cursor.expect(&["SCRIPT"])?;
    let path: Spanned<String> = cursor.string("a file name in quotes")?;
    Ok(StatementKind::RunScript(path))
}
