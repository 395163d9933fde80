//! `headwater test`: files of statements with the answers they must give, run on a cluster in memory.
//!
//! ```text
//! paths → file (pieces of text) → stage (cluster, engine, session; directive, mode) → judge → report
//! ```
//!
//! The real engine answers, over a transport in memory, and persistent queries are driven step by step in virtual
//! time: nothing is on a network or a disk, nothing waits, and a file gives the same each time. A file with persistent
//! queries is played in every [`Mode`]; whatever the mode, the answers must be those of the first one.
//! `tests/tests/queries.rs` runs the files of `queries/` through this room.

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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};

pub use file::{Piece, RULE, TestFile};
pub use guide::GUIDE;
pub use mode::{Drive, Mode};
use report::counted;
pub use report::{Failure, FileReport, Reporter, Wrong};
use stage::{Outcome, Played, play};

/// The words for what a file says and what was answered.
const FILE: (&str, &str) = ("expected", "found");

/// How files are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The ways in which persistent queries are driven. The first one's answers are compared with the file, those of
    /// the others with the first one's. Not empty.
    pub modes: Vec<Mode>,
    /// Whether each stream that a query made must hold what the bounded query gives.
    pub judge: bool,
    /// Whether files take the answers that were found.
    pub accept: bool,
    /// Statements that every file begins with: SET and DEFINE.
    pub session: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { modes: Mode::ALL.to_vec(), judge: false, accept: false, session: Vec::new() }
    }
}

/// What was found in all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: usize,
    /// Statements that gave what they should.
    pub passed: usize,
    /// Statements that did not, and other failures.
    pub failed: usize,
}

/// Checks files and folders of files and tells about each as soon as it is done. Fails in words, one line a problem,
/// and before anything is run when a path cannot be read, a folder holds no test, or the rules are wrong. That nobody
/// reads the report is no failure.
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
    for (path, text) in files.iter().zip(texts) {
        let report = check_file(path, text, rules).await;
        tally.failed += report.failed_all();
        tally.passed += report.statements - report.failed_statements();
        can_be_accepted |= report.failures.iter().any(|it| matches!(it.wrong, Wrong::Differs { sides: FILE, .. }));
        let _ = reporter.file(path, &report);
    }
    let Tally { files, passed, failed } = tally;
    if can_be_accepted {
        let _ = writeln!(reporter.out, "`headwater test --accept PATH` writes what was found into the files");
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

/// Checks one file. A fault of the engine is a failure of the file and not of the others.
async fn check_file(path: &Path, text: String, rules: &Rules) -> FileReport {
    let (path, rules) = (path.to_owned(), rules.clone());
    match tokio::spawn(async move { check_text(&path, &text, &rules).await }).await {
        Ok(report) => report,
        Err(error) => FileReport::failed(format!("it ran into a fault of ours: {error}")),
    }
}

async fn check_text(path: &Path, text: &str, rules: &Rules) -> FileReport {
    let mut file = match TestFile::parse(text) {
        Ok(file) => file,
        Err(problem) => return FileReport::failed(problem),
    };
    if !file.pieces().iter().any(Piece::has_statement) {
        return FileReport::failed("there is no statement in it".to_owned());
    }
    if !file.expects_something() && !rules.accept {
        let fact = format!("nothing is expected: there is no line {RULE} under a statement");
        return FileReport::failed(format!("{fact}\n`headwater test --accept` writes what each answers"));
    }
    let (first_mode, others) = rules.modes.split_first().expect("rules have a mode");
    let first = play(path, &file, *first_mode, rules).await;
    let mut report = FileReport { statements: first.outcomes.iter().flatten().count(), ..FileReport::default() };
    if rules.accept {
        report.accept(path, &mut file, &first);
    }
    report.compare(&file, &first);
    // What fails already would fail in every mode.
    if first.is_continuous && report.failures.is_empty() {
        for mode in others {
            let driven = play(path, &file, *mode, rules).await;
            report.compare_modes(&file, (*first_mode, &first), (*mode, &driven));
        }
    }
    report
}

impl FileReport {
    fn failed(why: String) -> Self {
        Self { failures: vec![Failure { statement: None, wrong: Wrong::Told(why) }], ..Self::default() }
    }

    /// Statements that failed, in whatever mode.
    fn failed_statements(&self) -> usize {
        self.failures.iter().filter_map(|failure| failure.statement.as_ref()).collect::<BTreeSet<_>>().len()
    }

    /// Statements that failed, and what failed beyond them.
    fn failed_all(&self) -> usize {
        self.failed_statements() + self.failures.iter().filter(|failure| failure.statement.is_none()).count()
    }

    /// Takes the answers into the file, and writes it when they are others.
    fn accept(&mut self, path: &Path, file: &mut TestFile, played: &Played) {
        let taken = |outcome: &'_ Option<Outcome>| outcome.clone().filter(|it| it.fault.is_none()).map(|it| it.text);
        let answers: Vec<Option<String>> = played.outcomes.iter().map(taken).collect();
        self.accepted = file.accept(&answers.iter().map(Option::as_deref).collect::<Vec<_>>());
        if self.accepted > 0
            && let Err(error) = std::fs::write(path, file.to_string())
        {
            self.told(None, format!("could not write \"{}\": {error}", path.display()));
        }
    }

    /// Each statement against what the file says.
    fn compare(&mut self, file: &TestFile, played: &Played) {
        for (piece, outcome) in file.pieces().iter().zip(&played.outcomes) {
            let Some(outcome) = outcome else { continue };
            let found: Vec<&str> = outcome.text.lines().collect();
            match (piece.expected(), &outcome.fault) {
                (_, Some(fault)) => self.told(Some(piece), format!("{}\n{fault}", outcome.text).trim().to_owned()),
                (Some(expected), None) if expected != found => {
                    self.differs(piece, &expected, &found, FILE);
                }
                (None, None) if outcome.is_error => self.told(Some(piece), outcome.text.clone()),
                _ => {}
            }
        }
        played.complaints.iter().for_each(|complaint| self.told(None, complaint.clone()));
    }

    /// Each statement against what it answered in another mode.
    fn compare_modes(&mut self, file: &TestFile, first: (Mode, &Played), driven: (Mode, &Played)) {
        let outcomes = first.1.outcomes.iter().zip(&driven.1.outcomes);
        for (piece, outcomes) in file.pieces().iter().zip(outcomes) {
            let (Some(wanted), Some(found)) = outcomes else { continue };
            if let Some(fault) = &found.fault {
                self.told(Some(piece), format!("driven {}: {fault}", driven.0.name()));
            } else if wanted.text != found.text && (piece.expected().is_some() || found.is_error) {
                let wanted: Vec<&str> = wanted.text.lines().collect();
                let found: Vec<&str> = found.text.lines().collect();
                self.differs(piece, &wanted, &found, (first.0.name(), driven.0.name()));
            }
        }
        let driven_as = |complaint: &String| format!("driven {}: {complaint}", driven.0.name());
        driven.1.complaints.iter().for_each(|complaint| self.told(None, driven_as(complaint)));
    }

    fn differs(&mut self, piece: &Piece, expected: &[&str], found: &[&str], sides: (&'static str, &'static str)) {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let line = piece.answer_line();
        let wrong = Wrong::Differs { line, expected: owned(expected), found: owned(found), sides };
        self.failures.push(Failure { statement: Some((piece.line(), piece.title().to_owned())), wrong });
    }

    fn told(&mut self, piece: Option<&Piece>, words: String) {
        let statement = piece.map(|piece| (piece.line(), piece.title().to_owned()));
        self.failures.push(Failure { statement, wrong: Wrong::Told(words) });
    }
}
