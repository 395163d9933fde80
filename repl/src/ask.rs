//! The interfaces through which the shell uses the engine.
//!
//! They are separate so that the shell can be tested without topics, and so that the same shell can later talk to a
//! server: anything that answers statements implements [`Ask`].

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use headwater_engine::Ran;
use headwater_engine::answer::Answer;
use headwater_engine::diagnostic::{Diagnostic, INTERNAL};

/// Answers statements.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Runs one statement and returns its answer. The text ends with `;`, and its variables are not replaced yet. Fails
    /// with all errors of the statement, whose spans refer to `statement`. Dropping the future cancels the statement.
    async fn ask(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>>;

    /// The names that can be typed now, for completion. Called when Tab is pressed, at most once between two
    /// statements; it should not wait long for a cluster.
    fn vocabulary(&self) -> Vocabulary;

    /// The errors to report when the rows of an answer end early.
    fn diagnose(&self, failure: DataFusionError) -> Vec<Diagnostic> {
        vec![Diagnostic::new(INTERNAL, failure.strip_backtrace())]
    }

    /// Formats the diagnostics in order of position, with the text that was typed; spans refer to `text`.
    fn render(&self, diagnostics: &[Diagnostic], text: &str) -> String;
}

/// The names that can be typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Keywords of the language, in upper case.
    pub keywords: Vec<String>,
    /// Streams and tables.
    pub sources: Vec<SourceName>,
    /// Functions, without parentheses.
    pub functions: Vec<String>,
    /// Properties of a WITH clause, such as `KAFKA_TOPIC`.
    pub with_properties: Vec<String>,
    /// Properties of SET, such as `auto.offset.reset`.
    pub session_properties: Vec<String>,
    /// Topics of the cluster, in their exact spelling.
    pub topics: Vec<String>,
    /// Built-in types and user-defined types.
    pub types: Vec<String>,
    /// Variables, without `${}`.
    pub variables: Vec<String>,
}

/// A stream or table with its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceName {
    /// Its name in the catalog.
    pub name: String,
    /// Its columns as named in the catalog, including pseudo columns where they can be used.
    pub columns: Vec<String>,
}

/// Runs the persistent queries of a service.
#[async_trait]
pub trait Serve: Send + Sync {
    /// Checks a statement of a file that describes a service before any statement is applied: it must parse, and be
    /// allowed in such a file.
    fn check(&self, statement: &str) -> Result<(), Vec<Diagnostic>>;

    /// Applies one statement of a file that describes a service: anything that already exists is left unchanged.
    async fn apply(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>>;

    /// Starts running the persistent queries in this process.
    fn work(&self);

    /// Whether this process runs the persistent queries.
    fn is_working(&self) -> bool;

    /// Runs the persistent queries until all existing input is processed and committed, or until `stopped` returns
    /// true. Returns what each of them did.
    async fn until_idle(&self, stopped: Box<dyn Fn() -> bool + Send>) -> Result<Vec<Ran>, Vec<Diagnostic>>;

    /// The errors of the persistent queries of this process that have stopped permanently.
    fn failures(&self) -> Vec<Diagnostic>;

    /// Number of persistent queries of this process, including those that stopped.
    fn queries(&self) -> usize;

    /// Commits and stops the persistent queries of this process. Blocks.
    fn stop_queries(&self);
}
