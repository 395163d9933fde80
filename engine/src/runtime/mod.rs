//! What moves: the command topic, running queries, and the statements that touch the cluster.

pub mod bounded;
mod command_log;
mod complaints;
pub(crate) mod continuous;
pub(crate) mod copy;
pub(crate) mod describe;
mod driver;
mod guess;
mod headless;
pub(crate) mod insert;
mod joins;
mod memory;
pub(crate) mod print;
pub(crate) mod push;
mod query_status;
pub(crate) mod show;
mod supervisor;
pub(crate) mod topics;
mod worker;

pub use command_log::{CommandLog, OWN_TOPICS};
pub use query_status::StatusSnapshot;
pub use worker::Worker;
