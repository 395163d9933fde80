//! Syntax errors in our own words: what was found, what was expected, and what was probably meant.

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::token::{span_of, word};
use crate::diagnostic::{Diagnostic, SYNTAX, Span, TOO_LARGE, nearest};

/// Keywords of queries, for guessing what a misspelt word was meant to be.
const CLAUSE_WORDS: &[&str] = &[
    "SELECT",
    "DISTINCT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "EMIT",
    "CHANGES",
    "FINAL",
    "WINDOW",
    "TUMBLING",
    "HOPPING",
    "SESSION",
    "PARTITION",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "CROSS",
    "ON",
    "USING",
    "WITHIN",
    "GRACE",
    "PERIOD",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "BETWEEN",
    "LIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "VALUES",
    "AND",
    "NOT",
    "NULL",
    "INTERVAL",
    "WITH",
];

/// Something else than `found` was expected at `span`.
pub(super) fn unexpected(span: Span, found: Option<&Token>, expected: &str) -> Diagnostic {
    let Some(found) = found else {
        return Diagnostic::new(SYNTAX, "the statement ends too early")
            .at(span)
            .detail(format!("Expected {expected}."));
    };
    let shown = shown(found);
    let error = Diagnostic::new(SYNTAX, format!("{shown} is not expected here"))
        .at(span)
        .detail(format!("Expected {expected}, found {shown}."));
    let words = expected.split(|c: char| !c.is_ascii_uppercase()).filter(|it| it.len() > 1);
    match word(found).and_then(|it| nearest(it, words)) {
        Some(meant) => error.hint(format!("Did you mean {meant}?")),
        None => error,
    }
}

/// The error for a string in place of a name.
pub(super) fn string_for_name(span: Span, found: &Token) -> Diagnostic {
    unexpected(span, Some(found), "a name").hint("Write a name in double quotes or backticks, or without quotes.")
}

/// A token in the form in which messages show it.
pub(super) fn shown(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) => format!("'{}'", clipped(text)),
        Token::Word(word) => format!("\"{}\"", clipped(&word.value)),
        other => format!("\"{}\"", clipped(&other.to_string())),
    }
}

fn clipped(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Converts an error of sqlparser to one of ours; `after` is the token that follows the tokens.
pub(super) fn from_parser(error: &ParserError, tokens: &[TokenWithSpan], after: Option<&TokenWithSpan>) -> Diagnostic {
    let text = match error {
        ParserError::RecursionLimitExceeded => return too_deep(whole(tokens)),
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
    };
    let (text, at) = located(text);
    let index = at.and_then(|byte| tokens.iter().position(|token| span_of(token).start == byte));
    let found = index.map(|n| &tokens[n]).or(after);
    let end = Span { start: whole(tokens).end, end: whole(tokens).end };
    let span = found.map_or(end, span_of);
    let expected = text.strip_prefix("Expected: ").and_then(|it| it.split_once(", found: "));
    match (expected, index) {
        (Some((expected, _)), _) => index
            .and_then(|n| misspelt(tokens, n))
            .unwrap_or_else(|| unexpected(span, found.map(|it| &it.token), &plain(expected, after))),
        (None, Some(n)) => {
            Diagnostic::new(SYNTAX, format!("{} is not expected here", shown(&tokens[n].token))).at(span)
        }
        (None, None) => Diagnostic::new(SYNTAX, "the statement cannot be read as SQL").at(whole(tokens)),
    }
}

/// Keywords that are not meant as a name if they follow a dot after a space: `c1. WHERE`.
const NO_NAMES: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "JOIN",
    "INNER",
    "CROSS",
    "ON",
    "USING",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "EMIT",
    "PARTITION",
    "WITHIN",
    "AND",
    "OR",
    "AS",
    "IN",
    "IS",
    "THEN",
    "ELSE",
    "WHEN",
];

/// The error for a dot that is followed by a clause instead of a name.
pub(super) fn dangling_point(tokens: &[TokenWithSpan]) -> Option<Diagnostic> {
    let dangles = |pair: &&[TokenWithSpan]| {
        let apart = span_of(&pair[1]).start > span_of(&pair[0]).end;
        pair[0].token == Token::Period && apart && word(&pair[1].token).is_some_and(|next| NO_NAMES.contains(&next))
    };
    let pair = tokens.windows(2).find(dangles)?;
    let error = Diagnostic::new(SYNTAX, "a name is missing after the dot").at(span_of(&pair[0]));
    Some(error.detail(format!("It is followed by {}.", shown(&pair[1].token))))
}

/// The error for a statement that is nested too deeply.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(TOO_LARGE, "the statement is nested too deeply")
        .at(span)
        .hint("Split it into several statements, or replace a long chain of ORs by IN (…).")
}

/// The span of all tokens.
pub(super) fn whole(tokens: &[TokenWithSpan]) -> Span {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => Span { start: span_of(first).start, end: span_of(last).end },
        _ => Span::default(),
    }
}

/// Splits a message of sqlparser into its text and the byte to which it refers.
fn located(text: &str) -> (&str, Option<usize>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let column = place.split_once("Column: ").and_then(|(_, column)| column.trim().parse::<usize>().ok());
    (message, column.and_then(|column| column.checked_sub(1)))
}

/// What sqlparser expected, in the terms of this dialect.
fn plain(expected: &str, after: Option<&TokenWithSpan>) -> String {
    match expected {
        "end of statement" if after.is_some() => after.map_or(String::new(), |after| shown(&after.token)),
        "end of statement" => "the end of the statement".to_owned(),
        "identifier" => "a name".to_owned(),
        "an identifier or a '*' after '.'" => "a name or \"*\"".to_owned(),
        "an identifier after AS" => "a name".to_owned(),
        "joined table" => "a join".to_owned(),
        "SELECT, VALUES, or a subquery in the query body" => "SELECT, VALUES or a query in parentheses".to_owned(),
        "[NOT] NULL | TRUE | FALSE | DISTINCT | [form] NORMALIZED FROM after IS" => {
            "NULL, NOT NULL, TRUE, FALSE or DISTINCT FROM".to_owned()
        }
        symbol if !symbol.is_empty() && symbol.chars().all(|c| c.is_ascii_punctuation()) => format!("\"{symbol}\""),
        other => other.to_owned(),
    }
}

/// The error for a word that was read as an alias, or for the word after it, if it looks like a misspelt keyword.
fn misspelt(tokens: &[TokenWithSpan], n: usize) -> Option<Diagnostic> {
    let alias = n.checked_sub(1).filter(|&alias| alias > 0 && ends_expression(&tokens[alias - 1].token));
    [alias, Some(n)].into_iter().flatten().find_map(|n| {
        let found = word(&tokens[n].token)?;
        let meant = CLAUSE_WORDS.iter().find(|meant| is_slip(found, meant))?;
        let error = Diagnostic::new(SYNTAX, format!("\"{found}\" is not expected here"));
        Some(error.at(span_of(&tokens[n])).hint(format!("Did you mean {meant}?")))
    })
}

/// True for a token that an alias can follow.
fn ends_expression(token: &Token) -> bool {
    match token {
        Token::Word(_) => word(token).is_none_or(|it| !CLAUSE_WORDS.contains(&it)),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket | Token::Mul => true,
        _ => false,
    }
}

/// Whether the spellings are close: one typing error in a short word, two in a long one.
fn is_slip(found: &str, meant: &str) -> bool {
    let allowed = if meant.len() <= 5 { 1 } else { 2 };
    !CLAUSE_WORDS.contains(&found)
        && meant.len() > 2
        && found.len() > 2
        && strsim::osa_distance(found, meant) <= allowed
}
