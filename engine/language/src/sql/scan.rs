//! Finds strings, quoted names, comments and semicolons in a text, without knowing the grammar.
//!
//! It is separate from the tokens because it also handles incomplete text: the shell uses it to decide whether to
//! wait for more lines, and the parser uses it to split a script, so that a statement that cannot be parsed does not
//! affect its neighbours.

use std::ops::Range;

/// The kind of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words, numbers, operators and blanks.
    Code,
    /// A string in single quotes.
    Text,
    /// A name in double quotes or backticks.
    Name,
    /// A comment, to the end of the line or between `/*` and `*/`.
    Comment,
    /// A semicolon that ends a statement.
    Semicolon,
}

/// A piece of text of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub range: Range<usize>,
    /// False for a string, name or block comment that is still open at the end of the text.
    pub closed: bool,
}

/// True if every statement in `text` is complete: no string, quoted name or block comment is open, and the last token
/// that is not a comment is a semicolon. Blank text is not complete.
pub fn is_complete(text: &str) -> bool {
    let mut complete = false;
    for piece in pieces(text) {
        if !piece.closed {
            return false;
        }
        complete = match piece.kind {
            Kind::Semicolon => true,
            Kind::Comment => complete,
            Kind::Code if text[piece.range.clone()].trim().is_empty() => complete,
            _ => false,
        };
    }
    complete
}

/// The ranges of a script's statements, without their semicolons; blank statements are skipped.
pub(super) fn statements(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current: Option<Range<usize>> = None;
    for piece in pieces(text) {
        match piece.kind {
            Kind::Semicolon => found.extend(current.take()),
            Kind::Comment if piece.closed => {}
            Kind::Code if text[piece.range.clone()].trim().is_empty() => {}
            _ => current = Some(current.map_or(piece.range.start, |it| it.start)..piece.range.end),
        }
    }
    found.extend(current);
    found
}

/// The pieces of a text, in order; together they cover the whole text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let piece = piece_at(bytes, at)?;
        at = piece.range.end;
        Some(piece)
    })
}

fn piece_at(bytes: &[u8], start: usize) -> Option<Piece> {
    let (kind, end) = match *bytes.get(start)? {
        b';' => (Kind::Semicolon, Some(start + 1)),
        b'\'' => (Kind::Text, quoted_end(bytes, start)),
        b'"' | b'`' => (Kind::Name, quoted_end(bytes, start)),
        b'-' if bytes[start..].starts_with(b"--") => (Kind::Comment, Some(line_end(bytes, start))),
        b'/' if bytes[start..].starts_with(b"/*") => (Kind::Comment, block_end(bytes, start)),
        _ => (Kind::Code, Some(code_end(bytes, start))),
    };
    Some(Piece { kind, range: start..end.unwrap_or(bytes.len()), closed: end.is_some() })
}

/// The end of a quoted piece; a doubled quote means one quote and does not end it.
fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match (bytes[at] == quote, bytes.get(at + 1) == Some(&quote)) {
            (true, true) => at += 2,
            (true, false) => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn line_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| start + n + 1)
}

fn block_end(bytes: &[u8], start: usize) -> Option<usize> {
    let body = start + 2;
    bytes[body..].windows(2).position(|pair| pair == b"*/").map(|n| body + n + 2)
}

fn code_end(bytes: &[u8], start: usize) -> usize {
    let special = |at: usize| match bytes[at] {
        b';' | b'\'' | b'"' | b'`' => true,
        b'-' => bytes[at..].starts_with(b"--"),
        b'/' => bytes[at..].starts_with(b"/*"),
        _ => false,
    };
    (start + 1..bytes.len()).find(|&at| special(at)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_complete_after_its_last_semicolon() {
        for text in ["SELECT 1;", "SELECT ';';", "SELECT 1; -- done", "a; /* b */ \n", "-- c\na;", "SELECT 'it''s';"] {
            assert!(is_complete(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_not_complete_inside_something() {
        for text in
            ["", "  ", "-- c;", "SELECT 1", "SELECT ';", "SELECT `a;", "a; /* b", "a; b", "SELECT \"x;", "'a'';"]
        {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn statements_are_split_outside_quotes_and_comments() {
        let text = "a 'x;y'; -- n;\n /* ; */ b `;` ;; c";
        let split: Vec<_> = statements(text).into_iter().map(|range| text[range].trim()).collect();
        assert_eq!(split, ["a 'x;y'", "b `;`", "c"]);
    }

    #[test]
    fn pieces_are_the_whole_text() {
        let text = "é'ü''';`ß`--x\n/*y*/\"z";
        let joined: String = pieces(text).map(|piece| &text[piece.range]).collect();
        assert_eq!(joined, text);
    }
}
