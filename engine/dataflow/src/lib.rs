//! Continuous queries, free of I/O: chunks of rows pass through operators, and the required actions are returned as
//! commands.
//!
//! A [`Task`] runs a topology for one partition. It has no clock, no thread and no cluster: the runtime gives it
//! batches and performs its commands, and so does a simulation. The result does not depend on the size of the batches.

mod addresses;
mod arrival;
mod chunk;
mod clocks;
mod columns;
mod command;
mod compiled;
mod complaint;
mod exchange;
mod growth;
mod keeper;
mod limits;
mod lower;
mod materialized;
mod operator;
mod operators;
mod options;
mod output;
mod position;
mod size;
mod stage;
mod task;
#[cfg(test)]
mod task_tests;
mod withheld;

pub use addresses::Addresses;
pub use chunk::Chunk;
pub use clocks::{Clocks, SourcePartition};
pub use command::{Command, Exchanged, Written};
pub use compiled::{Compiled, InputTopic, TaskId};
pub use complaint::{Complaint, ComplaintKind};
pub use keeper::Found;
pub use materialized::{Materialized, MaterializedReader};
pub use operator::Port;
pub use options::CompileOptions;
pub use output::Placement;
pub use position::TaskPosition;
pub use task::{Epoch, Event, Reached, Task};
