//! What the shell needs of the engine, and nothing more.
//!
//! It is apart so that the shell can be tested without topics, and so that the same shell can one
//! day talk to a server: whoever answers statements implements [`Ask`].

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use headwater_engine::Ran;
use headwater_engine::answer::Answer;
use headwater_engine::diagnostic::{Diagnostic, INTERNAL};

/// Someone who answers statements.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Runs one statement (its text ends with `;`; variables are not yet replaced) and gives its
    /// answer. Fails with everything that is wrong with it, spans counted in `statement`. Dropping
    /// the future gives the statement up.
    async fn ask(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>>;

    /// The names that may be typed now, for completion. Called when Tab is pressed, at most once
    /// between two statements; it should not wait long for a cluster.
    fn vocabulary(&self) -> Vocabulary;

    /// What a user is told when the rows of an answer break off.
    fn diagnose(&self, failure: DataFusionError) -> Vec<Diagnostic> {
        vec![Diagnostic::new(INTERNAL, failure.strip_backtrace())]
    }

    /// The diagnostics in words and in order of position, with the text that was typed; spans are
    /// counted in `text`.
    fn render(&self, diagnostics: &[Diagnostic], text: &str) -> String;
}

/// The names that may be typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Words of the language, in capitals.
    pub keywords: Vec<String>,
    /// Streams and tables.
    pub sources: Vec<SourceName>,
    /// Functions, without parentheses.
    pub functions: Vec<String>,
    /// Properties of a WITH clause, such as `KAFKA_TOPIC`.
    pub with_properties: Vec<String>,
    /// Properties of SET, such as `auto.offset.reset`.
    pub session_properties: Vec<String>,
    /// Topics of the cluster, as it spells them.
    pub topics: Vec<String>,
    /// Built-in types and the user's own.
    pub types: Vec<String>,
    /// Variables, without `${}`.
    pub variables: Vec<String>,
}

/// A stream or table with its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceName {
    /// Its name as it is stored.
    pub name: String,
    /// Its columns as they are stored, pseudo columns included where wanted.
    pub columns: Vec<String>,
}

/// What a process needs of the engine that does a part of the service's work besides asking: it runs
/// persistent queries.
#[async_trait]
pub trait Serve: Send + Sync {
    /// Finds what is wrong with a statement of a file that describes a service, before any is applied: that it cannot be
    /// read, or describes no service.
    fn check(&self, statement: &str) -> Result<(), Vec<Diagnostic>>;

    /// Applies one statement of a file that describes a service: anything that already exists is left unchanged.
    async fn apply(&self, statement: &str) -> Result<Answer, Vec<Diagnostic>>;

    /// From now on the persistent queries run here.
    fn work(&self);

    /// True when persistent queries run here.
    fn is_working(&self) -> bool;

    /// Runs the persistent queries until all input that is there is processed and committed, or `stopped`
    /// says so. Gives what each of them did.
    async fn until_idle(&self, stopped: Box<dyn Fn() -> bool + Send>) -> Result<Vec<Ran>, Vec<Diagnostic>>;

    /// Why those persistent queries of this process stopped that cannot go on by themselves.
    fn failures(&self) -> Vec<Diagnostic>;

    /// How many persistent queries this process has, those that stopped included.
    fn queries(&self) -> usize;

    /// Commits and stops the persistent queries of this process. Blocks.
    fn rest(&self);
}
