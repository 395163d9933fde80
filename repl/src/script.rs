//! Splits a text into items that are run one after the other: statements up to their `;`, and commands of the shell,
//! which take one line.
//!
//! Text may arrive in parts (from a pipe or a prompt); an incomplete item waits. Line numbers continue, so that an
//! error in line 300 of a pipe has that number.

use crate::command::{Command, parse};
use crate::lexeme::{content_start, statement_end};

/// The text that is being run.
#[derive(Debug, Default)]
pub struct Script {
    text: String,
    /// Where the part that has not been run begins.
    taken: usize,
    /// Number of lines dropped before `text`.
    lines_before: usize,
    /// No more text will arrive.
    finished: bool,
}

/// A part of a script that is run on its own.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A statement, from its first word to its `;`.
    Statement {
        /// The statement.
        text: String,
        /// Where it begins in [`Script::shown`].
        start: usize,
    },
    /// A command, or why it is not valid.
    Command(Result<Command, String>),
}

impl Script {
    /// A complete text. Its last statement may lack the `;`.
    pub fn whole(text: &str) -> Self {
        let mut script = Self::default();
        script.push(text);
        script.finish();
        script
    }

    /// Appends text; text that was run is dropped.
    pub fn push(&mut self, text: &str) {
        self.lines_before += self.text[..self.taken].matches('\n').count();
        self.text.drain(..self.taken);
        self.taken = 0;
        self.text.push_str(text);
    }

    /// Marks the end of the text: what remains counts as a statement even without `;`.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The next item; `None` if what remains is not complete.
    pub fn next_item(&mut self) -> Option<Item> {
        let rest = &self.text[self.taken..];
        let begins = content_start(rest);
        let content = &rest[begins..];
        if content.is_empty() {
            return None;
        }
        let line = command_line(content);
        if let Some(command) = parse(line) {
            self.taken += begins + line.len();
            return Some(Item::Command(command));
        }
        let start = self.taken + begins;
        let length = match statement_end(content) {
            Some(length) => length,
            None if self.finished => self.end_open_statement(start),
            None => return None,
        };
        let text = self.text[start..start + length].to_string();
        self.taken = start + length;
        // A lone semicolon is not a statement.
        if text == ";" { self.next_item() } else { Some(Item::Statement { text, start }) }
    }

    /// Adds the missing `;` to the last statement, on a new line because the statement may end with a comment. The
    /// engine reports what else is missing.
    fn end_open_statement(&mut self, start: usize) -> usize {
        self.text.truncate(self.text.trim_end().len());
        self.text.push_str("\n;");
        self.text.len() - start
    }

    /// Whether no incomplete text is left.
    pub fn is_empty(&self) -> bool {
        let rest = &self.text[self.taken..];
        content_start(rest) == rest.len()
    }

    /// Drops everything and counts lines from 1 again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The text as it was typed, and the byte at which a statement begins in it. Dropped lines are replaced by empty
    /// ones, so that line numbers are right.
    pub fn shown(&self, start: usize) -> (String, usize) {
        let mut shown = "\n".repeat(self.lines_before);
        let shifted = shown.len() + start;
        shown.push_str(&self.text);
        (shown, shifted)
    }
}

/// The line of a command. A SPOOL command ends with a semicolon after the quoted file name; other file names may
/// contain semicolons.
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

    fn items(script: &mut Script) -> Vec<String> {
        std::iter::from_fn(|| script.next_item())
            .map(|item| match item {
                Item::Statement { text, start } => format!("{start}: {text}"),
                Item::Command(command) => format!("{command:?}"),
            })
            .collect()
    }

    #[test]
    fn statements_and_commands_of_a_file() {
        let mut script = Script::whole("-- first\nSELECT 1;;\noutput json\nSELECT\n 2; SELECT 3");
        assert_eq!(
            items(&mut script),
            ["9: SELECT 1;", "Ok(Output(Some(Json)))", "32: SELECT\n 2;", "43: SELECT 3\n;"]
        );
        assert!(script.is_empty());
    }

    #[test]
    fn spool_ends_at_its_semicolon() {
        let mut script = Script::whole("SPOOL 'a;b'; SELECT 1; spool off; SELECT 2;\nspool 'c'\nSELECT 3;");
        let spool = |file: &str| format!("Ok(Spool({file}))");
        let file = |name: &str| spool(&format!("Some(\"{name}\")"));
        let found = items(&mut script);
        assert_eq!(found[0], file("a;b"));
        assert_eq!((found[2].as_str(), found[4].as_str()), (spool("None").as_str(), file("c").as_str()));
        assert!(found.len() == 6 && found[1].ends_with("SELECT 1;") && found[3].ends_with("SELECT 2;"), "{found:?}");
    }

    #[test]
    fn a_statement_waits_for_its_end() {
        let mut script = Script::default();
        script.push("SELECT 1;\nSELECT 'a;\n");
        assert_eq!(items(&mut script), ["0: SELECT 1;"]);
        assert!(!script.is_empty());
        script.push("b';\n");
        let item = script.next_item();
        assert_eq!(item, Some(Item::Statement { text: "SELECT 'a;\nb';".into(), start: 1 }));
        script.push("SELECT 2;");
        assert_eq!(script.next_item(), Some(Item::Statement { text: "SELECT 2;".into(), start: 1 }));
        assert_eq!(script.shown(1), ("\n\n\nSELECT 2;".into(), 3));
    }

    #[test]
    fn comments_alone_are_not_run() {
        assert_eq!(items(&mut Script::whole("-- only\n/* that */ ;")), Vec::<String>::new());
        assert_eq!(items(&mut Script::whole("")), Vec::<String>::new());
        assert_eq!(items(&mut Script::whole("exit")), ["Ok(Exit)"]);
    }

    #[test]
    fn an_open_quote_at_the_end_is_still_run() {
        // The engine then reports the error.
        assert_eq!(items(&mut Script::whole("SELECT 'a")), ["0: SELECT 'a\n;"]);
        assert_eq!(items(&mut Script::whole("/* open")), ["0: /* open\n;"]);
    }
}
