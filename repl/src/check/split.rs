//! Splits a text into statements; test files and the scripts that they run are split the same way.

use std::ops::Range;

use crate::lexeme::{content_start, statement_end};

/// A text split after each statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Each statement with the text before it, up to its `;`, and up to the end of the line if only a comment follows.
    pub statements: Vec<Range<usize>>,
    /// The text after the last statement: white space and comments.
    pub rest: Range<usize>,
}

/// Splits a text. The last statement may lack its `;`; a lone `;` belongs to the statement before it.
pub(super) fn cut(text: &str) -> Cut {
    let mut statements: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(length) = statement_end(&text[at..]) {
        let start = at;
        let is_lone = text[start + content_start(&text[start..])..].starts_with(';');
        at += length;
        at += blank_rest_of_line(&text[at..]);
        match statements.last_mut().filter(|_| is_lone) {
            Some(last) => last.end = at,
            None => statements.push(start..at),
        }
    }
    if content_start(&text[at..]) < text.len() - at {
        statements.push(at..text.len());
        at = text.len();
    }
    Cut { statements, rest: at..text.len() }
}

/// Length of the first line, including its line ending, if it contains nothing but a comment; otherwise 0.
fn blank_rest_of_line(text: &str) -> usize {
    let length = text.find('\n').map_or(text.len(), |end| end + 1);
    if content_start(&text[..length]) == length { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, statements: &[&str], rest: &str) {
        let cut = cut(text);
        let found: Vec<&str> = cut.statements.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!((found.as_slice(), &text[cut.rest]), (statements, rest));
    }

    #[test]
    fn statements_keep_the_text_before_them() {
        check("-- a\nA; -- b\nB;C;\n-- c\n", &["-- a\nA; -- b\n", "B;", "C;\n"], "-- c\n");
        check("A;;\n ;\nB", &["A;;\n ;\n", "B"], "");
        check("A '; ''' ; /* ; */ B", &["A '; ''' ;", " /* ; */ B"], "");
        check("-- only\n", &[], "-- only\n");
        check("", &[], "");
    }
}
