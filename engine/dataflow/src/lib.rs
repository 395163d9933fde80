//! Continuous queries, still: chunks of rows go through operators, and what is to be done about it
//! comes out as commands.
//!
//! A [`Task`] runs a topology for one partition. It has no clock, no thread and no cluster: the
//! runtime hands it batches and does what it says, and so does a simulation. One row or a hundred
//! thousand in a batch, the result is the same.

mod arrival;
mod chunk;
mod columns;
mod compiled;
mod complaint;
mod lower;
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

pub use chunk::Chunk;
pub use compiled::{Compiled, InputTopic, TaskId};
pub use complaint::{Complaint, ComplaintKind};
pub use operator::Port;
pub use options::CompileOptions;
pub use output::Placement;
pub use position::TaskPosition;
pub use task::{Command, Epoch, Event, Task, Written};
