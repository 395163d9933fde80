//! Colors for SQL that is being typed.

use std::collections::HashSet;

use crate::lexeme::{Kind, lexemes};

const KEYWORD: &str = "\x1b[1;34m";
const TEXT: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[35m";
const COMMENT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Colors `line`, which continues `before` (the earlier lines of the same statement, in which a string or comment may
/// have begun). Only colors are added.
pub fn highlight(before: &str, line: &str, keywords: &HashSet<String>) -> String {
    let text = format!("{before}{line}");
    let mut painted = String::with_capacity(line.len() * 2);
    for lexeme in lexemes(&text).into_iter().filter(|lexeme| lexeme.range.end > before.len()) {
        let piece = &text[lexeme.range.start.max(before.len())..lexeme.range.end];
        match color(lexeme.kind, piece, keywords) {
            Some(color) => {
                painted.push_str(color);
                painted.push_str(piece);
                painted.push_str(PLAIN);
            }
            None => painted.push_str(piece),
        }
    }
    painted
}

fn color(kind: Kind, piece: &str, keywords: &HashSet<String>) -> Option<&'static str> {
    match kind {
        Kind::Text => Some(TEXT),
        Kind::Number => Some(NUMBER),
        Kind::Comment => Some(COMMENT),
        Kind::Word if keywords.contains(&piece.to_ascii_uppercase()) => Some(KEYWORD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks with colors written as `<k …>`, to be readable.
    fn check(before: &str, line: &str, expected: &str) {
        let keywords = HashSet::from(["SELECT".to_string(), "FROM".to_string()]);
        let painted = highlight(before, line, &keywords);
        let readable = painted
            .replace(KEYWORD, "<k ")
            .replace(TEXT, "<t ")
            .replace(NUMBER, "<n ")
            .replace(COMMENT, "<c ")
            .replace(PLAIN, ">");
        assert_eq!(readable, expected);
    }

    #[test]
    fn tokens_are_colored_by_kind() {
        check("", "select a, 1 From `from` -- x", "<k select> a, <n 1> <k From> `from` <c -- x>");
        check("", "select 'it''s; open", "<k select> <t 'it''s; open>");
    }

    #[test]
    fn a_line_continues_the_lines_above() {
        check("select 'a\n", "b' from x", "<t b'> <k from> x");
        check("select\n", "from", "<k from>");
    }
}
