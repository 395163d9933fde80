//! The ksqlDB dialect over topics.
//!
//! [`Engine`] is the spine: it takes a statement and gives an [`answer`]. Below it, still:
//! [`sql`] reads text, [`catalog`] knows what exists, `planner` and [`functions`] make plans.
//! Above the waterline `runtime` moves: the command topic, running queries, the cluster.

pub mod answer;
pub mod catalog;
pub mod config;
pub mod dataflow;
pub mod diagnostic;
mod dialect;
mod engine;
pub mod functions;
mod planner;
pub mod row_text;
mod runtime;
mod session;
pub mod sql;
mod statement;
pub mod topology;
pub mod types;
mod words;

pub use engine::{Asked, Engine};
pub use runtime::{Driver, Ran, Step};
pub use session::Session;
pub use statement::check_for_run;
pub use words::Words;

/// What a user is told when the rows of a query break off.
pub fn diagnose(failure: &datafusion::error::DataFusionError) -> Vec<diagnostic::Diagnostic> {
    planner::plan_errors::diagnose(failure, None)
}
