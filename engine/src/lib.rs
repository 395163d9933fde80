//! The ksqlDB dialect over topics.
//!
//! [`Engine`] is the spine: it takes a statement and gives an [`answer`]. Below it, still:
//! [`sql`] reads text, [`catalog`] knows what exists, `planner` and [`functions`] make plans.
//! Above the waterline `runtime` moves: the command topic, running queries, the cluster.

pub mod answer;
pub mod catalog;
pub mod config;
pub mod dataflow;
pub mod definition;
pub mod diagnostic;
mod dialect;
mod engine;
mod errors;
pub mod expression;
pub mod failure;
pub mod functions;
mod planner;
pub mod row_text;
mod runtime;
mod session;
pub mod sql;
pub mod topology;
pub mod types;
mod words;

pub use engine::{Asked, Engine};
pub use runtime::{Driver, Ran, Step, check_for_run};
pub use session::Session;
pub use words::Words;
