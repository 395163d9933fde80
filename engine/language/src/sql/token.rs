//! Splits text into tokens, with words folded to upper case and positions in bytes.
//!
//! Identifiers are folded only here. The tokens are sqlparser's; their locations are rewritten to line 1 and column =
//! byte + 1, so that the location of any node that sqlparser or DataFusion makes from them leads back to the text
//! (see [`place`]).

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{self, Location, Token, TokenWithSpan, Tokenizer, Word};

use super::dialect::Dialect;
use super::scan::{self, Kind};
use crate::diagnostic::{Diagnostic, SYNTAX, Span, UNCLOSED, UNDEFINED_VARIABLE};

/// The span in the text of a node of sqlparser's tree; none for a node that does not come from the text.
pub fn place(span: tokenizer::Span) -> Option<Span> {
    let byte = |location: Location| usize::try_from(location.column).ok()?.checked_sub(1);
    match (span.start.line, byte(span.start), byte(span.end)) {
        (0, ..) => None,
        (_, Some(start), Some(end)) => Some(Span { start, end }),
        _ => None,
    }
}

/// The span in sqlparser's form.
pub(super) fn location(span: Span) -> tokenizer::Span {
    let at = |byte: usize| Location { line: 1, column: byte as u64 + 1 };
    tokenizer::Span { start: at(span.start), end: at(span.end) }
}

/// The span of a token.
pub(super) fn span_of(token: &TokenWithSpan) -> Span {
    place(token.span).unwrap_or_default()
}

/// The tokens of one statement, without blanks and comments.
///
/// # Errors
/// Fails on what is not a token: an unclosed quote, a stray character, an undefined variable.
pub(super) fn tokens(text: &str, range: Range<usize>) -> Result<Vec<TokenWithSpan>, Diagnostic> {
    check_closed(text, &range)?;
    let statement = &text[range.clone()];
    let mut raw = Vec::new();
    let mut places = Places::new(statement, range.start);
    let dialect = Dialect::default();
    let failure = Tokenizer::new(&dialect, statement).tokenize_with_location_into_buf(&mut raw).err();
    let mut found = Vec::with_capacity(raw.len());
    for TokenWithSpan { token, span } in raw {
        let span = Span { start: places.byte(span.start), end: places.byte(span.end) };
        if !matches!(token, Token::Whitespace(_)) {
            check_known(text, &token, span)?;
            let name = found.last().and_then(|last| joined(last, &token, span));
            if name.is_some() {
                found.pop();
            }
            found.push(name.unwrap_or_else(|| TokenWithSpan { token: fold(token), span: location(span) }));
        }
    }
    match failure {
        Some(error) => Err(unreadable(text, places.byte(error.location))),
        None => Ok(found),
    }
}

/// Joins `1` and `email` to the name `1email`, which sqlparser read as a number with an exponent.
fn joined(last: &TokenWithSpan, token: &Token, span: Span) -> Option<TokenWithSpan> {
    let digits = match &last.token {
        Token::Number(digits, _) => digits,
        Token::Word(Word { value, quote_style: None, .. }) => value,
        _ => return None,
    };
    let Token::Word(Word { value, quote_style: None, .. }) = token else { return None };
    let is_name = digits.bytes().all(|byte| byte.is_ascii_digit()) && span_of(last).end == span.start;
    let word = Word { value: format!("{digits}{value}"), quote_style: None, keyword: Keyword::NoKeyword };
    let whole = Span { start: span_of(last).start, end: span.end };
    is_name.then(|| TokenWithSpan { token: fold(Token::Word(word)), span: location(whole) })
}

/// The tokens of a text that sqlparser printed; words are not folded.
pub(super) fn printed(text: &str) -> Vec<TokenWithSpan> {
    let mut raw = Vec::new();
    let mut places = Places::new(text, 0);
    // Printed text can be tokenized; if not, the rest of the text is left unchanged.
    let _ = Tokenizer::new(&Dialect::default(), text).tokenize_with_location_into_buf(&mut raw);
    raw.into_iter()
        .map(|TokenWithSpan { token, span }| {
            let span = Span { start: places.byte(span.start), end: places.byte(span.end) };
            TokenWithSpan { token, span: location(span) }
        })
        .filter(|it| !matches!(it.token, Token::Whitespace(_)))
        .collect()
}

/// Folds a word that is not quoted; its keyword is unchanged.
fn fold(token: Token) -> Token {
    match token {
        Token::Word(Word { value, quote_style: None, keyword }) => {
            Token::Word(Word { value: value.to_uppercase(), quote_style: None, keyword })
        }
        other => other,
    }
}

/// The word of an unquoted token; quoted names are not words.
pub(super) fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}

/// The keyword that sqlparser recognizes in the word.
pub(super) fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn check_closed(text: &str, range: &Range<usize>) -> Result<(), Diagnostic> {
    let open = scan::pieces(&text[range.clone()]).find(|piece| !piece.closed);
    let Some(piece) = open else { return Ok(()) };
    let start = range.start + piece.range.start;
    let quote = text[start..].chars().next().unwrap_or('"');
    let (what, close, width) = match piece.kind {
        Kind::Text => ("string", "'", 1),
        Kind::Name => ("quoted name", if quote == '`' { "`" } else { "\"" }, 1),
        _ => ("comment", "*/", 2),
    };
    Err(Diagnostic::new(UNCLOSED, format!("the {what} that starts here is not closed"))
        .at(Span { start, end: start + width })
        .hint(format!("Close it with {close}")))
}

/// Refuses tokens of other dialects that sqlparser accepts but this dialect does not have.
fn check_known(text: &str, token: &Token, span: Span) -> Result<(), Diagnostic> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) if value.contains('.') => {
            Err(unreadable(text, span.start)
                .detail("A name cannot contain a dot, and a number cannot contain letters."))
        }
        Token::Word(Word { value, quote_style: Some(_), .. }) if value.is_empty() => {
            Err(Diagnostic::new(SYNTAX, "a quoted name is empty").at(span))
        }
        Token::Word(Word { value, quote_style: Some(_), .. }) if UNPRINTABLE.iter().any(|it| value.contains(it)) => {
            Err(Diagnostic::new(SYNTAX, "a quoted name contains consecutive quotes, or a quote after a backslash")
                .at(span))
        }
        Token::Placeholder(_) if text[span.start..].starts_with("${") => Err(undefined_variable(text, span.start)),
        Token::HexStringLiteral(digits) if !is_hex(digits) => {
            Err(Diagnostic::new(SYNTAX, "a string of bytes needs an even number of hexadecimal digits").at(span))
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_) | Token::Word(_) => Ok(()),
        other if is_symbol(other) => Ok(()),
        _ => Err(unreadable(text, span.start)),
    }
}

/// True for consecutive quotes and for quotes after a backslash, which sqlparser would print as if they were escaped.
const UNPRINTABLE: &[&str] = &["``", "\"\"", "\\`", "\\\""];

fn is_hex(digits: &str) -> bool {
    digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_symbol(token: &Token) -> bool {
    use Token::*;
    matches!(
        token,
        Comma
            | Eq
            | DoubleEq
            | Neq
            | Lt
            | Gt
            | LtEq
            | GtEq
            | Plus
            | Minus
            | Mul
            | Div
            | Mod
            | StringConcat
            | LParen
            | RParen
            | LBracket
            | RBracket
            | Period
            | Colon
            | DoubleColon
            | Assignment
            | Ampersand
            | Pipe
            | Caret
            | ShiftLeft
            | ShiftRight
            | Arrow
            | RArrow
            | Tilde
            | TildeAsterisk
            | ExclamationMarkTilde
            | ExclamationMarkTildeAsterisk
    )
}

fn undefined_variable(text: &str, start: usize) -> Diagnostic {
    let end = text[start..].find('}').map_or(text.len(), |n| start + n + 1);
    let name = text[start..end].trim_start_matches("${").trim_end_matches('}');
    Diagnostic::new(UNDEFINED_VARIABLE, format!("variable \"{name}\" is not defined"))
        .at(Span { start, end })
        .hint(format!("DEFINE {name} = 'value';"))
}

fn unreadable(text: &str, at: usize) -> Diagnostic {
    let start = (0..=at.min(text.len())).rev().find(|&byte| text.is_char_boundary(byte)).unwrap_or(0);
    let stray = text[start..].chars().next();
    let end = start + stray.map_or(0, char::len_utf8);
    let message = match stray {
        Some(c) => format!("\"{}\" is not allowed here", c.escape_debug()),
        None => "the statement ends too early".to_owned(),
    };
    let error = Diagnostic::new(SYNTAX, message).at(Span { start, end });
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$');
    let name = &text[start..start + text[start..].find(|c| !is_name(c)).unwrap_or(text.len() - start)];
    match stray {
        Some('@' | '#' | '$') if name.chars().nth(1).is_some_and(char::is_alphabetic) => {
            error.hint(format!("Quote a name that contains characters other than letters, digits and _: `{name}`."))
        }
        _ => error,
    }
}

/// Converts sqlparser's lines and columns to bytes. For ascending locations, it reads the text only once.
struct Places<'a> {
    rest: std::str::Chars<'a>,
    byte: usize,
    line: u64,
    column: u64,
}

impl<'a> Places<'a> {
    fn new(text: &'a str, start: usize) -> Self {
        Self { rest: text.chars(), byte: start, line: 1, column: 1 }
    }

    fn byte(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            let Some(c) = self.rest.next() else { break };
            self.byte += c.len_utf8();
            (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        let found = tokens(text, 0..text.len()).expect("tokens");
        found.iter().map(|token| &text[span_of(token).start..span_of(token).end]).collect()
    }

    #[test]
    fn places_are_bytes_whatever_stands_before() {
        let text = "SELECT 'ä' -- ö\n,\t\"ü\".`ß`\r\n /* é */ + a@b";
        assert_eq!(texts(text), ["SELECT", "'ä'", ",", "\"ü\"", ".", "`ß`", "+", "a@b"]);
    }

    #[test]
    fn numbers_and_names_that_start_with_a_digit() {
        assert_eq!(
            texts("1 .5 5. 1e5 1.5E-3 1st 2nd_x 1email a.5es"),
            ["1", ".5", "5.", "1e5", "1.5E-3", "1st", "2nd_x", "1email", "a", ".", "5es"]
        );
    }

    #[test]
    fn unquoted_words_fold_and_quoted_ones_do_not() {
        let text = "Ab \"Ab\" `Ab`";
        let found = tokens(text, 0..text.len()).expect("tokens");
        let values: Vec<_> = found
            .iter()
            .map(|token| match &token.token {
                Token::Word(word) => word.value.as_str(),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(values, ["AB", "Ab", "Ab"]);
    }

    #[test]
    fn what_cannot_be_a_token_is_pointed_at() {
        for (text, piece) in
            [("a ? b", "?"), ("a 'b", "'"), ("x /* y", "/*"), ("a `b", "`"), ("1.5x", "1"), ("${v} a", "${v}")]
        {
            let error = tokens(text, 0..text.len()).expect_err(text);
            let span = error.span.expect("a span");
            assert_eq!(&text[span.start..span.end], piece, "{error:?}");
        }
    }
}
