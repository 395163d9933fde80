//! The result of a test file and how it is printed: a line for the file, and below it each failed statement with its
//! difference.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use super::difference::{Line, difference};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The result of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Number of statements that were run.
    pub statements: usize,
    /// Failed statements, and other failures.
    pub failures: Vec<Failure>,
    /// Number of answers that were written to the file.
    pub accepted: usize,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The failed statement: its line number and its first line; `None` for a failure of the whole file.
    pub statement: Option<(usize, String)>,
    /// What failed.
    pub wrong: Wrong,
}

/// How a statement failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its answer differs.
    Differs {
        /// The line of the file on which the expected answer begins.
        line: usize,
        /// The expected answer.
        expected: Vec<String>,
        /// The actual answer.
        found: Vec<String>,
        /// The labels of the two.
        sides: (&'static str, &'static str),
    },
    /// Any other failure, as text.
    Message(String),
}

/// Prints reports.
pub struct Reporter<'a> {
    /// The output.
    pub out: &'a mut dyn Write,
    /// Whether to use colors.
    pub colored: bool,
}

impl Reporter<'_> {
    /// Prints the report of a file.
    pub fn file(&mut self, path: &Path, report: &FileReport) -> io::Result<()> {
        let count = counted(report.statements, "statement");
        let path = path.display();
        match (report.failures.is_empty(), report.accepted) {
            (true, 0) => {
                let ok = self.painted(GREEN, "ok");
                writeln!(self.out, "{ok}   {path} ({count})")?;
            }
            (true, accepted) => {
                let ok = self.painted(GREEN, "new");
                writeln!(self.out, "{ok}  {path} ({count}, {} accepted)", counted(accepted, "answer"))?;
            }
            (false, accepted) => {
                let fail = self.painted(RED, "FAIL");
                let taken =
                    if accepted > 0 { format!(" ({} accepted)", counted(accepted, "answer")) } else { String::new() };
                writeln!(self.out, "{fail} {path}{taken}")?;
            }
        }
        report.failures.iter().try_for_each(|failure| self.failure(failure))
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        if let Some((line, statement)) = &failure.statement {
            let heading = self.painted(BOLD, &format!("line {line}: {statement}"));
            writeln!(self.out, "  {heading}")?;
        }
        match &failure.wrong {
            Wrong::Message(words) => words.lines().try_for_each(|line| writeln!(self.out, "    {line}")),
            Wrong::Differs { line, expected, found, sides } => {
                self.sides(*sides)?;
                let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                difference(&expected, &found).into_iter().try_for_each(|part| self.part(*line, part))
            }
        }
    }

    fn sides(&mut self, (old, new): (&str, &str)) -> io::Result<()> {
        let (old, new) = (self.painted(RED, &format!("--- {old}")), self.painted(GREEN, &format!("+++ {new}")));
        writeln!(self.out, "    {old}\n    {new}")
    }

    fn part(&mut self, first_line: usize, part: Line<'_>) -> io::Result<()> {
        let text = match part {
            Line::From(at) => self.painted(DIM, &format!("@@ line {} @@", first_line + at)),
            Line::Same(text) => format!(" {text}"),
            Line::Gone(text) => self.painted(RED, &format!("-{text}")),
            Line::New(text) => self.painted(GREEN, &format!("+{text}")),
        };
        writeln!(self.out, "    {text}")
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.colored { format!("{color}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// A number and what it counts.
pub(super) fn counted<N: Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    format!("{count} {what}{}", if count == N::from(1) { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(report: &FileReport, colored: bool) -> String {
        let mut out = Vec::new();
        Reporter { out: &mut out, colored }.file(Path::new("a.test"), report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_failure_has_a_position_and_a_reason() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let wrong = Wrong::Differs { line: 9, expected: lines("a\nb"), found: lines("a\nc"), sides: ("old", "new") };
        let failures = vec![
            Failure { statement: Some((7, "SELECT 1;".to_owned())), wrong },
            Failure { statement: None, wrong: Wrong::Message("it is\nso".to_owned()) },
        ];
        let report = FileReport { statements: 3, failures, accepted: 0 };
        assert_eq!(
            printed(&report, false),
            "FAIL a.test\n  line 7: SELECT 1;\n    --- old\n    +++ new\n    @@ line 9 @@\n     a\n    -b\n    +c\n    \
             it is\n    so\n"
        );
        assert!(printed(&report, true).contains("\x1b[31m-b\x1b[0m\n"));
    }

    #[test]
    fn a_file_that_passes_takes_one_line() {
        let report = FileReport { statements: 1, ..FileReport::default() };
        assert_eq!(printed(&report, false), "ok   a.test (1 statement)\n");
        let report = FileReport { statements: 2, accepted: 2, ..FileReport::default() };
        assert_eq!(printed(&report, false), "new  a.test (2 statements, 2 answers accepted)\n");
    }
}
