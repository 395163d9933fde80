//! The text of a test file: statements, the line `----` below each statement whose answer is checked, the answer, an
//! empty line.
//!
//! Parsing loses nothing: a parsed file prints the same bytes, and accepting answers changes only answers. Statements
//! are not interpreted here.
//!
//! ```
//! use headwater_repl::check::TestFile;
//! let text = "SELECT 1;\n----\nKSQL_COL_0\n1\n\n-- the end\n";
//! let file = TestFile::parse(text).expect("a test file");
//! assert_eq!(file.pieces()[0].expected(), Some(vec!["KSQL_COL_0", "1"]));
//! assert_eq!(file.to_string(), text);
//! ```

use std::fmt;
use std::ops::Range;

use super::split::cut;
use crate::lexeme::{content_start, lexemes, statement_end};

/// The line between a statement and its answer.
pub const RULE: &str = "----";

/// A test file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    pieces: Vec<Piece>,
    /// The line ending of the first line, which is also used for new lines.
    line_end: &'static str,
}

/// A statement with its answer and everything between it and the previous statement; or the text after the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    line: usize,
    input: String,
    expected: Option<Expected>,
}

/// The expected answer, exactly as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    /// The line `----`.
    rule: String,
    /// The lines of the answer.
    answer: String,
    /// The empty line that ends it, or nothing at the end of the file.
    end: String,
}

impl TestFile {
    /// Parses a file. Fails, with the line number, when an answer does not end before the next statement.
    pub fn parse(text: &str) -> Result<Self, String> {
        let has_returns = text.find('\n').is_some_and(|end| text[..end].ends_with('\r'));
        let mut file = Self { pieces: Vec::new(), line_end: if has_returns { "\r\n" } else { "\n" } };
        let mut at = 0;
        let mut line = 1;
        while let Some(rule) = next_rule(text, at) {
            line = file.take_block(&text[at..rule.start], line) + 1;
            let answer = answer_length(&text[rule.end..]);
            let expected = Expected {
                rule: text[rule.clone()].to_owned(),
                answer: text[rule.end..][..answer].to_owned(),
                end: first_line(&text[rule.end + answer..]).to_owned(),
            };
            if let Some(within) = expected.answer.lines().position(is_rule) {
                let fact = "an answer must be followed by an empty line";
                return Err(format!("line {}: {RULE} inside an answer; {fact}", line + within));
            }
            at = rule.end + answer + expected.end.len();
            line += lines(&expected.answer) + lines(&expected.end);
            file.pieces.last_mut().expect("a block has at least one piece").expected = Some(expected);
        }
        file.take_rest(&text[at..], line);
        Ok(file)
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether an answer is expected anywhere.
    pub fn expects_something(&self) -> bool {
        self.pieces.iter().any(|piece| piece.expected.is_some())
    }

    /// Replaces the expected answers by `answers`, or, if none is expected, adds the answer of every statement. `None`
    /// leaves a piece unchanged. Returns the number of answers that changed.
    pub fn accept(&mut self, answers: &[Option<&str>]) -> usize {
        let fills = !self.expects_something();
        let mut changed = 0;
        for at in 0..self.pieces.len() {
            let Some(answer) = answers.get(at).copied().flatten() else { continue };
            let next_is_blank = self.pieces.get(at + 1).is_some_and(|next| is_blank(first_line(&next.input)));
            let piece = &mut self.pieces[at];
            let lines: Vec<&str> = answer.lines().collect();
            let is_new = piece.expected.is_none() && fills && piece.has_statement();
            if is_new {
                piece.expect_nothing(self.line_end, next_is_blank);
            }
            let line_end = self.line_end;
            if (is_new || piece.expected().is_some_and(|old| old != lines))
                && let Some(expected) = &mut piece.expected
            {
                end_line(&mut expected.rule, line_end);
                expected.answer = lines.iter().flat_map(|line| [line, line_end]).collect();
                changed += 1;
            }
        }
        self.number_lines();
        changed
    }

    fn number_lines(&mut self) {
        let mut line = 1;
        for piece in &mut self.pieces {
            piece.line = line + lines(&piece.input[..content_place(&piece.input)]);
            let answer = piece.expected.as_ref();
            line += lines(&piece.input) + answer.map_or(0, |it| lines(&it.rule) + lines(&it.answer) + lines(&it.end));
        }
    }

    /// Adds the statements above a rule. Returns the line number after them.
    fn take_block(&mut self, block: &str, line: usize) -> usize {
        let cut = cut(block);
        let last = cut.statements.len().max(1) - 1;
        let mut line = line;
        for at in 0..=last {
            let start = cut.statements.get(at).map_or(0, |range| range.start);
            let end = if at == last { block.len() } else { cut.statements[at].end };
            line = self.take(&block[start..end], line);
        }
        line
    }

    /// Adds the text after the last answer.
    fn take_rest(&mut self, rest: &str, line: usize) {
        let cut = cut(rest);
        let behind = Some(cut.rest).filter(|range| !range.is_empty());
        let mut line = line;
        for range in cut.statements.into_iter().chain(behind) {
            line = self.take(&rest[range], line);
        }
    }

    fn take(&mut self, input: &str, line: usize) -> usize {
        let line_of_content = line + lines(&input[..content_place(input)]);
        self.pieces.push(Piece { line: line_of_content, input: input.to_owned(), expected: None });
        line + lines(input)
    }
}

impl Piece {
    /// The line on which the statement begins, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether the piece has a statement, and not only white space and comments.
    pub fn has_statement(&self) -> bool {
        content_place(&self.input) < self.input.len()
    }

    /// The statement with the comments before it, with `
    /// ` as line endings.
    pub fn statement(&self) -> String {
        let mut text = without_mark(&self.input);
        while let Some(end) = text.find('\n').filter(|end| is_blank(&text[..*end])) {
            text = &text[end + 1..];
        }
        text.replace("\r\n", "\n")
    }

    /// The first line of the statement, without the comments before it.
    pub fn title(&self) -> &str {
        first_line(&self.input[content_place(&self.input)..]).trim_end()
    }

    /// The lines of the expected answer; `None` if the answer is not checked.
    pub fn expected(&self) -> Option<Vec<&str>> {
        self.expected.as_ref().map(|expected| expected.answer.lines().map(str::trim_end).collect())
    }

    /// The line of the file on which the answer begins, counted from 1.
    pub fn answer_line(&self) -> usize {
        self.line + lines(&self.input[content_place(&self.input)..]) + 1
    }

    fn expect_nothing(&mut self, line_end: &str, next_is_blank: bool) {
        end_line(&mut self.input, line_end);
        let end = if next_is_blank { "" } else { line_end };
        let rule = format!("{RULE}{line_end}");
        self.expected = Some(Expected { rule, answer: String::new(), end: end.to_owned() });
    }
}

impl fmt::Display for TestFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            f.write_str(&piece.input)?;
            if let Some(Expected { rule, answer, end }) = &piece.expected {
                write!(f, "{rule}{answer}{end}")?;
            }
        }
        Ok(())
    }
}

/// The next line `----` that is not inside a string, a quoted name or a comment that began at or after `start`.
fn next_rule(text: &str, start: usize) -> Option<Range<usize>> {
    let mut at = start;
    while at < text.len() {
        let line = first_line(&text[at..]);
        if is_rule(line) && !is_inside(text, start, at) {
            return Some(at..at + line.len());
        }
        at += line.len();
    }
    None
}

/// Whether the line at `rule` is inside a string or comment of the statements at `start`. An unterminated one is an
/// error to be reported and does not hide the rule: the string or comment must be closed, and its statement must be the
/// last one before the next rule.
fn is_inside(text: &str, start: usize, rule: usize) -> bool {
    if lexemes(&text[start..rule]).last().is_none_or(|last| last.closed) {
        return false;
    }
    let behind = rule + first_line(&text[rule..]).len();
    let mut next = behind;
    while next < text.len() && !is_rule(first_line(&text[next..])) {
        next += first_line(&text[next..]).len();
    }
    let mut at = start;
    while let Some(length) = statement_end(&text[at..next]) {
        at += length;
        if at > rule {
            return content_start(&text[at..next]) == next - at;
        }
    }
    false
}

/// Number of bytes before the first empty line.
fn answer_length(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| !is_blank(line)).map(str::len).sum()
}

/// The first line, including its line ending.
fn first_line(text: &str) -> &str {
    text.split_inclusive('\n').next().unwrap_or("")
}

fn is_rule(line: &str) -> bool {
    line.trim_end() == RULE
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The byte at which a statement begins, after a byte order mark, white space and comments.
fn content_place(text: &str) -> usize {
    let behind = without_mark(text);
    text.len() - behind.len() + content_start(behind)
}

/// Removes the byte order mark that Windows editors add.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn end_line(text: &mut String, line_end: &str) {
    if !text.ends_with('\n') {
        text.push_str(line_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> TestFile {
        let file = TestFile::parse(text).unwrap();
        assert_eq!(file.to_string(), text);
        file
    }

    /// Line, statement and expected answer of each piece.
    fn pieces(text: &str) -> Vec<(usize, String, Option<String>)> {
        let file = parsed(text);
        let piece = |p: &Piece| (p.line(), p.statement(), p.expected().map(|lines| lines.join("|")));
        file.pieces().iter().map(piece).collect()
    }

    fn piece(line: usize, statement: &str, expected: Option<&str>) -> (usize, String, Option<String>) {
        (line, statement.to_owned(), expected.map(str::to_owned))
    }

    #[test]
    fn statements_with_and_without_an_answer() {
        let text = "-- why\nA;\n----\n1\n2\n\n\nB; C;\n\nD;\n----\n\nE;\n-- end";
        let expected = [
            piece(2, "-- why\nA;\n", Some("1|2")),
            piece(8, "B;", None),
            piece(8, " C;\n", None),
            piece(10, "D;\n", Some("")),
            piece(13, "E;\n", None),
            piece(14, "-- end", None),
        ];
        assert_eq!(pieces(text), expected);
        assert_eq!(parsed(text).pieces()[0].answer_line(), 4);
    }

    #[test]
    fn a_file_prints_as_it_was_whatever_its_line_endings() {
        assert_eq!(
            pieces("\u{feff}A\r\n x;\r\n----\r\n1 \r\n\r\nB;\r\n----"),
            [piece(1, "A\n x;\n", Some("1")), piece(6, "B;\n", Some(""))]
        );
        for text in ["", "\n\n", "A", "A;\n----", "A;\n----\n1", "A;\n ----\n", "A;\n----\n1\n \nB;"] {
            parsed(text);
        }
    }

    #[test]
    fn a_rule_in_a_string_or_comment_does_not_count() {
        assert_eq!(pieces("A 'x\n----\ny';\n----\n1\n"), [piece(1, "A 'x\n----\ny';\n", Some("1"))]);
        assert_eq!(pieces("/*\n----\n*/ A;\n----\n1\n"), [piece(3, "/*\n----\n*/ A;\n", Some("1"))]);
    }

    #[test]
    fn an_unterminated_string_does_not_hide_a_rule() {
        let text = "A 'x;\n----\nK0202: not closed\n  1 | A 'x;\n    |   ^\n\nB 'y';\n----\n1\n";
        let answers: Vec<_> = pieces(text).into_iter().map(|(line, ..)| line).collect();
        assert_eq!(answers, [1, 7]);
    }

    #[test]
    fn an_answer_without_an_end_is_an_error_with_its_line() {
        let error = TestFile::parse("A;\n----\n1\nB;\n----\n2\n").unwrap_err();
        assert!(error.starts_with("line 5: ----"), "{error}");
    }

    fn accepted(text: &str, answers: &[Option<&str>]) -> String {
        let mut file = parsed(text);
        file.accept(answers);
        let again = file.to_string();
        assert_eq!(parsed(&again).accept(answers), 0, "an accepted answer is expected afterwards: {again:?}");
        again
    }

    #[test]
    fn accepting_changes_only_answers() {
        let text = "-- a\nA;\n----\nold\n\nB;\n\n\nC;\n----\nsame \n\n-- end\n";
        let found = accepted(text, &[Some("1\n2"), Some("b"), Some("same"), None]);
        assert_eq!(found, "-- a\nA;\n----\n1\n2\n\nB;\n\n\nC;\n----\nsame \n\n-- end\n");
        assert_eq!(accepted("A;\r\n----", &[Some("1")]), "A;\r\n----\r\n1\r\n");
        assert_eq!(accepted("A;\n----\n\nB;\n----\n", &[Some("1"), Some("2")]), "A;\n----\n1\n\nB;\n----\n2\n");
        assert_eq!(accepted("A;\n----\n1\n\nB;\n----\n2", &[None, Some("")]), "A;\n----\n1\n\nB;\n----\n");
    }

    #[test]
    fn a_file_without_answers_gets_all() {
        let found = accepted("-- a\nA; -- b\nB;\n\nC;D\n-- end", &[Some("1"), Some("2"), Some("3"), Some("4")]);
        assert_eq!(found, "-- a\nA; -- b\n----\n1\n\nB;\n----\n2\n\nC;\n----\n3\n\nD\n-- end\n----\n4\n\n");
        assert_eq!(accepted("A;\n-- end\n", &[Some("1"), Some("")]), "A;\n----\n1\n\n-- end\n");
    }
}
