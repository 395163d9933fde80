//! What moves: the command topic, running queries, and the statements that touch the cluster.

pub mod bounded;
mod command_log;
pub(crate) mod copy;
pub(crate) mod describe;
mod guess;
mod headers;
pub(crate) mod insert;
mod joins;
pub(crate) mod print;
pub(crate) mod show;
pub(crate) mod topics;

pub use command_log::{CommandLog, OWN_TOPICS};
