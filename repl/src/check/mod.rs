//! `headwater test`: files of statements with their expected answers, run on a cluster in memory.
//!
//! ```text
//! paths → file (pieces of text) → stage (cluster, engine, session; directive, mode) → judge → report
//! ```
//!
//! The real engine runs over a transport in memory, and persistent queries are driven step by step in virtual time:
//! there is no network, no disk and no waiting, and a file gives the same answers each time. A file with persistent
//! queries is run in every [`Mode`]; the answers must be the same in all of them. `tests/tests/queries.rs` runs the
//! files of `queries/` with this module.

mod difference;
mod directive;
mod file;
mod guide;
mod judge;
mod mode;
mod paths;
mod report;
mod show;
mod split;
mod stage;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub use file::{Piece, RULE, TestFile};
pub use guide::GUIDE;
use mode::NOT_RESTARTED;
pub use mode::{Drive, Mode};
use report::counted;
pub use report::{Failure, FileReport, Reporter, Wrong};
use stage::{Outcome, Played, play};

/// The labels of an expected and an actual answer.
const FILE: (&str, &str) = ("expected", "found");

/// How files are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The modes in which persistent queries are driven; not empty. The answers in the first mode are compared with the
    /// file, those in the other modes with the first.
    pub modes: Vec<Mode>,
    /// Whether each stream written by a query must contain the result of the bounded query.
    pub judge: bool,
    /// Whether the actual answers are written to the files.
    pub accept: bool,
    /// Statements to run before each file: SET and DEFINE.
    pub session: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { modes: Mode::ALL.to_vec(), judge: false, accept: false, session: Vec::new() }
    }
}

/// The totals of all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of files.
    pub files: usize,
    /// Number of statements with the expected answer.
    pub passed: usize,
    /// Number of statements without it, and of other failures.
    pub failed: usize,
}

/// Runs files and folders of files, as many at once as there are processors, and reports them in their order. Fails,
/// with one line for each problem and before anything is run, when a path cannot be read, a folder contains no test, or
/// the rules are not valid. A report that nobody reads is not an error.
pub async fn check(paths: &[PathBuf], rules: &Rules, reporter: &mut Reporter<'_>) -> Result<Tally, String> {
    let files = paths::files(paths)?;
    check_session(&rules.session).await?;
    let texts = files.iter().map(|path| {
        let unreadable = |error| format!("could not read \"{}\": {error}", path.display());
        std::fs::read_to_string(path).map_err(unreadable)
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let mut tally = Tally { files: files.len(), ..Tally::default() };
    let mut can_be_accepted = false;
    let processors = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));
    let checks: Vec<_> = files.iter().zip(texts).map(|(path, text)| begin(path, text, rules, &processors)).collect();
    for (path, check) in files.iter().zip(checks) {
        // A panic in the engine fails only this file.
        let report = check.await.unwrap_or_else(|error| FileReport::failed(format!("internal error: {error}")));
        tally.failed += report.failed_all();
        tally.passed += report.statements - report.failed_statements();
        can_be_accepted |= report.failures.iter().any(|it| matches!(it.wrong, Wrong::Differs { sides: FILE, .. }));
        let _ = reporter.file(path, &report);
    }
    let Tally { files, passed, failed } = tally;
    if can_be_accepted {
        let _ = writeln!(reporter.out, "`headwater test --accept PATH` writes the actual answers to the files");
    }
    let summary = format!("{}, {} passed, {failed} failed", counted(files, "file"), counted(passed, "statement"));
    let _ = writeln!(reporter.out, "{summary}");
    Ok(tally)
}

async fn check_session(statements: &[String]) -> Result<(), String> {
    let engine = Engine::driven(Arc::new(MemoryTransport::default()), &Settings::default());
    let mut session = Session::new(Settings::default());
    for statement in statements {
        stage::answer(&engine, &mut session, statement).await?;
    }
    Ok(())
}

/// Begins to check one file, which waits for a free processor.
fn begin(path: &Path, text: String, rules: &Rules, processors: &Arc<Semaphore>) -> JoinHandle<FileReport> {
    let (path, rules, processors) = (path.to_owned(), rules.clone(), processors.clone());
    tokio::spawn(async move {
        let _processor = processors.acquire().await.expect("the semaphore is never closed");
        check_text(&path, &text, &rules).await
    })
}

async fn check_text(path: &Path, text: &str, rules: &Rules) -> FileReport {
    let mut file = match TestFile::parse(text) {
        Ok(file) => file,
        Err(problem) => return FileReport::failed(problem),
    };
    if !file.pieces().iter().any(Piece::has_statement) {
        return FileReport::failed("the file contains no statement".to_owned());
    }
    if !file.expects_something() && !rules.accept {
        let fact = format!("the file expects no answer: there is no line {RULE} below a statement");
        return FileReport::failed(format!("{fact}\n`headwater test --accept` adds the answer of each statement"));
    }
    let (first_mode, others) = rules.modes.split_first().expect("the rules have at least one mode");
    let first = play(path, &file, *first_mode, rules).await;
    let mut report = FileReport { statements: first.outcomes.iter().flatten().count(), ..FileReport::default() };
    if rules.accept {
        report.accept(path, &mut file, &first);
    }
    report.compare(&file, &first);
    // A file that already fails would fail in every mode.
    if first.is_continuous && report.failures.is_empty() {
        let restarts = !file.pieces().iter().any(|piece| piece.statement().contains(NOT_RESTARTED));
        for mode in others.iter().filter(|mode| restarts || **mode != Mode::RestartAfterEachRow) {
            let driven = play(path, &file, *mode, rules).await;
            report.compare_modes(&file, (*first_mode, &first), (*mode, &driven));
        }
    }
    report
}

impl FileReport {
    fn failed(why: String) -> Self {
        Self { failures: vec![Failure { statement: None, wrong: Wrong::Message(why) }], ..Self::default() }
    }

    /// Number of failed statements, in any mode.
    fn failed_statements(&self) -> usize {
        self.failures.iter().filter_map(|failure| failure.statement.as_ref()).collect::<BTreeSet<_>>().len()
    }

    /// Number of failed statements and of other failures.
    fn failed_all(&self) -> usize {
        self.failed_statements() + self.failures.iter().filter(|failure| failure.statement.is_none()).count()
    }

    /// Replaces the answers, and writes the file if they changed.
    fn accept(&mut self, path: &Path, file: &mut TestFile, played: &Played) {
        let taken = |outcome: &'_ Option<Outcome>| outcome.clone().filter(|it| it.fault.is_none()).map(|it| it.text);
        let answers: Vec<Option<String>> = played.outcomes.iter().map(taken).collect();
        self.accepted = file.accept(&answers.iter().map(Option::as_deref).collect::<Vec<_>>());
        if self.accepted > 0
            && let Err(error) = std::fs::write(path, file.to_string())
        {
            self.fail(None, format!("could not write \"{}\": {error}", path.display()));
        }
    }

    /// Compares each answer with the file.
    fn compare(&mut self, file: &TestFile, played: &Played) {
        for (piece, outcome) in file.pieces().iter().zip(&played.outcomes) {
            let Some(outcome) = outcome else { continue };
            let found: Vec<&str> = outcome.text.lines().collect();
            match (piece.expected(), &outcome.fault) {
                (_, Some(fault)) => self.fail(Some(piece), format!("{}\n{fault}", outcome.text).trim().to_owned()),
                (Some(expected), None) if expected != found => {
                    self.differs(piece, &expected, &found, FILE);
                }
                (None, None) if outcome.is_error => self.fail(Some(piece), outcome.text.clone()),
                _ => {}
            }
        }
        played.complaints.iter().for_each(|complaint| self.fail(None, complaint.clone()));
    }

    /// Compares each answer with that of the first mode.
    fn compare_modes(&mut self, file: &TestFile, first: (Mode, &Played), driven: (Mode, &Played)) {
        let outcomes = first.1.outcomes.iter().zip(&driven.1.outcomes);
        for (piece, outcomes) in file.pieces().iter().zip(outcomes) {
            let (Some(wanted), Some(found)) = outcomes else { continue };
            if let Some(fault) = &found.fault {
                self.fail(Some(piece), format!("mode {}: {fault}", driven.0.name()));
            } else if wanted.text != found.text && (piece.expected().is_some() || found.is_error) {
                let wanted: Vec<&str> = wanted.text.lines().collect();
                let found: Vec<&str> = found.text.lines().collect();
                self.differs(piece, &wanted, &found, (first.0.name(), driven.0.name()));
            }
        }
        let driven_as = |complaint: &String| format!("mode {}: {complaint}", driven.0.name());
        driven.1.complaints.iter().for_each(|complaint| self.fail(None, driven_as(complaint)));
    }

    fn differs(&mut self, piece: &Piece, expected: &[&str], found: &[&str], sides: (&'static str, &'static str)) {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let line = piece.answer_line();
        let wrong = Wrong::Differs { line, expected: owned(expected), found: owned(found), sides };
        self.failures.push(Failure { statement: Some((piece.line(), piece.title().to_owned())), wrong });
    }

    fn fail(&mut self, piece: Option<&Piece>, words: String) {
        let statement = piece.map(|piece| (piece.line(), piece.title().to_owned()));
        self.failures.push(Failure { statement, wrong: Wrong::Message(words) });
    }
}
