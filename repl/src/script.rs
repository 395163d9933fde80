//! A text cut into what is run one after the other: statements up to their `;`, and commands of
//! the shell, which take a line.
//!
//! Text may come in pieces (a pipe, a prompt); what is not complete waits. Line numbers go on
//! counting, so that an error in the 300th line of a pipe says so.

use crate::command::{Command, parse};
use crate::lexeme::{content_start, statement_end};

/// Text that is being run.
#[derive(Debug, Default)]
pub struct Script {
    text: String,
    /// Where the part that has not been taken begins.
    taken: usize,
    /// Lines dropped before `text`.
    lines_before: usize,
    /// No more text will come.
    finished: bool,
}

/// What is run next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A statement, from its first word to its `;`.
    Statement {
        /// The statement.
        text: String,
        /// Where it begins in [`Script::shown`].
        start: usize,
    },
    /// A command, or why it is none.
    Command(Result<Command, String>),
}

impl Script {
    /// A whole text. A last statement without `;` is taken as complete.
    pub fn whole(text: &str) -> Self {
        let mut script = Self::default();
        script.push(text);
        script.finish();
        script
    }

    /// Adds text behind what is there; what has been taken is forgotten.
    pub fn push(&mut self, text: &str) {
        self.lines_before += self.text[..self.taken].matches('\n').count();
        self.text.drain(..self.taken);
        self.taken = 0;
        self.text.push_str(text);
    }

    /// Says that no more text will come: what is left counts as a statement even without `;`.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The next step; `None` when what is left is not complete.
    pub fn next_step(&mut self) -> Option<Step> {
        let rest = &self.text[self.taken..];
        let begins = content_start(rest);
        let content = &rest[begins..];
        if content.is_empty() {
            return None;
        }
        let line = command_line(content);
        if let Some(command) = parse(line) {
            self.taken += begins + line.len();
            return Some(Step::Command(command));
        }
        let start = self.taken + begins;
        let length = match statement_end(content) {
            Some(length) => length,
            None if self.finished => self.end_open_statement(start),
            None => return None,
        };
        let text = self.text[start..start + length].to_string();
        self.taken = start + length;
        // A lone semicolon is nothing to run.
        if text == ";" { self.next_step() } else { Some(Step::Statement { text, start }) }
    }

    /// Adds the `;` that the last statement lacks; the engine tells what else it lacks. On a line of
    /// its own, for the statement may end with a comment.
    fn end_open_statement(&mut self, start: usize) -> usize {
        self.text.truncate(self.text.trim_end().len());
        self.text.push_str("\n;");
        self.text.len() - start
    }

    /// True when nothing waits to be completed.
    pub fn is_empty(&self) -> bool {
        let rest = &self.text[self.taken..];
        content_start(rest) == rest.len()
    }

    /// Forgets everything and counts lines from 1 again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The text as it was typed, and the byte of a statement in it: an empty line stands for each
    /// line that has been forgotten, so that line numbers are right.
    pub fn shown(&self, start: usize) -> (String, usize) {
        let mut shown = "\n".repeat(self.lines_before);
        let shifted = shown.len() + start;
        shown.push_str(&self.text);
        (shown, shifted)
    }
}

/// The line of a command. That of SPOOL ends with a semicolon behind the file's name in quotes; the names of other files may have
/// semicolons.
fn command_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or("");
    let is_spool = line.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("spool"));
    let mut quotes = line.match_indices('\'').map(|(at, _)| at);
    let behind = match (is_spool, quotes.next(), quotes.next()) {
        (true, Some(_), Some(closing)) => line[closing..].find(';').map(|at| closing + at),
        (true, None, _) => line.find(';'),
        _ => None,
    };
    behind.map_or(line, |end| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(script: &mut Script) -> Vec<String> {
        std::iter::from_fn(|| script.next_step())
            .map(|step| match step {
                Step::Statement { text, start } => format!("{start}: {text}"),
                Step::Command(command) => format!("{command:?}"),
            })
            .collect()
    }

    #[test]
    fn statements_and_commands_of_a_file() {
        let mut script = Script::whole("-- first\nSELECT 1;;\noutput json\nSELECT\n 2; SELECT 3");
        assert_eq!(
            steps(&mut script),
            ["9: SELECT 1;", "Ok(Output(Some(Json)))", "32: SELECT\n 2;", "43: SELECT 3\n;"]
        );
        assert!(script.is_empty());
    }

    #[test]
    fn spool_ends_at_its_semicolon() {
        let mut script = Script::whole("SPOOL 'a;b'; SELECT 1; spool off; SELECT 2;\nspool 'c'\nSELECT 3;");
        let spool = |file: &str| format!("Ok(Spool({file}))");
        let file = |name: &str| spool(&format!("Some(\"{name}\")"));
        let found = steps(&mut script);
        assert_eq!(found[0], file("a;b"));
        assert_eq!((found[2].as_str(), found[4].as_str()), (spool("None").as_str(), file("c").as_str()));
        assert!(found.len() == 6 && found[1].ends_with("SELECT 1;") && found[3].ends_with("SELECT 2;"), "{found:?}");
    }

    #[test]
    fn a_statement_waits_for_its_end() {
        let mut script = Script::default();
        script.push("SELECT 1;\nSELECT 'a;\n");
        assert_eq!(steps(&mut script), ["0: SELECT 1;"]);
        assert!(!script.is_empty());
        script.push("b';\n");
        let step = script.next_step();
        assert_eq!(step, Some(Step::Statement { text: "SELECT 'a;\nb';".into(), start: 1 }));
        script.push("SELECT 2;");
        assert_eq!(script.next_step(), Some(Step::Statement { text: "SELECT 2;".into(), start: 1 }));
        assert_eq!(script.shown(1), ("\n\n\nSELECT 2;".into(), 3));
    }

    #[test]
    fn comments_alone_are_nothing_to_run() {
        assert_eq!(steps(&mut Script::whole("-- only\n/* that */ ;")), Vec::<String>::new());
        assert_eq!(steps(&mut Script::whole("")), Vec::<String>::new());
        assert_eq!(steps(&mut Script::whole("exit")), ["Ok(Exit)"]);
    }

    #[test]
    fn an_open_quote_at_the_end_is_still_run() {
        // The engine then says what is wrong with it.
        assert_eq!(steps(&mut Script::whole("SELECT 'a")), ["0: SELECT 'a\n;"]);
        assert_eq!(steps(&mut Script::whole("/* open")), ["0: /* open\n;"]);
    }
}
