//! What the user sees: standard output with its pager and spool file, and standard error with errors, notes and the
//! progress line.
//!
//! All output goes through here, so that the progress line is cleared before anything else is written, the spool file
//! contains all output, and tests can inspect it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::pager::Flow;
use crate::visible::visible;

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
}

/// How a screen behaves.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
    /// Whether errors are colored.
    pub color_errors: bool,
    /// Whether a progress line may be drawn on standard error.
    pub progress: bool,
    /// The pager for long results: a shell command.
    pub pager: Option<String>,
}

/// Whether a result may go through the pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// No.
    Never,
    /// If it is longer than the screen.
    WhenLong,
    /// From the first line, because it is wider than the screen.
    Always,
}

/// The user's screen.
pub struct Screen {
    out: Box<dyn Write + Send>,
    errors: Box<dyn Write + Send>,
    manner: Manner,
    flow: Flow,
    spool: Option<File>,
    progress_shown: bool,
}

impl Screen {
    /// The standard output and standard error of this process.
    pub fn standard(manner: Manner) -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), manner)
    }

    /// A screen on any two writers.
    pub fn new(out: Box<dyn Write + Send>, errors: Box<dyn Write + Send>, manner: Manner) -> Self {
        Self { out, errors, manner, flow: Flow::Direct, spool: None, progress_shown: false }
    }

    /// The current size of the terminal; `None` if output goes elsewhere.
    pub fn size(&self) -> Option<Size> {
        if !self.manner.is_terminal {
            return None;
        }
        let (width, height) = terminal_size::terminal_size()?;
        Some(Size { columns: usize::from(width.0), lines: usize::from(height.0) })
    }

    /// Whether results can be shown in a pager.
    pub fn has_pager(&self) -> bool {
        self.manner.is_terminal && self.manner.pager.is_some()
    }

    /// Begins a result; what is written until [`Self::end_result`] may go through the pager.
    pub fn begin_result(&mut self, paging: Paging) {
        let (Some(size), Some(pager)) = (self.size(), &self.manner.pager) else { return };
        self.flow = match paging {
            Paging::Never => Flow::Direct,
            // The prompt and the summary also need lines.
            Paging::WhenLong => Flow::holding(pager.clone(), size.lines.saturating_sub(3)),
            Paging::Always => Flow::holding(pager.clone(), 0),
        };
    }

    /// Shows a slow result. Called repeatedly while it runs.
    pub fn release_when_slow(&mut self) -> io::Result<()> {
        self.flow.release_when_slow(&mut self.out)
    }

    /// Ends a result and waits for its pager. True if the user quit the pager before the end.
    pub fn end_result(&mut self) -> io::Result<bool> {
        let left = self.flow.is_left();
        self.hide_progress();
        self.flow.end(&mut self.out)?;
        self.out.flush()?;
        Ok(left)
    }

    /// Whether the user quit the pager of the current result.
    pub fn pager_was_left(&self) -> bool {
        self.flow.is_left()
    }

    /// Shows one line on standard output.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        self.write_all(line.as_bytes())?;
        self.write_all(b"\n")
    }

    /// Shows lines on standard error, with control characters escaped. If standard error is closed, they are dropped.
    pub fn note(&mut self, text: &str) {
        let text = &*visible(text);
        self.write_error(text, text);
    }

    /// Shows errors on standard error, colored on a terminal; a spool file gets no colors.
    pub fn error(&mut self, text: &str) {
        let text = &*visible(text);
        if self.manner.color_errors { self.write_error(&colored(text), text) } else { self.write_error(text, text) }
    }

    fn write_error(&mut self, shown: &str, spooled: &str) {
        self.hide_progress();
        let _ = self.out.flush();
        let _ = self.errors.write_all(shown.trim_end().as_bytes());
        let _ = self.errors.write_all(b"\n");
        let _ = self.errors.flush();
        self.to_spool(spooled.trim_end().as_bytes());
        self.to_spool(b"\n");
    }

    /// Draws the progress line, if standard error is a terminal and no pager is using it.
    pub fn show_progress(&mut self, line: &str) {
        if !self.manner.progress || self.flow.is_paging() {
            return;
        }
        let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        let visible: String = line.chars().take(columns.saturating_sub(1)).collect();
        let _ = write!(self.errors, "\r\x1b[K{visible}");
        let _ = self.errors.flush();
        self.progress_shown = true;
    }

    /// Clears the progress line.
    pub fn hide_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            let _ = self.errors.write_all(b"\r\x1b[K");
            let _ = self.errors.flush();
        }
    }

    /// Clears the terminal.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.manner.is_terminal {
            self.out.write_all(b"\x1b[2J\x1b[H")?;
        }
        self.out.flush()
    }

    /// Copies all further output to a file, which is created or truncated; `None` stops it.
    pub fn spool(&mut self, file: Option<&Path>) -> io::Result<()> {
        self.spool = file.map(File::create).transpose()?;
        Ok(())
    }

    /// Writes only to the spool file, because the terminal already shows what the user typed.
    pub fn to_spool(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.spool
            && let Err(error) = file.write_all(bytes)
        {
            self.spool = None;
            tracing::warn!(%error, "the spool file could not be written; spooling is off");
        }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hide_progress();
        self.to_spool(bytes);
        match self.manner.is_terminal {
            // All output to a terminal passes here, so that no record can control it, whatever the format.
            true => self.flow.write(visible(&String::from_utf8_lossy(bytes)).as_bytes(), &mut self.out)?,
            false => self.flow.write(bytes, &mut self.out)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const RED: &str = "\x1b[1;31m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// Colors errors: messages and carets red, hints cyan.
fn colored(text: &str) -> String {
    let paint = |line: &str| match line.trim_start() {
        hint if hint.starts_with("hint:") => format!("{CYAN}{line}{PLAIN}"),
        caret if is_caret(caret) => format!("{RED}{line}{PLAIN}"),
        message if is_message(message) => format!("{RED}{line}{PLAIN}"),
        _ => line.to_string(),
    };
    text.lines().map(paint).collect::<Vec<_>>().join("\n")
}

/// `K0102: column …`
fn is_message(line: &str) -> bool {
    line.strip_prefix('K').and_then(|rest| rest.split_once(": ")).is_some_and(|(code, _)| code.parse::<u32>().is_ok())
}

/// `|   ^^^^`
fn is_caret(line: &str) -> bool {
    line.contains('^') && line.chars().all(|c| matches!(c, '|' | '^' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_colored_by_line() {
        let text =
            "K0102: column \"A^\" does not exist\n  line 1, column 8\n    1 | SELECT a^b\n      |        ^^\n  hint: x";
        let expected = "\x1b[1;31mK0102: column \"A^\" does not exist\x1b[0m\n  line 1, column 8\n    1 | SELECT a^b\n\x1b[1;31m      |        ^^\x1b[0m\n\x1b[36m  hint: x\x1b[0m";
        assert_eq!(colored(text), expected);
    }

    /// A writer whose contents can be inspected.
    #[derive(Clone, Default)]
    struct Shown(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let (out, errors) = (Shown::default(), Shown::default());
        let manner = Manner { is_terminal: true, ..Manner::default() };
        let mut screen = Screen::new(Box::new(out.clone()), Box::new(errors.clone()), manner);
        let controls: String = (0..=0x1f_u32).chain(0x7f..=0x9f).filter_map(char::from_u32).collect();
        screen.say(&controls).unwrap();
        screen.write_all(format!("a,\"{controls}\"\n").as_bytes()).unwrap();
        screen.end_result().unwrap();
        screen.note(&controls);
        screen.error(&format!("K0102: {controls}"));
        for shown in [out, errors] {
            let shown = String::from_utf8(shown.0.lock().unwrap().clone()).unwrap();
            assert!(
                shown.len() > 200 && shown.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn the_spool_file_contains_what_was_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut screen = Screen::new(Box::new(io::sink()), Box::new(io::sink()), Manner::default());
        screen.say("before").unwrap();
        screen.spool(Some(file.path())).unwrap();
        screen.say("rows").unwrap();
        screen.note("K0102: no\n");
        screen.spool(None).unwrap();
        screen.say("after").unwrap();
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "rows\nK0102: no\n");
    }
}
