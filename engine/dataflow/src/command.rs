//! What a task asks its driver to do.

use std::sync::Arc;

use arrow::array::RecordBatch;
use headwater_formats::record::OutBatch;

use super::addresses::Addresses;
use super::chunk::Chunk;
use super::complaint::Complaint;
use super::size::bytes_of;
use super::task::Epoch;

/// An action that a task asks its driver for.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a command carries thousands of records: its own size is nothing beside them"
)]
pub enum Command {
    /// Records to be written to a topic.
    Write(Written),
    /// Rows for the tasks of another stage, which must be handled before the next event of this task.
    Exchange(Exchanged),
    /// Records to be written to the changelog topic of a store.
    Log(OutBatch),
    /// Rows to be shown, with the columns of [`Compiled::result_schema`](super::Compiled::result_schema).
    Show(RecordBatch),
    /// A record could not be processed, or not entirely.
    Complain(Complaint),
    /// Everything that belongs to this epoch has been emitted.
    Reached(Epoch),
    /// The query stops before this record. Everything before it has been emitted; nothing follows.
    Stop(Complaint),
}

/// Records to be written, with the addresses of the records that they were made from.
#[derive(Debug)]
pub struct Written {
    /// The records.
    pub batch: OutBatch,
    /// The addresses of the records that they were made from.
    pub addresses: Addresses,
}

/// Rows for the tasks of another stage.
#[derive(Debug)]
pub struct Exchanged {
    /// The topic of the exchange.
    pub topic: Arc<str>,
    /// The rows for each partition.
    pub rows: Vec<(i32, Chunk)>,
}

impl Command {
    /// The size of its records or rows, in bytes. Its cost does not depend on their number.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write(Written { batch, .. }) | Self::Log(batch) => batch.payload_bytes(),
            Self::Exchange(Exchanged { rows, .. }) => rows.iter().map(|(_, chunk)| bytes_of(&chunk.rows)).sum(),
            Self::Show(rows) => bytes_of(rows),
            Self::Complain(_) | Self::Reached(_) | Self::Stop(_) => 0,
        }
    }
}
