//! The trait of all operators, which receive rows at a port and emit rows.
//!
//! ```text
//! push(port, chunk) → rows, at once or piece by piece     for each chunk
//! barrier()         → rows that were kept back            once for each commit
//! ```

use std::fmt;

use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_state::Store;

use super::chunk::Chunk;
use super::clocks::{Clocks, SourcePartition};
use super::keeper::Keeper;
use super::limits::Limits;

/// An input of an operator or a task. An operator with one input has port 0, and a join has ports 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub usize);

/// What an operator may use while it processes rows.
#[derive(Debug)]
pub struct Context<'a> {
    /// The current time, in ms since the epoch.
    pub now_ms: i64,
    /// The stream times that the task knows. An operator that uses stream time advances it with each row.
    pub clocks: &'a mut Clocks,
    /// The source partition of the rows, for a chunk without [`Chunk::origins`].
    pub source: SourcePartition,
    /// The stream time that all streams of a join have passed, in ms since the epoch: no row before it is to come, except from
    /// partitions that were read to their ends. A join with a table is told if its table is read ahead of its stream.
    pub passed_ms: i64,
    /// The stores of the task, in the order of the nodes that own them.
    pub stores: &'a mut [Box<dyn Store>],
    /// The operator adds each row for which an expression failed.
    pub failures: &'a mut Vec<Failure>,
    /// The operator adds each row that arrived after its window had closed.
    pub late: &'a mut Vec<Late>,
    /// The operator adds each row that it cannot process, if it goes on without that row itself.
    pub refused: &'a mut Vec<Refused>,
    /// What the topics behind the operator accept.
    pub limits: Limits<'a>,
}

/// A row that arrived after its window had closed. It was dropped or, in an outer join, emitted without a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The index of the row in the chunk that was pushed.
    pub row: usize,
    /// The reason, for the processing log.
    pub reason: String,
}

/// A row that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The index of the row in the chunk that was pushed.
    pub row: usize,
    /// The reason, for the processing log.
    pub reason: String,
}

/// The rows that an operator emits.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
pub enum Emitted {
    /// No rows.
    Nothing,
    /// Rows, all at once.
    Rows(Chunk),
    /// Rows that are too large to be emitted at once. The caller takes all of them before it pushes the next chunk.
    Pieces(Box<dyn Pieces>),
}

/// One step of a task. It receives rows in the order of their records and emits them in that order.
pub trait Operator: fmt::Debug + Send + Sync {
    /// Processes rows. If it fails or panics, it must not have changed anything: the caller then pushes the rows in halves, to
    /// find the one that cannot be processed.
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError>;

    /// Ends an epoch and emits the rows that were kept back until then.
    fn barrier(&mut self, _cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        Ok(Emitted::Nothing)
    }

    /// The operator as one that keeps its result in its stores, if it is one.
    fn keeper(&self) -> Option<&dyn Keeper> {
        None
    }

    /// Whether each row that it emits depends on nothing but one row that was pushed, and so can be computed again.
    fn repeats(&self) -> bool {
        false
    }

    /// Whether a text or a collection that it emits may be longer than all that it receives.
    fn lengthens(&self) -> bool {
        true
    }

    /// Whether it emits rows because stream time has advanced in a partition whose rows it does not get. It is then pushed a chunk
    /// without rows.
    fn waits_for_time(&self) -> bool {
        false
    }

    /// The number of results that it emits once stream time has passed their windows; `None` if there are never any, or if it has
    /// not counted them since it was restored.
    fn pending(&self) -> Option<usize> {
        None
    }

    /// Whether it emits rows because streams that other processes read were passed ([`Context::passed_ms`]). It is then pushed a chunk
    /// without rows.
    fn waits_for_others(&self) -> bool {
        false
    }

    /// Whether the rows that it emits may be far larger than those pushed, so that few rows are pushed at a time.
    fn grows(&self) -> bool;

    /// A copy of the operator for another task, without anything that depends on rows.
    fn fresh(&self) -> Box<dyn Operator>;
}

/// Rows that are emitted piece by piece.
pub trait Pieces: fmt::Debug + Send {
    /// The next rows, of about [`super::size::PIECE_BYTES_MAX`] bytes; `None` after the last.
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError>;

    /// The offset of the record whose rows are next, and whether some of them were emitted already. `None` after the last.
    fn position(&mut self) -> Option<(i64, bool)>;

    /// The approximate size of all rows, in bytes.
    fn bytes(&self) -> usize;
}

impl From<Chunk> for Emitted {
    fn from(chunk: Chunk) -> Self {
        if chunk.is_empty() { Self::Nothing } else { Self::Rows(chunk) }
    }
}

/// The rows that an operator which [repeats](Operator::repeats) emits for some rows; `None` if it emits none. Failures of expressions
/// were reported when the rows came to be.
pub fn repeated(
    operator: &mut dyn Operator,
    port: Port,
    chunk: Chunk,
    now_ms: i64,
) -> Result<Option<Chunk>, ArrowError> {
    let (failures, late, refused) = (&mut Vec::new(), &mut Vec::new(), &mut Vec::new());
    let clocks = &mut Clocks::default();
    let (source, limits) = (SourcePartition { source: 0, partition: 0 }, Limits::default());
    let mut cx =
        Context { now_ms, passed_ms: i64::MAX, clocks, source, stores: &mut [], failures, late, refused, limits };
    match operator.push(port, chunk, &mut cx)? {
        Emitted::Rows(chunk) => Ok(Some(chunk)),
        Emitted::Nothing => Ok(None),
        Emitted::Pieces(_) => {
            Err(ArrowError::ComputeError("an operator that repeats its rows emits pieces".to_owned()))
        }
    }
}
