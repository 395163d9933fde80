//! A session: runs statements and commands one after the other, and shows their answers.
//!
//! Every text takes this path, whether typed at the prompt or read from a file: [`Session::run`] → item → ask → show →
//! summary. The first failure ends it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_engine::Ran;
use headwater_engine::answer::{Answer, Rows};
use headwater_engine::diagnostic::{Diagnostic, INTERNAL, Span};
use tokio::runtime::Handle;

use crate::ask::{Ask, Serve};
use crate::command::Command;
use crate::help;
use crate::interrupt::Interrupt;
use crate::output::facts::sections;
use crate::output::section::write_sections;
use crate::output::summary::{counted, summary};
use crate::rows::{Broken, LinesBroken, Show};
use crate::screen::Screen;
use crate::script::{Item, Script};
use crate::settings::Settings;

/// How often to check whether queries have stopped permanently.
const LOOK: Duration = Duration::from_millis(500);

/// Maximum nesting of scripts that run scripts: a script that runs itself ends here.
pub const SCRIPT_DEPTH_MAX: usize = 16;

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A statement failed; its errors have been shown.
    Failed,
    /// A statement failed because the cluster could not be reached.
    Unreachable,
    /// Ctrl-C.
    Interrupted,
    /// The reader of the output has closed it.
    Closed,
    /// The user wants to leave.
    Exit,
}

/// A user's session.
pub struct Session {
    /// Answers statements.
    pub ask: Arc<dyn Ask>,
    /// The screen for answers.
    pub screen: Screen,
    /// How answers are shown.
    pub settings: Settings,
    /// What can stop a statement.
    pub interrupt: Interrupt,
    /// The statements typed before, oldest first.
    pub history: Vec<String>,
    runtime: Handle,
    /// The scripts that are running, the innermost last.
    scripts: Vec<PathBuf>,
    /// Whether messages about success are hidden.
    quiet: bool,
    /// Set if statements describe a service and are applied.
    serve: Option<Arc<dyn Serve>>,
}

/// Why a statement failed.
enum Failure {
    Refused(Vec<Diagnostic>),
    Broken(Broken),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Session {
    /// A session whose statements run on `runtime`. Its methods block the calling thread, which must not be one of the
    /// runtime's.
    pub fn new(ask: Arc<dyn Ask>, screen: Screen, settings: Settings, interrupt: Interrupt, runtime: Handle) -> Self {
        Self {
            ask,
            screen,
            settings,
            interrupt,
            history: Vec::new(),
            runtime,
            scripts: Vec::new(),
            quiet: false,
            serve: None,
        }
    }

    /// Runs every complete item of a script.
    pub fn run(&mut self, script: &mut Script) -> Result<(), Stop> {
        while let Some(item) = script.next_item() {
            match item {
                Item::Statement { text, start } => self.statement(&text, start, script)?,
                Item::Command(command) => self.command(command)?,
            }
        }
        Ok(())
    }

    /// Runs a complete text.
    pub fn run_text(&mut self, text: &str) -> Result<(), Stop> {
        self.run(&mut Script::whole(text))
    }

    /// Runs a text and shows only errors.
    pub fn run_quietly(&mut self, text: &str) -> Result<(), Stop> {
        self.quiet = true;
        let ran = self.run_text(text);
        self.quiet = false;
        ran
    }

    /// Runs a file. Errors show each line as it is in the file.
    pub fn run_file(&mut self, file: &Path) -> Result<(), Stop> {
        let text = self.read(file)?;
        self.within(file, |session| session.run_text(&text))
    }

    /// Runs `work` as part of a script, which errors then name.
    pub fn within<T>(&mut self, script: &Path, work: impl FnOnce(&mut Self) -> T) -> T {
        self.scripts.push(script.to_owned());
        let done = work(self);
        self.scripts.pop();
        done
    }

    /// A file that a script names: in the script's folder if it exists there, otherwise in the working directory.
    fn beside_script(&self, file: &str) -> PathBuf {
        let beside = self.scripts.last().and_then(|script| script.parent()).map(|folder| folder.join(file));
        beside.filter(|file| file.exists()).unwrap_or_else(|| PathBuf::from(file))
    }

    fn read(&mut self, file: &Path) -> Result<String, Stop> {
        match std::fs::read_to_string(file) {
            // Windows editors begin a file with a byte order mark.
            Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Err(error) => {
                let by = self.scripts.last().map(|script| format!(", which is run by \"{}\"", script.display()));
                let by = by.unwrap_or_default();
                self.screen.error(&format!("could not read \"{}\"{by}: {error}", file.display()));
                Err(Stop::Failed)
            }
        }
    }

    /// The texts of files, each read once because it may be a pipe. Fails if any cannot be read, after trying all of
    /// them.
    pub fn read_all(&mut self, files: &[PathBuf]) -> Result<Vec<String>, Stop> {
        let read: Vec<Result<String, Stop>> = files.iter().map(|file| self.read(file)).collect();
        read.into_iter().collect()
    }

    /// Shows all errors of a text before any of it is applied. Scripts that it runs are checked, too.
    pub fn check_text(&mut self, text: &str) -> Result<(), Stop> {
        let Some(serve) = self.serve.clone() else { return Ok(()) };
        let mut script = Script::whole(text);
        let mut checked = Ok(());
        while let Some(item) = script.next_item() {
            let found = match item {
                Item::Statement { text, start } => serve.check(&text).map_err(|errors| {
                    let (shown, start) = script.shown(start);
                    self.refused(errors, &shown, start)
                }),
                Item::Command(Ok(Command::Exit)) => break,
                Item::Command(Ok(Command::RunScript(file))) => self.check_script(&self.beside_script(&file)),
                Item::Command(Ok(_)) => Ok(()),
                Item::Command(Err(message)) => {
                    self.screen.error(&message);
                    Err(Stop::Failed)
                }
            };
            checked = checked.and(found);
        }
        checked
    }

    fn check_script(&mut self, file: &Path) -> Result<(), Stop> {
        // A script that runs itself fails when it is run; a pipe can be read only once, so it is not read here.
        if self.scripts.len() >= SCRIPT_DEPTH_MAX || file.exists() && !file.is_file() {
            return Ok(());
        }
        let text = self.read(file)?;
        self.within(file, |session| session.check_text(&text))
    }

    /// From now on, statements describe a service and are applied.
    pub fn apply_with(&mut self, serve: Arc<dyn Serve>) {
        self.serve = Some(serve);
    }

    /// Runs the service's queries until they are idle. If the process is asked to end, it ends early and cleanly.
    pub fn until_idle(&mut self) -> Result<(), Stop> {
        let Some(serve) = self.serve.clone() else { return Ok(()) };
        let runtime = self.runtime.clone();
        let asked = Arc::new(AtomicBool::new(false));
        let stopped = asked.clone();
        let ran = runtime.block_on(async {
            let mut running =
                tokio::spawn(async move { serve.until_idle(Box::new(move || stopped.load(Ordering::Acquire))).await });
            tokio::select! {
                () = self.interrupt.pressed() => {}
                ran = &mut running => return ran,
            }
            asked.store(true, Ordering::Release);
            running.await
        });
        match ran {
            Ok(Ok(ran)) => self.report(ran),
            Ok(Err(diagnostics)) => Err(self.refused(diagnostics, "", 0)),
            Err(error) => Err(self.refused(vec![panicked(&error)], "", 0)),
        }
    }

    /// Reports what queries did; fails if one of them failed.
    fn report(&mut self, ran: Vec<Ran>) -> Result<(), Stop> {
        let mut errors = Vec::new();
        for Ran { query, records_read, records_written, complaints, took, error, paused, .. } in ran {
            let errors_text =
                if complaints > 0 { format!(", {}", counted(complaints, "error")) } else { String::new() };
            let seconds = took.as_secs_f64();
            self.screen.note(&match paused {
                true => format!("{query} is paused and processed nothing"),
                false => format!(
                    "{query}: {} read, {records_written} written{errors_text} in {seconds:.3} s",
                    counted(records_read, "record")
                ),
            });
            errors.extend(error);
        }
        if errors.is_empty() { Ok(()) } else { Err(self.refused(errors, "", 0)) }
    }

    /// Waits until the process is asked to end, or until all queries (with `first`, one of them) have stopped
    /// permanently. Fails if a query has stopped by then.
    pub fn end_asked(&mut self, first: bool) -> Result<(), Stop> {
        let Some(serve) = self.serve.clone() else { return Ok(()) };
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            tokio::select! {
                () = self.interrupt.pressed() => {}
                () = stopped(serve.as_ref(), first) => {}
            }
        });
        let failures = serve.failures();
        if failures.is_empty() { Ok(()) } else { Err(self.refused(failures, "", 0)) }
    }

    /// Waits for an event other than a statement, or for Ctrl-C.
    pub fn wait<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Stop> {
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupt.pressed() => Err(Stop::Interrupted),
                event = event => Ok(event),
            }
        })
    }

    fn statement(&mut self, text: &str, start: usize, script: &Script) -> Result<(), Stop> {
        let runtime = self.runtime.clone();
        let outcome = runtime.block_on(self.answer(text));
        self.screen.hide_progress();
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Refused(diagnostics)) => {
                let (shown, start) = script.shown(start);
                Err(self.refused(diagnostics, &shown, start))
            }
            Err(Failure::Broken(Broken::Interrupted)) => Err(Stop::Interrupted),
            Err(Failure::Broken(Broken::Query(failure))) => {
                let (shown, start) = script.shown(start);
                Err(self.refused(self.ask.diagnose(failure), &shown, start))
            }
            Err(Failure::Broken(Broken::Output(error))) => Err(self.output_failed(&error)),
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(), Failure> {
        let started = Instant::now();
        match self.asked(text).await? {
            Answer::Done { message, warnings } => Ok(self.show_done(&message, &warnings)?),
            Answer::Facts(facts) => {
                let sections = sections(&facts);
                let columns = sections.iter().map(|section| section.columns.len()).max().unwrap_or(0);
                let (fit, paging) = self.show(started).fit(columns);
                self.screen.begin_result(paging);
                let written = write_sections(&sections, self.settings.output, fit, &mut self.screen);
                Ok(self.ended(written.map_err(Broken::from))?)
            }
            Answer::Rows(rows) => Ok(self.show_rows(rows, started).await?),
            Answer::Lines(lines) => match self.show(started).lines(lines).await {
                Ok(_) => Ok(()),
                Err(LinesBroken::Broken(broken)) => Err(Failure::Broken(broken)),
                Err(LinesBroken::Failed(diagnostics)) => Err(Failure::Refused(diagnostics)),
            },
        }
    }

    /// Runs the statement on another thread, so that Ctrl-C works even while it is planned, and a panic ends the
    /// statement and not the shell.
    async fn asked(&mut self, text: &str) -> Result<Answer, Failure> {
        let (ask, statement) = (self.ask.clone(), text.to_string());
        let serve = self.serve.clone();
        let mut asking = Aborting(tokio::spawn(async move {
            match serve {
                Some(serve) => serve.apply(&statement).await,
                None => ask.ask(&statement).await,
            }
        }));
        tokio::select! {
            biased;
            () = self.interrupt.pressed() => Err(Broken::Interrupted.into()),
            asked = &mut asking.0 => match asked {
                Ok(answer) => answer.map_err(Failure::Refused),
                Err(error) => Err(Failure::Refused(vec![panicked(&error)])),
            },
        }
    }

    async fn show_rows(&mut self, mut rows: Rows, started: Instant) -> Result<(), Broken> {
        if let Some(notice) = &rows.notice {
            self.screen.note(notice);
        }
        let shown = self.show(started).rows(&mut rows).await;
        let elapsed = started.elapsed();
        let count = match shown {
            Ok(count) => Some(count),
            // The user has seen enough: the query ends, the session continues.
            Err(Broken::Output(_)) if self.screen.pager_was_left() => None,
            Err(broken) => {
                self.screen.end_result()?;
                return Err(broken);
            }
        };
        self.screen.end_result()?;
        let progress = rows.progress.clone();
        let read = progress.snapshot();
        drop(rows);
        let Some(count) = count else { return Ok(()) };
        let lines = summary(count, elapsed, read, progress.first_failure(), &progress.lost());
        lines.iter().try_for_each(|line| self.remark(line))?;
        Ok(())
    }

    fn show(&mut self, started: Instant) -> Show<'_> {
        Show {
            screen: &mut self.screen,
            interrupt: &mut self.interrupt,
            settings: self.settings,
            started,
            waits_for: None,
        }
    }

    /// Ends a result that was written at once.
    fn ended(&mut self, written: Result<(), Broken>) -> Result<(), Broken> {
        let left = self.screen.end_result()?;
        if left { Ok(()) } else { written }
    }

    fn show_done(&mut self, message: &str, warnings: &[String]) -> Result<(), Broken> {
        if !self.quiet && !message.is_empty() {
            self.remark(message)?;
        }
        warnings.iter().for_each(|warning| self.screen.note(&format!("warning: {warning}")));
        Ok(())
    }

    /// Shows a message for people: below the rows if people read them, otherwise on standard error.
    fn remark(&mut self, line: &str) -> io::Result<()> {
        if self.settings.output.is_for_people() {
            self.screen.say(line)?;
            return self.screen.flush();
        }
        self.screen.note(line);
        Ok(())
    }

    /// Shows errors with the text as it was typed, in which the statement begins at `start`. Returns how they end the
    /// run.
    fn refused(&mut self, mut diagnostics: Vec<Diagnostic>, shown: &str, start: usize) -> Stop {
        for span in diagnostics.iter_mut().filter_map(|diagnostic| diagnostic.span.as_mut()) {
            *span = Span { start: span.start + start, end: span.end + start };
        }
        let text = self.ask.render(&diagnostics, shown);
        match self.scripts.last() {
            Some(script) => self.screen.error(&format!("in \"{}\":\n{text}", script.display())),
            None => self.screen.error(&text),
        }
        if diagnostics.iter().any(|diagnostic| diagnostic.unreachable) { Stop::Unreachable } else { Stop::Failed }
    }

    fn output_failed(&mut self, error: &io::Error) -> Stop {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::Closed;
        }
        self.screen.error(&format!("could not write the output: {error}"));
        Stop::Failed
    }

    fn command(&mut self, command: Result<Command, String>) -> Result<(), Stop> {
        let done = match command {
            Err(message) => {
                self.screen.error(&message);
                return Err(Stop::Failed);
            }
            Ok(Command::Exit) => return Err(Stop::Exit),
            Ok(Command::RunScript(file)) => return self.run_script(&file),
            Ok(Command::Spool(file)) => return self.spool(file.as_deref()),
            Ok(Command::Help(topic)) => self.screen.say(&help::text(topic.as_deref())),
            Ok(Command::Output(output)) => {
                self.settings.output = output.unwrap_or(self.settings.output);
                self.remark(&format!("Output is {}.", help::output_name(self.settings.output)))
            }
            Ok(Command::SetCli(setting)) => {
                let message = self.settings.apply(setting);
                self.remark(&message)
            }
            Ok(Command::History) => self.show_history(),
            Ok(Command::Clear) => self.screen.clear(),
            Ok(Command::Version) => self.screen.say(&format!("Headwater {}", env!("CARGO_PKG_VERSION"))),
        };
        done.and_then(|()| self.screen.flush()).map_err(|error| self.output_failed(&error))
    }

    fn show_history(&mut self) -> io::Result<()> {
        let width = self.history.len().to_string().len();
        let Self { history, screen, .. } = self;
        history.iter().enumerate().try_for_each(|(index, entry)| screen.say(&format!("{:width$}  {entry}", index + 1)))
    }

    fn run_script(&mut self, file: &str) -> Result<(), Stop> {
        if self.scripts.len() >= SCRIPT_DEPTH_MAX {
            self.screen.error(&format!(
                "scripts are nested more than {SCRIPT_DEPTH_MAX} levels deep; does \"{file}\" run itself?"
            ));
            return Err(Stop::Failed);
        }
        let ran = self.run_file(&self.beside_script(file));
        // `exit` in a script ends only the script.
        if ran == Err(Stop::Exit) { Ok(()) } else { ran }
    }

    fn spool(&mut self, file: Option<&str>) -> Result<(), Stop> {
        match self.screen.spool(file.map(Path::new)) {
            Ok(()) => {
                let message = file.map_or("Spooling is off.".into(), |file| format!("Spooling to \"{file}\"."));
                self.remark(&message).map_err(|error| self.output_failed(&error))
            }
            Err(error) => {
                self.screen.error(&format!("could not write \"{}\": {error}", file.unwrap_or_default()));
                Err(Stop::Failed)
            }
        }
    }
}

/// A task that is aborted when it is dropped.
struct Aborting<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until queries have stopped permanently.
async fn stopped(serve: &dyn Serve, first: bool) {
    loop {
        let (failed, all) = (serve.failures().len(), serve.queries());
        if failed > 0 && (first || failed >= all) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn panicked(error: &tokio::task::JoinError) -> Diagnostic {
    tracing::error!(%error, "a statement panicked");
    Diagnostic::new(INTERNAL, "internal error in the statement")
        .detail(format!("{error}. This is a bug in Headwater. The shell continues; other statements are not affected."))
        .hint("Please report the statement together with the log above.")
}
