//! The ksqlDB dialect over topics.
//!
//! [`Engine`] is the spine: it takes a statement and returns an [`answer`]. `statement` has a file for each kind of
//! statement, `runtime` everything with threads: the command topic, running queries, the cluster. The synchronous parts
//! are crates of their own, re-exported here as far as answers use them: [`sql`], [`diagnostic`], [`catalog`],
//! [`functions`], [`dataflow`].

pub mod answer;
mod apply;
mod engine;
pub mod failure;
pub mod row_text;
mod runtime;
mod session;
mod statement;
mod words;

pub use headwater_dataflow as dataflow;
pub use headwater_expression as expression;
pub use headwater_functions as functions;
pub use headwater_language::{catalog, config, definition, diagnostic, sql, topology, types};
pub use headwater_state::{MemoryDisk, Storage};

pub use apply::check as check_for_run;
pub use engine::Engine;
pub use runtime::{Asked, Driver, Folder, Locked, MemoryFolder, Ran, StepOutcome};
pub use session::Session;
pub use words::Words;
