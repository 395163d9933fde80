//! The parsers of statements, chosen by the first word.

mod admin;
mod assert;
mod create;
mod drop;
mod insert;
mod parts;
mod show;

use super::ast::{Explain, ExplainTarget, Statement, StatementKind};
use super::cursor::{Cursor, Result};
use super::query;
use crate::diagnostic::{Diagnostic, Span, UNKNOWN_STATEMENT, nearest};

/// The maximum nesting of EXPLAINs.
const EXPLAIN_MAX: usize = 1;

/// First words of statements, in the order of the reference.
const FIRST_WORDS: &[&str] = &[
    "SELECT",
    "CREATE",
    "INSERT",
    "DROP",
    "ALTER",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "EXPLAIN",
    "PRINT",
    "SET",
    "UNSET",
    "DEFINE",
    "UNDEFINE",
    "PAUSE",
    "RESUME",
    "TERMINATE",
    "RUN",
    "ASSERT",
    "COPY",
    "WITH",
    "VALUES",
];

/// Parses one statement from all tokens of the cursor.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Statement> {
    parse_within(cursor, 0)
}

fn parse_within(cursor: &mut Cursor<'_>, explains: usize) -> Result<Statement> {
    let start = cursor.span();
    let kind = kind(cursor, explains)?;
    cursor.expect_end()?;
    let span = cursor.since(start);
    Ok(Statement { kind, span, text: cursor.text()[span.start..span.end].to_owned() })
}

fn kind(cursor: &mut Cursor<'_>, explains: usize) -> Result<StatementKind> {
    if query::begins(cursor) {
        return query::parse(cursor).map(StatementKind::Query);
    }
    let start = *cursor;
    let word = cursor.peek_word().unwrap_or_default();
    cursor.advance();
    match word {
        "CREATE" => create::parse(cursor),
        "INSERT" => insert::parse(cursor),
        "DROP" => drop::parse(cursor),
        "ALTER" => admin::alter(cursor),
        "SHOW" | "LIST" => show::show(cursor),
        "DESCRIBE" => show::describe(cursor),
        "EXPLAIN" if explains < EXPLAIN_MAX => explain(cursor, explains),
        "EXPLAIN" => Err(start.unexpected("a statement with a query")),
        "PRINT" => show::print(cursor),
        "SET" => admin::set(cursor),
        "UNSET" => admin::unset(cursor),
        "DEFINE" => admin::define(cursor),
        "UNDEFINE" => admin::undefine(cursor),
        "PAUSE" => admin::query_choice(cursor).map(StatementKind::Pause),
        "RESUME" => admin::resume(cursor),
        "TERMINATE" => admin::query_choice(cursor).map(StatementKind::Terminate),
        "RUN" => admin::run_script(cursor),
        "ASSERT" => assert::parse(cursor),
        "COPY" => insert::copy(cursor),
        _ => Err(unknown(&start)),
    }
}

fn unknown(cursor: &Cursor<'_>) -> Diagnostic {
    let Some(found) = cursor.peek_word() else { return cursor.unexpected("a statement") };
    let error = Diagnostic::new(UNKNOWN_STATEMENT, format!("unknown statement \"{found}\"")).at(cursor.span());
    if matches!(found, "DELETE" | "UPDATE" | "MERGE" | "TRUNCATE") {
        return error
            .detail("Topics are append-only: records are added, never changed.")
            .hint("For a table: INSERT INTO t (id, …) VALUES (1, …) replaces a row, INSERT INTO t (id, ROWTOMBSTONE) VALUES (1, TRUE) deletes it.");
    }
    match nearest(found, FIRST_WORDS.iter().copied()) {
        Some(meant) => error.hint(format!("Did you mean {meant}?")),
        None => error,
    }
}

/// `EXPLAIN [ANALYZE] {statement|query id}`. A word alone is the id of a query.
fn explain(cursor: &mut Cursor<'_>, explains: usize) -> Result<StatementKind> {
    let analyze = cursor.eat(&["ANALYZE"]);
    let alone = cursor.rest().len() == 1;
    let target = if alone {
        ExplainTarget::QueryId(cursor.name("a statement or the id of a query")?)
    } else if cursor.is_done() {
        return Err(cursor.unexpected("a statement or the id of a query"));
    } else {
        ExplainTarget::Statement(Box::new(parse_within(cursor, explains + 1)?))
    };
    Ok(StatementKind::Explain(Explain { analyze, target }))
}

/// The span from the start of one span to the end of another.
fn span_to(start: Span, end: Span) -> Span {
    Span { start: start.start, end: end.end }
}
