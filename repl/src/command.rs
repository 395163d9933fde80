//! The shell's own commands, which need no `;`: help, output, history, run script, spool, set cli, clear, version,
//! exit. Any other line is SQL.
//!
//! ```
//! use headwater_repl::command::{Command, parse};
//! assert_eq!(parse("spool 'out.txt'"), Some(Ok(Command::Spool(Some("out.txt".into())))));
//! assert_eq!(parse("SELECT 1;"), None);
//! ```

use clap::ValueEnum;

use crate::output::Output;

/// A command of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Explains all commands, or one.
    Help(Option<String>),
    /// Shows or sets the output format.
    Output(Option<Output>),
    /// Lists the statements typed before.
    History,
    /// Runs the statements and commands of a file.
    RunScript(String),
    /// Copies all output to a file, or stops doing so.
    Spool(Option<String>),
    /// Changes how results are shown.
    SetCli(CliSetting),
    /// Clears the screen.
    Clear,
    /// Shows the version.
    Version,
    /// Leaves the shell.
    Exit,
}

/// What `set cli` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CliSetting {
    /// Whether long cells are wrapped.
    Wrap(bool),
    /// The width of every column; `None` to fit the contents.
    ColumnWidth(Option<usize>),
    /// Whether long results go through a pager.
    Pager(bool),
}

/// Every command with its usage and description, in the order in which help lists them.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "help [command]", "explains the commands of the shell, or one of them"),
    ("output", "output [table|vertical|csv|json]", "shows or sets the output format"),
    ("run", "run script 'file'", "runs the statements of a file; stops at the first one that fails"),
    ("spool", "spool 'file' | spool off", "copies all output to a file until it is turned off"),
    ("history", "history", "lists earlier statements"),
    ("set cli", "set cli wrap on|off", "wraps or truncates cells that are too long"),
    ("set cli", "set cli column-width <n>", "sets the width of table columns; 0 fits them to their contents"),
    ("set cli", "set cli pager on|off", "shows long and wide results through a pager ($PAGER, or less)"),
    ("clear", "clear", "clears the screen"),
    ("version", "version", "shows the version"),
    ("exit", "exit, quit, or Ctrl-D", "leaves the shell; Ctrl-C stops a running query"),
];

/// The command on a line; `None` if the line is the beginning of a statement, an error message if it is a command with
/// invalid arguments.
pub fn parse(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = split_word(line);
    match word.to_ascii_lowercase().as_str() {
        "help" => Some(Ok(Command::Help(Some(rest.to_string()).filter(|topic| !topic.is_empty())))),
        "output" => Some(parse_output(rest)),
        "history" => alone(rest, Command::History),
        "clear" => alone(rest, Command::Clear),
        "version" => alone(rest, Command::Version),
        "exit" | "quit" => alone(rest, Command::Exit),
        "spool" => Some(parse_spool(rest)),
        "run" => parse_run(rest),
        "set" => parse_set(rest),
        _ => None,
    }
}

fn alone(rest: &str, command: Command) -> Option<Result<Command, String>> {
    rest.is_empty().then_some(Ok(command))
}

fn parse_output(rest: &str) -> Result<Command, String> {
    if rest.is_empty() {
        return Ok(Command::Output(None));
    }
    // ksqlDB's name for the table format.
    let name = if unquoted(rest).eq_ignore_ascii_case("tabular") { "table" } else { unquoted(rest) };
    match Output::from_str(name, true) {
        Ok(output) => Ok(Command::Output(Some(output))),
        Err(_) => {
            Err(format!("output format \"{name}\" does not exist; the formats are table, vertical, csv and json"))
        }
    }
}

fn parse_spool(rest: &str) -> Result<Command, String> {
    match rest {
        "" => Err("spool needs a file: spool 'file', or spool off".into()),
        off if off.eq_ignore_ascii_case("off") => Ok(Command::Spool(None)),
        file => Ok(Command::Spool(Some(unquoted(file).to_string()))),
    }
}

fn parse_run(rest: &str) -> Option<Result<Command, String>> {
    let (word, file) = split_word(rest);
    if !word.eq_ignore_ascii_case("script") {
        return None;
    }
    if file.is_empty() {
        return Some(Err("run script needs a file: run script 'file'".into()));
    }
    Some(Ok(Command::RunScript(unquoted(file).to_string())))
}

fn parse_set(rest: &str) -> Option<Result<Command, String>> {
    let (word, rest) = split_word(rest);
    if !word.eq_ignore_ascii_case("cli") {
        return None;
    }
    let (name, value) = split_word(rest);
    let value = value.trim_start_matches('=').trim();
    Some(parse_setting(&name.to_ascii_lowercase(), unquoted(value)).map(Command::SetCli))
}

fn parse_setting(name: &str, value: &str) -> Result<CliSetting, String> {
    match name {
        "wrap" => on_or_off(name, value).map(CliSetting::Wrap),
        "pager" => on_or_off(name, value).map(CliSetting::Pager),
        "column-width" => match value.parse::<usize>() {
            Ok(width) => Ok(CliSetting::ColumnWidth(Some(width).filter(|width| *width > 0))),
            Err(_) => Err(format!("\"{value}\" is not a width; set cli column-width needs a whole number")),
        },
        _ => Err(format!("setting \"{name}\" does not exist; the settings are wrap, column-width and pager")),
    }
}

fn on_or_off(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("set cli {name} must be on or off")),
    }
}

fn split_word(line: &str) -> (&str, &str) {
    match line.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (line, ""),
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Command) {
        assert_eq!(parse(line), Some(Ok(expected)), "{line}");
    }

    fn refused(line: &str, words: &str) {
        match parse(line) {
            Some(Err(message)) => assert!(message.contains(words), "{message}"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_in_every_spelling() {
        check("help", Command::Help(None));
        check("HELP run script;", Command::Help(Some("run script".into())));
        check("output", Command::Output(None));
        check("Output JSON", Command::Output(Some(Output::Json)));
        check("output tabular ;", Command::Output(Some(Output::Table)));
        check("history", Command::History);
        check("run script 'a b.sql';", Command::RunScript("a b.sql".into()));
        check("RUN SCRIPT a.sql", Command::RunScript("a.sql".into()));
        check("spool '/tmp/x'", Command::Spool(Some("/tmp/x".into())));
        check("spool OFF", Command::Spool(None));
        check("set cli wrap off", Command::SetCli(CliSetting::Wrap(false)));
        check("SET CLI COLUMN-WIDTH 10", Command::SetCli(CliSetting::ColumnWidth(Some(10))));
        check("set cli column-width 0", Command::SetCli(CliSetting::ColumnWidth(None)));
        check("set cli pager on;", Command::SetCli(CliSetting::Pager(true)));
        check("quit", Command::Exit);
        check("exit;", Command::Exit);
        check("clear", Command::Clear);
        check("version", Command::Version);
    }

    #[test]
    fn sql_is_left_alone() {
        for line in ["SELECT 1;", "SET 'a' = 'b';", "set x", "run x", "exit strategy", "", "clear the table"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn wrong_use_is_explained() {
        refused("output xml", "\"xml\" does not exist");
        refused("spool", "needs a file");
        refused("run script", "needs a file");
        refused("set cli wrap maybe", "on or off");
        refused("set cli column-width wide", "\"wide\" is not a width");
        refused("set cli colour on", "\"colour\" does not exist");
    }
}
