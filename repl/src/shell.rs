//! The prompt: reads lines until a statement is complete, with history, completion and colors.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Context, Editor, Helper, Hinter, Validator};

use crate::ask::{Ask, Vocabulary};
use crate::complete::complete;
use crate::highlight::highlight;
use crate::logs::LogOutput;
use crate::script::Script;
use crate::session::{Session, Stop};

const PROMPT: &str = "headwater> ";
const PROMPT_GOES_ON: &str = "        -> ";
const PROMPT_COLORED: &str = "\x1b[1;36mheadwater>\x1b[0m ";
/// Maximum number of statements in the history.
pub const HISTORY_MAX: usize = 5_000;
/// A longer statement (such as many pasted INSERTs) is run but not added to the history.
pub const HISTORY_ENTRY_BYTES_MAX: usize = 64 * 1024;

/// Runs the prompt until the user leaves. `history` is the history file; without one, nothing is saved. Log lines are
/// printed above the line that is being typed. Fails if there is no terminal.
pub fn shell(
    session: &mut Session,
    history: Option<PathBuf>,
    color: bool,
    log_output: Option<&LogOutput>,
) -> rustyline::Result<Result<(), Stop>> {
    let mut prompt = Prompt::open(session.ask.clone(), history, color)?;
    if let (Some(output), Ok(printer)) = (log_output, prompt.editor.create_external_printer()) {
        output.print_with(Box::new(printer));
    }
    let left = ask(session, &mut prompt);
    if let Some(output) = log_output {
        output.print_plainly();
    }
    left
}

fn ask(session: &mut Session, prompt: &mut Prompt) -> rustyline::Result<Result<(), Stop>> {
    session.history = prompt.remembered();
    let mut script = Script::default();
    loop {
        let line = match prompt.line(&script) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                script.clear();
                prompt.begin_statement();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(Ok(())),
            // A byte in another encoding, for example from a terminal or a paste in Latin-1.
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                session.screen.error("the input is not valid UTF-8; the line is ignored");
                continue;
            }
            Err(error) => return Err(error),
        };
        session
            .screen
            .to_spool(format!("{}{line}\n", if script.is_empty() { PROMPT } else { PROMPT_GOES_ON }).as_bytes());
        script.push(&format!("{line}\n"));
        prompt.typed(&line);
        session.interrupt.forget();
        let ran = session.run(&mut script);
        match ran {
            Ok(()) if !script.is_empty() => continue,
            Ok(()) => {}
            // Text after a failed statement was meant to follow its success.
            Err(Stop::Failed | Stop::Unreachable) => {}
            Err(Stop::Interrupted) => session.screen.note("Stopped."),
            Err(Stop::Exit) => return Ok(Ok(())),
            Err(Stop::Closed) => return Ok(Err(Stop::Closed)),
        }
        script.clear();
        session.history.extend(prompt.remember());
        prompt.begin_statement();
    }
}

/// The line editor and its state.
struct Prompt {
    editor: Editor<Assistant, DefaultHistory>,
    file: Option<PathBuf>,
    /// The lines of the statement that is being typed.
    typed: String,
    color: bool,
}

impl Prompt {
    fn open(ask: Arc<dyn Ask>, file: Option<PathBuf>, color: bool) -> rustyline::Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_MAX)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .bracketed_paste(true)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant::new(ask, color)));
        let mut prompt = Self { editor, file, typed: String::new(), color };
        prompt.load();
        Ok(prompt)
    }

    fn line(&mut self, script: &Script) -> rustyline::Result<String> {
        match (script.is_empty(), self.color) {
            (false, _) => self.editor.readline(PROMPT_GOES_ON),
            (true, false) => self.editor.readline(PROMPT),
            (true, true) => self.editor.readline(&(PROMPT, PROMPT_COLORED)),
        }
    }

    fn typed(&mut self, line: &str) {
        self.typed.push_str(line);
        self.typed.push('\n');
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.before.clone_from(&self.typed);
        }
    }

    fn begin_statement(&mut self) {
        self.typed.clear();
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.forget();
        }
    }

    /// Adds what was typed to the history, at once and on disk: a shell that is killed loses nothing.
    fn remember(&mut self) -> Option<String> {
        let entry = self.typed.trim();
        if entry.is_empty() || entry.len() > HISTORY_ENTRY_BYTES_MAX {
            return None;
        }
        let entry = entry.to_string();
        if matches!(self.editor.add_history_entry(&entry), Ok(true))
            && let Some(file) = &self.file
            && let Err(error) = self.editor.append_history(file)
        {
            tracing::warn!(file = %file.display(), %error, "could not write the history");
            self.file = None;
        }
        Some(entry)
    }

    fn remembered(&self) -> Vec<String> {
        self.editor.history().iter().cloned().collect()
    }

    fn load(&mut self) {
        let Some(file) = &self.file else { return };
        let loaded = make_folder(file).and_then(|()| match self.editor.load_history(file) {
            Err(ReadlineError::Io(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        if let Err(error) = loaded {
            tracing::warn!(file = %file.display(), %error, "could not read the history");
            self.file = None;
        }
    }
}

fn make_folder(file: &Path) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// What the editor needs while a line is typed.
#[derive(Helper, Hinter, Validator)]
struct Assistant {
    ask: Arc<dyn Ask>,
    /// Requested when first needed, dropped after each statement, which may have created new names.
    names: RefCell<Option<Vocabulary>>,
    keywords: HashSet<String>,
    files: FilenameCompleter,
    /// The earlier lines of the statement.
    before: String,
    color: bool,
}

impl Assistant {
    fn new(ask: Arc<dyn Ask>, color: bool) -> Self {
        let names = ask.vocabulary();
        let keywords = names.keywords.iter().cloned().collect();
        let files = FilenameCompleter::new();
        Self { ask, names: RefCell::new(Some(names)), keywords, files, before: String::new(), color }
    }

    fn forget(&mut self) {
        self.before.clear();
        self.names.replace(None);
    }

    fn names(&self, line: &str, pos: usize) -> (usize, Vec<String>) {
        let mut names = self.names.borrow_mut();
        let names = names.get_or_insert_with(|| self.ask.vocabulary());
        let text = format!("{}{}", self.before, &line[..pos]);
        let (start, found) = complete(&text, names);
        // A word that began on an earlier line cannot be replaced here.
        start.checked_sub(self.before.len()).map_or((pos, Vec::new()), |start| (start, found))
    }
}

/// Whether a line names a file: `run script '` and `spool '`.
fn names_a_file(line: &str) -> bool {
    let line = line.trim_start().to_ascii_lowercase();
    line.starts_with("run script ") || line.starts_with("spool ")
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if self.before.is_empty() && names_a_file(&line[..pos]) {
            return self.files.complete_path(line, pos);
        }
        let (start, found) = self.names(line, pos);
        Ok((start, found.into_iter().map(|name| Pair { display: name.clone(), replacement: name }).collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if self.color { Cow::Owned(highlight(&self.before, line, &self.keywords)) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.color && kind != CmdKind::MoveCursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_files() {
        assert!(names_a_file(" RUN SCRIPT 'a"));
        assert!(names_a_file("spool 'x"));
        assert!(!names_a_file("SELECT 'x"));
    }
}
