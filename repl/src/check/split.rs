//! Where the statements of a text are: apart because a test file and a script that it runs are cut the same way.

use std::ops::Range;

use crate::lexeme::{content_start, statement_end};

/// A text cut behind its statements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Each statement with what stands before it, up to its `;` and the end of that line when only a comment follows.
    pub statements: Vec<Range<usize>>,
    /// What is behind the last one: blanks and comments.
    pub rest: Range<usize>,
}

/// Cuts a text. A last statement may lack its `;`; a lone `;` belongs to the statement before it.
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

/// Length of the line that the text begins with, its end included, when nothing but a comment is in it; else 0.
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
    fn statements_keep_what_stands_before_them() {
        check("-- a\nA; -- b\nB;C;\n-- c\n", &["-- a\nA; -- b\n", "B;", "C;\n"], "-- c\n");
        check("A;;\n ;\nB", &["A;;\n ;\n", "B"], "");
        check("A '; ''' ; /* ; */ B", &["A '; ''' ;", " /* ; */ B"], "");
        check("-- only\n", &[], "-- only\n");
        check("", &[], "");
    }
}
