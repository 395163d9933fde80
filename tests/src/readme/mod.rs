//! The commands of a Markdown page, and whether their output still matches the page.
//!
//! The meaning of a code block's info string:
//!
//! | block | meaning |
//! |---|---|
//! | `` ```sh `` | a bash script; it must exit with 0, its output is ignored |
//! | `` ```console `` | commands after `$ ` (continued after `> `), each followed by its output, which is compared: see [`compare`] |
//! | `` ```sql `` | statements for `headwater` on standard input; it must exit with 0 |
//! | `` ```sh ci `` | run by `.ci/run` and not here: the command that runs this test itself |
//! | any other | not run |
//!
//! Blocks run from top to bottom in one folder that looks like a fresh clone ([`stage`]), so a block sees the results
//! of earlier ones. This file only parses; it runs nothing.

pub mod compare;
pub mod stage;

/// A code block that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of the page on which its text begins, counted from 1.
    pub line: usize,
    /// How to run it.
    pub kind: Kind,
    /// Its text.
    pub text: String,
}

/// How to run a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A script for bash.
    Script,
    /// A script for bash that only `.ci/run` runs.
    CiScript,
    /// Commands with their output.
    Session,
    /// Statements for `headwater`.
    Statements,
}

/// One command of a [`Kind::Session`] and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The command; it has several lines if it was continued.
    pub command: String,
    /// Its output, standard output and standard error together.
    pub expected: String,
}

/// The blocks of a page that can be run, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, opening)) = lines.next() {
        let Some(info) = opening.trim_start().strip_prefix("```") else { continue };
        let text: Vec<&str> = lines.by_ref().map(|(_, text)| text).take_while(|text| text.trim() != "```").collect();
        if let Some(kind) = kind(info) {
            found.push(Block { line: line + 1, kind, text: text.join("\n") });
        }
    }
    found
}

fn kind(info: &str) -> Option<Kind> {
    match info.trim() {
        "sh" => Some(Kind::Script),
        "sh ci" => Some(Kind::CiScript),
        "console" => Some(Kind::Session),
        "sql" => Some(Kind::Statements),
        _ => None,
    }
}

/// The command lines of all scripts, in order, without comments and empty lines.
pub fn script_commands(blocks: &[Block]) -> Vec<(&str, Kind)> {
    let scripts = blocks.iter().filter(|block| matches!(block.kind, Kind::Script | Kind::CiScript));
    let lines = scripts.flat_map(|block| block.text.lines().map(|line| (line.trim(), block.kind)));
    lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The commands of a session with their output. Lines before the first `$ ` are ignored.
pub fn exchanges(session: &str) -> Vec<Exchange> {
    let mut found: Vec<Exchange> = Vec::new();
    for line in session.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            found.push(Exchange { command: command.to_owned(), expected: String::new() });
            continue;
        }
        let Some(last) = found.last_mut() else { continue };
        match line.strip_prefix("> ") {
            Some(more) if last.expected.is_empty() => last.command = format!("{}\n{more}", last.command),
            _ => last.expected.push_str(&format!("{line}\n")),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_blocks_are_found_with_their_line() {
        let page = "text\n```sh\necho 1\n# why\necho 2\n```\n```sh ci\ncargo test\n```\n```rust\nfn f() {}\n```\n```console\n$ ls\n```\n";
        let found = blocks(page);
        let kinds: Vec<_> = found.iter().map(|block| (block.line, block.kind)).collect();
        assert_eq!(kinds, [(3, Kind::Script), (8, Kind::CiScript), (14, Kind::Session)]);
        let commands = [("echo 1", Kind::Script), ("echo 2", Kind::Script), ("cargo test", Kind::CiScript)];
        assert_eq!(script_commands(&found), commands);
    }

    #[test]
    fn a_session_has_commands_and_their_output() {
        let found = exchanges("$ headwater -e \"SELECT\n> 1\"\n1\n$ true\n$ echo a; echo b\na\nb\n");
        let exchange =
            |command: &str, expected: &str| Exchange { command: command.to_owned(), expected: expected.to_owned() };
        let expected =
            [exchange("headwater -e \"SELECT\n1\"", "1\n"), exchange("true", ""), exchange("echo a; echo b", "a\nb\n")];
        assert_eq!(found, expected);
    }

    #[test]
    fn block_that_is_not_closed_ends_with_the_page() {
        assert_eq!(blocks("```sh\necho 1"), [Block { line: 2, kind: Kind::Script, text: "echo 1".to_owned() }]);
    }
}
