//! What all operators are: rows in at a port, rows out, and an end to each epoch.
//!
//! ```text
//! push(port, chunk) → rows, now or piece by piece     as often as rows come
//! barrier()         → rows that were kept back        once for each commit
//! ```

use std::fmt;

use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_state::Store;

use super::chunk::Chunk;

/// Where rows come in: an operator with one input has port 0 alone, a join a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub usize);

/// What an operator is handed besides rows.
#[derive(Debug)]
pub struct Context<'a> {
    /// The current time, in ms since the epoch.
    pub now_ms: i64,
    /// The stream time of the task: the highest event time of the rows so far, in ms since the epoch; `i64::MIN` before the
    /// first. An operator that needs it advances it, row by row.
    pub stream_time_ms: &'a mut i64,
    /// The stores of the task, in the order of the nodes that have one.
    pub stores: &'a mut [Box<dyn Store>],
    /// Where it adds the rows on which an expression failed, by their index in the chunk that came in.
    pub failures: &'a mut Vec<Failure>,
    /// Where it adds the rows that it dropped because they were late.
    pub late: &'a mut Vec<Late>,
}

/// A row that was dropped because its window had closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// Its index in the chunk that came in.
    pub row: usize,
    /// The reason, for the processing log.
    pub reason: String,
}

/// What comes out of an operator.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
pub enum Emitted {
    /// Nothing, or no rows.
    Nothing,
    /// Rows, all at once.
    Rows(Chunk),
    /// Rows that are too many to come at once. They are asked for before anything else is pushed.
    Pieces(Box<dyn Pieces>),
}

/// One step of a task. Rows come in the order of their records, and go out in it.
pub trait Operator: fmt::Debug + Send + Sync {
    /// Takes rows. It takes all of them or, where it fails or panics, none: the caller then pushes them in halves to find
    /// the row that cannot be taken.
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError>;

    /// An epoch ends: gives what is kept back until then.
    fn barrier(&mut self, _cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        Ok(Emitted::Nothing)
    }

    /// Whether what comes out may be far larger than what went in, so that rows are pushed a bounded number at a time.
    fn grows(&self) -> bool;

    /// The same operator as it was made, for another task.
    fn fresh(&self) -> Box<dyn Operator>;
}

/// Rows that come out piece by piece.
pub trait Pieces: fmt::Debug + Send {
    /// The next rows that come out, about [`super::size::PIECE_BYTES_MAX`] bytes of them; `None` after the last.
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError>;

    /// Offset of the record whose rows come next, and whether some of them came out already. `None` after the last.
    fn position(&mut self) -> Option<(i64, bool)>;

    /// Bytes that were computed for them, roughly.
    fn bytes(&self) -> usize;
}

impl From<Chunk> for Emitted {
    fn from(chunk: Chunk) -> Self {
        if chunk.is_empty() { Self::Nothing } else { Self::Rows(chunk) }
    }
}
