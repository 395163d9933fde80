//! SHOW, LIST, DESCRIBE and PRINT: statements that change nothing.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::ast::{ConnectorKind, Describe, Print, Show, SourceKind, Spanned, StatementKind};
use super::super::cursor::{Cursor, Result};
use super::super::token::span_of;
use super::span_to;
use crate::diagnostic::{Diagnostic, LITERAL};

/// Reads what follows SHOW or LIST.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let word = cursor.peek_word().unwrap_or_default();
    let show = match word {
        "STREAMS" => Show::Sources { kind: SourceKind::Stream, extended: extended(cursor) },
        "TABLES" => Show::Sources { kind: SourceKind::Table, extended: extended(cursor) },
        "QUERIES" => Show::Queries { extended: extended(cursor) },
        "TOPICS" => Show::Topics { all: false, extended: extended(cursor) },
        "FUNCTIONS" => plain(cursor, Show::Functions),
        "TYPES" => plain(cursor, Show::Types),
        "VARIABLES" => plain(cursor, Show::Variables),
        "PROPERTIES" => plain(cursor, Show::Properties),
        "REJECTS" => plain(cursor, Show::Rejects),
        "CONNECTORS" => plain(cursor, Show::Connectors(None)),
        "ALL" => all_topics(cursor)?,
        "SOURCE" | "SINK" => connectors(cursor)?,
        "CONNECTOR" => {
            cursor.advance();
            cursor.expect(&["PLUGINS"])?;
            Show::ConnectorPlugins
        }
        _ => {
            return Err(cursor.unexpected(
                "TOPICS, STREAMS, TABLES, QUERIES, FUNCTIONS, TYPES, VARIABLES, PROPERTIES, REJECTS or CONNECTORS",
            ));
        }
    };
    Ok(StatementKind::Show(show))
}

fn plain(cursor: &mut Cursor<'_>, show: Show) -> Show {
    cursor.advance();
    show
}

/// Reads the word that is next, and EXTENDED if it follows.
fn extended(cursor: &mut Cursor<'_>) -> bool {
    cursor.advance();
    cursor.eat(&["EXTENDED"])
}

fn all_topics(cursor: &mut Cursor<'_>) -> Result<Show> {
    cursor.advance();
    cursor.expect(&["TOPICS"])?;
    Ok(Show::Topics { all: true, extended: cursor.eat(&["EXTENDED"]) })
}

fn connectors(cursor: &mut Cursor<'_>) -> Result<Show> {
    let kind = if cursor.eat(&["SOURCE"]) { ConnectorKind::Source } else { ConnectorKind::Sink };
    if kind == ConnectorKind::Sink {
        cursor.advance();
    }
    cursor.expect(&["CONNECTORS"])?;
    Ok(Show::Connectors(Some(kind)))
}

/// Reads what follows DESCRIBE.
pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    // A source may be named FUNCTION; it is one if nothing but EXTENDED follows.
    let names_more = cursor.peek_nth(1).is_some() && !cursor.peek_words(&["FUNCTION", "EXTENDED"]);
    let describe = match cursor.peek_word() {
        Some("STREAMS") => Describe::Sources { kind: SourceKind::Stream, extended: extended(cursor) },
        // The form that older scripts use.
        Some("EXTENDED") if cursor.peek_nth(1).is_some_and(|token| matches!(token, Token::Word(_))) => {
            let error = cursor.unexpected("the name of a stream or table");
            cursor.advance();
            let name = cursor.name("the name of a stream or table")?;
            let written = &cursor.text()[name.span.start..name.span.end];
            return Err(error.hint(format!("DESCRIBE {written} EXTENDED;")));
        }
        Some("TABLES") => Describe::Sources { kind: SourceKind::Table, extended: extended(cursor) },
        Some("FUNCTION") if names_more => {
            cursor.advance();
            Describe::Function(cursor.name("the name of a function")?)
        }
        Some("CONNECTOR") if names_more => {
            cursor.advance();
            Describe::Connector(cursor.name("the name of a connector")?)
        }
        _ => Describe::Source {
            name: cursor.name("the name of a stream or table")?,
            extended: cursor.eat(&["EXTENDED"]),
        },
    };
    Ok(StatementKind::Describe(describe))
}

/// Reads what follows PRINT.
pub(super) fn print(cursor: &mut Cursor<'_>) -> Result<StatementKind> {
    let topic = topic(cursor)?;
    let from_beginning = cursor.eat(&["FROM"]);
    if from_beginning {
        cursor.expect(&["BEGINNING"])?;
    }
    let interval = match cursor.eat(&["INTERVAL"]) || cursor.eat(&["SAMPLE"]) {
        true => Some(interval(cursor)?),
        false => None,
    };
    let limit = match cursor.eat(&["LIMIT"]) {
        true => Some(cursor.count("a number of records")?),
        false => None,
    };
    Ok(StatementKind::Print(Print { topic, from_beginning, interval, limit }))
}

fn interval(cursor: &mut Cursor<'_>) -> Result<Spanned<u64>> {
    let interval = cursor.count("a number of records")?;
    match interval.value {
        0 => Err(Diagnostic::new(LITERAL, "INTERVAL must be at least 1").at(interval.span)),
        _ => Ok(interval),
    }
}

/// Reads the name of a topic: in quotes, or exactly as typed up to the next blank.
///
/// Names of topics contain dots and dashes and keep their case, so the text is used instead of the tokens.
pub(super) fn topic(cursor: &mut Cursor<'_>) -> Result<Spanned<String>> {
    match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.string("the name of a topic"),
        Some(Token::Word(word)) if word.quote_style.is_some() => cursor.name("the name of a topic"),
        Some(Token::Word(_) | Token::Number(..)) => Ok(bare_topic(cursor)),
        _ => Err(cursor.unexpected("the name of a topic")),
    }
}

fn bare_topic(cursor: &mut Cursor<'_>) -> Spanned<String> {
    let rest = cursor.rest();
    let joined = rest.windows(2).take_while(|pair| is_topic_part(&pair[1]) && touches(&pair[0], &pair[1])).count();
    let span = span_to(cursor.span(), span_of(&rest[joined]));
    cursor.advance_by(joined + 1);
    Spanned::new(cursor.text()[span.start..span.end].to_owned(), span)
}

fn touches(left: &TokenWithSpan, right: &TokenWithSpan) -> bool {
    span_of(left).end == span_of(right).start
}

fn is_topic_part(token: &TokenWithSpan) -> bool {
    matches!(&token.token, Token::Minus | Token::Period | Token::Number(..))
        || matches!(&token.token, Token::Word(word) if word.quote_style.is_none())
}
