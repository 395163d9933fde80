//! Parts that several statements have: WITH clauses, columns, IF EXISTS, values.

use sqlparser::tokenizer::{Token, Word};

use super::super::ast::{ColumnDef, ColumnRole, Expr, Literal, Name, Property, SourceKind, Spanned};
use super::super::cursor::{Cursor, Result};
use super::super::token::word;
use super::super::{clauses, data_type};
use super::span_to;
use crate::diagnostic::nearest;

/// `IF NOT EXISTS`.
pub(super) fn if_not_exists(cursor: &mut Cursor<'_>) -> Result<bool> {
    words_if(cursor, &["IF", "NOT", "EXISTS"])
}

/// `IF EXISTS`.
pub(super) fn if_exists(cursor: &mut Cursor<'_>) -> Result<bool> {
    words_if(cursor, &["IF", "EXISTS"])
}

/// Reads words that begin with IF, which may also be a name; a misspelling is an error.
fn words_if(cursor: &mut Cursor<'_>, words: &[&str]) -> Result<bool> {
    let second = cursor.peek_nth(1).and_then(word);
    if cursor.peek_words(&words[..1]) && second.and_then(|it| nearest(it, words[1..].iter().copied())).is_some() {
        cursor.expect(words)?;
        return Ok(true);
    }
    Ok(false)
}

/// `STREAM` or `TABLE`.
pub(super) fn source_kind(cursor: &mut Cursor<'_>) -> Option<SourceKind> {
    if cursor.eat(&["STREAM"]) {
        return Some(SourceKind::Stream);
    }
    cursor.eat(&["TABLE"]).then_some(SourceKind::Table)
}

/// `WITH (name = literal, …)`; empty if it is omitted.
pub(super) fn properties(cursor: &mut Cursor<'_>) -> Result<Vec<Property>> {
    if !cursor.peek_words(&["WITH"]) || cursor.peek_nth(1) != Some(&Token::LParen) {
        return Ok(Vec::new());
    }
    cursor.advance();
    if cursor.peek_nth(1) == Some(&Token::RParen) {
        cursor.advance_by(2);
        return Ok(Vec::new());
    }
    cursor.list(property)
}

fn property(cursor: &mut Cursor<'_>) -> Result<Property> {
    let name = match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.string("the name of a property")?,
        _ => cursor.name("the name of a property")?,
    };
    cursor.expect_symbol(&Token::Eq)?;
    Ok(Property { name, value: literal(cursor)? })
}

fn literal(cursor: &mut Cursor<'_>) -> Result<Spanned<Literal>> {
    let start = cursor.span();
    let sign = if cursor.eat_symbol(&Token::Minus) { "-" } else { "" };
    let value = match (cursor.peek(), sign) {
        (Some(Token::Number(digits, _)), _) => Literal::Number(format!("{sign}{digits}")),
        (Some(Token::SingleQuotedString(text)), "") => Literal::String(text.clone()),
        (Some(Token::Word(Word { value, quote_style: None, .. })), "") => match value.as_str() {
            "TRUE" => Literal::Boolean(true),
            "FALSE" => Literal::Boolean(false),
            "NULL" => Literal::Null,
            _ => return Err(no_literal(cursor)),
        },
        _ => return Err(cursor.unexpected("a string, a number, TRUE, FALSE or NULL")),
    };
    cursor.advance();
    Ok(Spanned::new(value, cursor.since(start)))
}

fn no_literal(cursor: &Cursor<'_>) -> crate::diagnostic::Diagnostic {
    let typed = &cursor.text()[cursor.span().start..cursor.span().end];
    cursor.unexpected("a string, a number, TRUE, FALSE or NULL").hint(format!("Put it in quotes: '{typed}'"))
}

/// `(column, …)`; empty if there is no parenthesis, or nothing inside it.
pub(super) fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnDef>> {
    if cursor.peek() != Some(&Token::LParen) {
        return Ok(Vec::new());
    }
    if cursor.peek_nth(1) == Some(&Token::RParen) {
        cursor.advance_by(2);
        return Ok(Vec::new());
    }
    cursor.list(column)
}

/// `name type [KEY | PRIMARY KEY | HEADERS | HEADER('k')]`.
pub(super) fn column(cursor: &mut Cursor<'_>) -> Result<ColumnDef> {
    let name = cursor.name("the name of a column")?;
    let ty = data_type::parse(cursor)?;
    Ok(ColumnDef { name, ty, role: role(cursor)? })
}

fn role(cursor: &mut Cursor<'_>) -> Result<Spanned<ColumnRole>> {
    let start = cursor.span();
    let role = if cursor.eat(&["PRIMARY"]) {
        cursor.expect(&["KEY"])?;
        ColumnRole::PrimaryKey
    } else if cursor.eat(&["KEY"]) {
        ColumnRole::Key
    } else if cursor.eat(&["HEADERS"]) {
        ColumnRole::Headers
    } else if cursor.eat(&["HEADER"]) {
        cursor.expect_symbol(&Token::LParen)?;
        let header = cursor.string("the name of a header in quotes")?.value;
        cursor.expect_symbol(&Token::RParen)?;
        ColumnRole::Header(header)
    } else {
        let end = cursor.last_span().end;
        return Ok(Spanned::new(ColumnRole::Value, crate::diagnostic::Span { start: end, end }));
    };
    Ok(Spanned::new(role, cursor.since(start)))
}

/// `(name, …)`; empty if there is no parenthesis.
pub(super) fn names(cursor: &mut Cursor<'_>) -> Result<Vec<Name>> {
    if cursor.peek() != Some(&Token::LParen) {
        return Ok(Vec::new());
    }
    cursor.list(|cursor| cursor.name("the name of a column"))
}

/// `(expression, …), …`.
pub(super) fn rows(cursor: &mut Cursor<'_>) -> Result<Vec<Spanned<Vec<Expr>>>> {
    let mut rows = vec![row(cursor)?];
    while cursor.eat_symbol(&Token::Comma) {
        rows.push(row(cursor)?);
    }
    Ok(rows)
}

/// `(expression, …)`.
pub(super) fn row(cursor: &mut Cursor<'_>) -> Result<Spanned<Vec<Expr>>> {
    let start = cursor.span();
    if cursor.peek() != Some(&Token::LParen) {
        return Err(cursor.unexpected("\"(\""));
    }
    let Some((inside, behind)) = cursor.group() else { return Err(unclosed(cursor)) };
    let close = cursor.rest().get(inside.len() + 1);
    let exprs = clauses::exprs(inside, close)?;
    *cursor = behind;
    Ok(Spanned::new(exprs, span_to(start, cursor.last_span())))
}

/// The error for a parenthesis that is opened next and never closed: the statement ends too early.
pub(super) fn unclosed(cursor: &Cursor<'_>) -> crate::diagnostic::Diagnostic {
    let mut end = *cursor;
    end.advance_by(cursor.rest().len());
    end.unexpected("\")\"")
}
