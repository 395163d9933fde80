//! Everything that has threads or talks to the cluster: the command topic, running queries, bounded queries.

pub(crate) mod belongings;
mod blocking;
pub(crate) mod board;
pub mod bounded;
mod changes;
mod command;
mod command_fault;
mod command_log;
mod command_reader;
pub(crate) mod complaints;
mod dead_letters;
mod descriptors;
#[cfg(test)]
mod disk_tests;
mod driver;
pub(crate) mod expiring;
#[cfg(test)]
mod for_tests;
mod goal;
mod inputs;
mod intake;
mod intakes;
pub(crate) mod job;
mod joins;
pub(crate) mod lag;
#[cfg(test)]
mod large_tests;
mod lookout;
pub(crate) mod lookup;
mod memory;
mod note;
mod opening;
mod optimized;
mod outbox;
mod own_topics;
mod probe;
pub(crate) mod process;
mod progress;
pub mod publish;
mod purge;
pub(crate) mod push;
pub(crate) mod query_status;
mod refusals;
#[cfg(test)]
mod refused_tests;
mod restore;
mod runner;
mod scans;
mod share;
#[cfg(test)]
mod shared_join_tests;
mod shared_question;
#[cfg(test)]
mod shared_window_tests;
mod side_by_side;
mod signal;
mod snapshots;
mod spill;
mod start;
mod state_keys;
mod state_memory;
mod state_scan;
mod state_table;
#[cfg(test)]
mod state_tests;
mod state_windows;
mod states;
mod supervisor;
mod tasks;
#[cfg(test)]
mod threads_tests;
#[cfg(test)]
mod too_large_tests;
pub(crate) mod topics;
#[cfg(test)]
mod trap_tests;
mod turns;
mod until_idle;
#[cfg(test)]
mod untimed_tests;
mod worker;
mod writer;

use headwater_connectors::transport::{Isolation, TransportError};
use headwater_dataflow::Complaint;
use headwater_language::config::Settings;
use headwater_planner::continuous::THROWS_ON_INVALID_TIME;

pub(crate) use blocking::{blocking, refused};
pub use command_log::CommandLog;
pub use driver::{Driver, StepOutcome};
pub use headwater_language::catalog::OWN_TOPICS;
pub use process::{Asked, Process};
pub use query_status::StatusSnapshot;
pub(crate) use snapshots::Snapshots;
pub use snapshots::{Folder, Locked, MemoryFolder};
pub use states::States;
pub use supervisor::Ran;
pub use worker::Worker;
pub use writer::Writer;

/// The error of a query that a record without an event time stops for good.
fn stopped_by(complaint: &Complaint) -> TransportError {
    let Complaint { origin, offset, .. } = complaint;
    TransportError::invalid(format!(
        "the record at offset {offset} of {origin} has no event time: {}",
        complaint.text()
    ))
    .with_setting(THROWS_ON_INVALID_TIME)
}

/// The isolation level of a user's query.
fn isolation(settings: &Settings) -> Isolation {
    match settings.get("isolation.level") {
        "read_uncommitted" => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    }
}
