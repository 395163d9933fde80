//! What moves: the command topic, running queries, and the statements that touch the cluster.

pub(crate) mod assert;
mod board;
pub mod bounded;
mod command;
mod command_fault;
mod command_log;
mod complaints;
pub(crate) mod continuous;
pub(crate) mod copy;
mod create_function;
mod dead_letters;
pub(crate) mod describe;
pub(crate) mod describe_function;
mod descriptors;
mod driver;
mod drop_source;
mod goal;
mod guess;
mod headless;
pub(crate) mod insert;
mod intake;
mod job;
mod joins;
mod lag;
#[cfg(test)]
mod large_tests;
mod lookout;
mod memory;
mod note;
mod opening;
mod optimized;
mod outbox;
pub(crate) mod print;
mod probe;
pub(crate) mod publish;
pub(crate) mod push;
mod query_status;
mod refusals;
#[cfg(test)]
mod refused_tests;
mod scans;
mod share;
pub(crate) mod show;
mod spill;
mod start;
mod stop;
mod supervisor;
pub(crate) mod topics;
#[cfg(test)]
mod untimed_tests;
mod worker;
mod writer;

use headwater_connectors::transport::{Isolation, TransportError};

use crate::config::Settings;
use crate::dataflow::Complaint;
use crate::planner::continuous::THROWS_ON_INVALID_TIME;

pub use crate::catalog::OWN_TOPICS;
pub use command_log::CommandLog;
pub use driver::{Driver, Step};
pub use headless::check as check_for_run;
pub use query_status::StatusSnapshot;
pub use supervisor::Ran;
pub use worker::Worker;
pub use writer::Writer;

/// Why a query stops for good that a record stops.
fn stopped_by(complaint: &Complaint) -> TransportError {
    let Complaint { origin, offset, .. } = complaint;
    TransportError::invalid(format!(
        "the record at offset {offset} of {origin} has no event time: {}",
        complaint.text()
    ))
    .with_setting(THROWS_ON_INVALID_TIME)
}

/// Which records of transactions a query reads that a user asks.
fn isolation(settings: &Settings) -> Isolation {
    match settings.get("isolation.level") {
        "read_uncommitted" => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    }
}
