//! The ksqlDB dialect over topics.
//!
//! [`Engine`] is the spine: it takes a statement and gives an [`answer`]. Below it, still:
//! [`sql`] reads text, [`catalog`] knows what exists, `planner` and [`functions`] make plans.
//! Above the waterline `runtime` moves: the command topic, running queries, the cluster.

pub mod answer;
mod engine;
pub mod failure;
pub mod row_text;
mod runtime;
mod session;
mod words;

pub use headwater_dataflow as dataflow;
pub use headwater_expression as expression;
use headwater_expression::{dialect, errors};
pub use headwater_functions as functions;
pub use headwater_language::{catalog, config, definition, diagnostic, sql, topology, types};
use headwater_planner as planner;

pub use engine::{Asked, Engine};
pub use runtime::{Driver, Ran, Step, check_for_run};
pub use session::Session;
pub use words::Words;
