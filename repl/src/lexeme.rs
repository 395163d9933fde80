//! The tokens of a text that is being typed: words, quoted strings, comments.
//!
//! Unlike the engine's parser, this one accepts any text, because it serves the prompt, where statements are
//! half-typed: it tells whether a statement is complete, what to color, and what to complete at the cursor. It knows
//! the lexical rules of the dialect (`''` inside strings, `--` and `/* */` comments, backticks and double quotes around
//! names) but not its grammar.

use std::ops::Range;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space and line endings.
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// A keyword or a name without quotes.
    Word,
    /// A name in backticks or double quotes.
    QuotedName,
    /// A string in single quotes.
    Text,
    /// A number.
    Number,
    /// Any other character.
    Sign,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexeme {
    /// Its kind.
    pub kind: Kind,
    /// Its range of bytes.
    pub range: Range<usize>,
    /// Whether it is complete: false for an open quote or block comment at the end of the text.
    pub closed: bool,
}

/// All tokens of a text, without gaps. Never fails.
pub fn lexemes(text: &str) -> Vec<Lexeme> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let (kind, length, closed) = first(&text[start..]);
        found.push(Lexeme { kind, range: start..start + length, closed });
        start += length;
    }
    found
}

/// The byte after the `;` that ends the first statement of a text, if there is one.
pub fn statement_end(text: &str) -> Option<usize> {
    let mut start = 0;
    while start < text.len() {
        let (kind, length, _) = first(&text[start..]);
        if kind == Kind::Sign && text[start..].starts_with(';') {
            return Some(start + 1);
        }
        start += length;
    }
    None
}

/// The byte at which something other than white space and comments begins; the length of the text if nothing does.
pub fn content_start(text: &str) -> usize {
    let mut start = 0;
    while start < text.len() {
        let (kind, length, closed) = first(&text[start..]);
        if !matches!(kind, Kind::Space | Kind::Comment) || !closed {
            return start;
        }
        start += length;
    }
    text.len()
}

/// The first token of a non-empty text: kind, length in bytes, whether it is complete.
fn first(text: &str) -> (Kind, usize, bool) {
    let character = text.chars().next().expect("callers stop at the end of the text");
    match character {
        '\'' => quoted(text, Kind::Text),
        '`' | '"' => quoted(text, Kind::QuotedName),
        '-' if text.starts_with("--") => (Kind::Comment, until_line_end(text), true),
        '/' if text.starts_with("/*") => block_comment(text),
        c if c.is_whitespace() => (Kind::Space, run(text, char::is_whitespace), true),
        c if c.is_ascii_digit() => number_or_word(text),
        c if starts_word(c) => (Kind::Word, run(text, in_word), true),
        c => (Kind::Sign, c.len_utf8(), true),
    }
}

fn quoted(text: &str, kind: Kind) -> (Kind, usize, bool) {
    let quote = text.as_bytes()[0];
    let mut at = 1;
    while let Some(next) = text.as_bytes()[at..].iter().position(|byte| *byte == quote) {
        at += next + 1;
        if text.as_bytes().get(at) != Some(&quote) {
            return (kind, at, true);
        }
        at += 1;
    }
    (kind, text.len(), false)
}

fn block_comment(text: &str) -> (Kind, usize, bool) {
    match text[2..].find("*/") {
        Some(end) => (Kind::Comment, end + 4, true),
        None => (Kind::Comment, text.len(), false),
    }
}

/// A name may begin with a digit, so `1e5` is a number and `1st` a word.
fn number_or_word(text: &str) -> (Kind, usize, bool) {
    let length = run(text, |c| in_word(c) || c == '.');
    let is_number = text[..length].parse::<f64>().is_ok();
    if is_number { (Kind::Number, length, true) } else { (Kind::Word, run(text, in_word), true) }
}

fn until_line_end(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '@'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        let end = |text| statement_end(text);
        assert_eq!(end("SELECT 1; x"), Some(9));
        assert_eq!(end("SELECT ';'''; x"), Some(13));
        assert_eq!(end("SELECT ';''; x"), None);
        assert_eq!(end("SELECT ';'' '; x"), Some(14));
        assert_eq!(end("SELECT `;` -- ;\n; x"), Some(17));
        assert_eq!(end("SELECT /* ; ' */ \";\";"), Some(21));
        assert_eq!(end("SELECT /* ;"), None);
        assert_eq!(end(""), None);
    }

    #[test]
    fn content_begins_after_comments() {
        assert_eq!(content_start(" -- a\n /* b */ SELECT"), 15);
        assert_eq!(content_start("  -- a"), 6);
        assert_eq!(content_start(" /* open"), 1);
    }

    #[test]
    fn pieces_cover_the_text() {
        let text = "SELECT 1e5, `a b`.é@x >= 'it''s' -- end";
        let kinds: Vec<(Kind, &str)> =
            lexemes(text).into_iter().filter(|l| l.kind != Kind::Space).map(|l| (l.kind, &text[l.range])).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Word, "SELECT"),
                (Kind::Number, "1e5"),
                (Kind::Sign, ","),
                (Kind::QuotedName, "`a b`"),
                (Kind::Sign, "."),
                (Kind::Word, "é@x"),
                (Kind::Sign, ">"),
                (Kind::Sign, "="),
                (Kind::Text, "'it''s'"),
                (Kind::Comment, "-- end"),
            ]
        );
    }

    #[test]
    fn an_open_quote_is_not_closed() {
        assert!(!lexemes("x = 'abc").last().unwrap().closed);
        assert!(!lexemes("'").last().unwrap().closed);
        assert!(lexemes("''").last().unwrap().closed);
    }
}
