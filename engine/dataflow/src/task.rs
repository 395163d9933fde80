//! One partition of a running query: records in, commands out.
//!
//! ```text
//! handle(Records) → advance* → Write*, Complain* …   as often as records come
//! handle(Barrier) → advance* → Write* … Reached      everything before it has come out
//! handle(Committed)                                  it will never come again
//! ```
//!
//! A task never waits and never fails on a record: what is wrong with one comes out as a complaint
//! with its address. Rows that become many or long come out piece by piece, in the order of their records, so that what
//! waits to be written is bounded and a commit can be made between two records of one batch.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::filter;
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::RecordDecoder;
use headwater_formats::panic::words;
use headwater_formats::record::{OutBatch, RawBatch, Reject, Side, TopicPartition};
use headwater_language::diagnostic::shortened;
use headwater_state::Store;

use super::arrival;
use super::chunk::Chunk;
use super::compiled::{Compiled, Target};
use super::complaint::{Complaint, ComplaintKind};
use super::operator::{Context, Emitted, Operator, Pieces};
use super::output::{Output, Unwritten};
use super::size::{PIECE_BYTES_MAX, bytes_of, piece};

/// Number of a commit of one query in one process, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What happens to a task.
#[derive(Debug)]
pub enum Event<'a> {
    /// The next records of its partition.
    Records(&'a RawBatch),
    /// An epoch ends: everything that belongs to it is to come out.
    Barrier(Epoch),
    /// An epoch is committed.
    Committed(Epoch),
}

/// What is to be done for a task.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a command carries thousands of records: its own size is nothing beside them"
)]
pub enum Command {
    /// Records to be written to the output topic, with the offset of the record that each was made of.
    Write(OutBatch, Int64Array),
    /// Rows to be shown, with the columns of [`Compiled::result_schema`].
    Show(RecordBatch),
    /// Something is wrong with a record.
    Complain(Complaint),
    /// All of this epoch has come out.
    Reached(Epoch),
    /// The query stops before this record, for good: what came before it has come out, and nothing comes after it.
    Stop(Complaint),
}

/// One partition of a running query.
pub struct Task {
    pub(super) compiled: Compiled,
    /// Each with where its rows go.
    pub(super) operators: Vec<(Box<dyn Operator>, Vec<Target>)>,
    origin: TopicPartition,
    decoder: RecordDecoder,
    output: Option<Output>,
    commands: VecDeque<Command>,
    /// What is left to be done of it, the first records last.
    left: Vec<Left>,
    /// What is wrong with records that have not come out entirely.
    withheld: Vec<Complaint>,
    /// The record whose rows came out last.
    last_out: Option<i64>,
    /// What the query stops at once all before it has come out.
    stop: Option<Complaint>,
    /// The barrier that goes through the operators.
    barrier: Option<Passing>,
    /// The highest event time of its rows, in ms since the epoch.
    stream_time_ms: i64,
    stores: Vec<Box<dyn Store>>,
    /// For each operator the bytes of a row that came out of it lately; none before the first.
    pub(super) growth: Vec<Option<usize>>,
}

/// Some rows and where they go on.
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
enum Left {
    /// They are to go there.
    Rows(Chunk, Target),
    /// They come out of the operator with this index piece by piece.
    Pieces(Box<dyn Pieces>, usize),
}

/// How far a task is with the batch that was handled last, once its commands are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPosition {
    /// All of its records have come out.
    Done,
    /// All records before this offset have come out, and nothing of the one at it.
    Before(i64),
    /// Something of the record at this offset has come out, and something is left.
    Within(i64),
}

/// A barrier on its way through the operators, ahead of the records that are left.
struct Passing {
    epoch: Epoch,
    /// Index of the operator that it comes to next.
    at: usize,
    /// How much was left to be done before it came: what is above that came out of operators it went through.
    left: usize,
}

/// What of a record is wrong.
enum Wrong {
    /// One half of it, or of the record that it became.
    Side(Side),
    /// The value of an expression.
    Expression(String),
    /// The row as a whole.
    Row,
}

/// Rows that go through SELECT or a table function before it is known how long they become there.
const FIRST_ROWS: usize = 1_024;

impl Task {
    /// A task for one partition, which has handled nothing.
    pub(super) fn new(
        compiled: Compiled,
        operators: Vec<(Box<dyn Operator>, Vec<Target>)>,
        origin: TopicPartition,
        decoder: RecordDecoder,
        output: Option<Output>,
    ) -> Self {
        Self {
            growth: vec![None; operators.len()],
            compiled,
            operators,
            origin,
            decoder,
            output,
            commands: VecDeque::new(),
            left: Vec::new(),
            withheld: Vec::new(),
            last_out: None,
            stop: None,
            barrier: None,
            stream_time_ms: i64::MIN,
            stores: Vec::new(),
        }
    }

    /// Takes an event; the batch before is to be done with. What is to be done about it is given by
    /// [`Self::poll_command`] and, while [`Self::advance`] says that something is left, after that. Fails only on an
    /// internal error.
    pub fn handle(&mut self, event: &Event<'_>) -> Result<(), ArrowError> {
        match event {
            Event::Records(raw) => self.records(raw),
            Event::Barrier(epoch) => {
                self.barrier = Some(Passing { epoch: *epoch, at: 0, left: self.left.len() });
                Ok(())
            }
            // Without state there is nothing to let go of.
            Event::Committed(_) => Ok(()),
        }
    }

    /// Goes on with what was handled last by a piece of bounded size. `now_ms` is the present, in ms since the epoch. False
    /// when nothing was left to do.
    pub fn advance(&mut self, now_ms: i64) -> Result<bool, ArrowError> {
        if self.barrier.as_ref().is_some_and(|barrier| self.left.len() <= barrier.left) {
            self.pass_barrier(now_ms)?;
            return Ok(true);
        }
        match self.left.pop() {
            None => {
                let stop = self.stop.take().map(Command::Stop);
                self.commands.extend(stop);
                return Ok(!self.commands.is_empty());
            }
            Some(Left::Rows(chunk, to)) => self.rows(chunk, to, now_ms),
            Some(Left::Pieces(mut pieces, at)) => {
                if let Some(piece) = pieces.next_piece()? {
                    self.left.push(Left::Pieces(pieces, at));
                    self.send(piece, at);
                }
            }
        }
        self.release();
        Ok(true)
    }

    /// True while a barrier has not come out yet.
    pub fn passes_barrier(&self) -> bool {
        self.barrier.is_some()
    }

    /// Takes the barrier through the next operator, or out after the last one.
    fn pass_barrier(&mut self, now_ms: i64) -> Result<(), ArrowError> {
        let Some(barrier) = &mut self.barrier else { return Ok(()) };
        let (epoch, at) = (barrier.epoch, barrier.at);
        barrier.at += 1;
        match self.operators.get_mut(at) {
            // An expression is computed when its row comes in, so that none fails now.
            Some((operator, _)) => {
                let (failures, late) = (&mut Vec::new(), &mut Vec::new());
                let (stream_time_ms, stores) = (&mut self.stream_time_ms, &mut self.stores[..]);
                let emitted = operator.barrier(&mut Context { now_ms, stream_time_ms, stores, failures, late })?;
                self.emit(emitted, at);
            }
            None => {
                self.barrier = None;
                self.commands.push_back(Command::Reached(epoch));
            }
        }
        Ok(())
    }

    /// The next thing to be done, in order.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How far it is.
    pub fn position(&mut self) -> TaskPosition {
        let (offset, begun) = loop {
            match self.left.last_mut() {
                None => return TaskPosition::Done,
                Some(Left::Rows(chunk, _)) => break (chunk.offsets.value(0), false),
                Some(Left::Pieces(pieces, _)) => match pieces.position() {
                    Some(position) => break position,
                    None => drop(self.left.pop()),
                },
            }
        };
        match begun || self.last_out == Some(offset) {
            true => TaskPosition::Within(offset),
            false => TaskPosition::Before(offset),
        }
    }

    fn records(&mut self, raw: &RawBatch) -> Result<(), ArrowError> {
        debug_assert_eq!(raw.origin, self.origin, "a task has one partition");
        debug_assert!(self.left.is_empty() && self.withheld.is_empty(), "one batch after the other");
        self.last_out = None;
        let mut decoded = self.decoder.decode(raw)?;
        let stop_at = decoded.untimed.filter(|_| self.compiled.stops_on_time);
        let rejects = std::mem::take(&mut decoded.rejects);
        for reject in rejects.into_iter().filter(|reject| stop_at.is_none_or(|at| reject.offset <= at)) {
            let Reject { offset, side, reason, .. } = reject;
            let complaint = self.complaint(ComplaintKind::Deserialization, offset, Wrong::Side(side), reason);
            match stop_at == Some(offset) {
                true => self.stop = Some(complaint),
                false => self.withheld.push(complaint),
            }
        }
        if decoded.rows.num_rows() > 0 {
            let headers = raw.headers.as_ref().filter(|_| self.compiled.forwards_headers);
            let headers = match (headers, &decoded.kept) {
                (Some(headers), Some(kept)) => Some(filter(headers, kept)?.as_list().clone()),
                (headers, _) => headers.cloned(),
            };
            let windowed = self.compiled.sink.as_ref().is_some_and(|sink| sink.window.is_some());
            let chunk = arrival::chunk(decoded.rows, headers.filter(arrival::any_header), decoded.valued, windowed)?;
            let chunk = match stop_at {
                Some(at) => chunk.slice(0, chunk.offsets.values().partition_point(|offset| *offset < at)),
                None => chunk,
            };
            if !chunk.is_empty() {
                let entry = self.compiled.entry.iter().rev();
                self.left.extend(entry.map(|to| Left::Rows(chunk.clone(), *to)));
            }
        }
        self.release();
        Ok(())
    }

    /// Takes rows through an operator, or out. Where they become too much for
    /// one batch they go in halves; a row that is too much alone is skipped and reported.
    fn rows(&mut self, chunk: Chunk, to: Target, now_ms: i64) {
        let chunk = self.first_piece(chunk, to);
        let attempt = catch_unwind(AssertUnwindSafe(|| self.apply(chunk.clone(), to, now_ms)));
        let why = match attempt {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => words(panic.as_ref()).to_owned(),
        };
        match chunk.len() {
            0 | 1 => {
                let offset = chunk.offsets.iter().flatten().next().unwrap_or_default();
                let reason = format!("the row could not be processed: {why}");
                self.complain(ComplaintKind::Processing, offset, Wrong::Row, reason);
            }
            rows => {
                let half = rows / 2;
                let second = chunk.slice(half, rows - half);
                self.left.extend([Left::Rows(second, to), Left::Rows(chunk.slice(0, half), to)]);
            }
        }
    }

    /// As many of the first rows as are worked on at once; the others are left for later.
    fn first_piece(&mut self, chunk: Chunk, to: Target) -> Chunk {
        let rows = match to {
            Target::Operator(at, _) if !self.operators[at].0.grows() => chunk.len(),
            Target::Operator(at, _) => match self.growth[at] {
                None => FIRST_ROWS,
                Some(bytes) => (PIECE_BYTES_MAX / bytes.max(1)).max(1),
            },
            Target::Output if chunk.bytes() > PIECE_BYTES_MAX => piece(chunk.row_bytes(), PIECE_BYTES_MAX),
            Target::Output => chunk.len(),
        };
        if rows >= chunk.len() {
            return chunk;
        }
        self.left.push(Left::Rows(chunk.slice(rows, chunk.len() - rows), to));
        chunk.slice(0, rows)
    }

    fn apply(&mut self, chunk: Chunk, to: Target, now_ms: i64) -> Result<(), ArrowError> {
        let Target::Operator(at, port) = to else { return self.put_out(&chunk, now_ms) };
        let operator = &mut self.operators[at].0;
        let (mut failures, mut late, offsets) = (Vec::new(), Vec::new(), chunk.offsets.clone());
        let (stream_time_ms, stores) = (&mut self.stream_time_ms, &mut self.stores[..]);
        let mut cx = Context { now_ms, stream_time_ms, stores, failures: &mut failures, late: &mut late };
        let emitted = operator.push(port, chunk, &mut cx)?;
        if operator.grows() {
            let bytes = match &emitted {
                Emitted::Nothing => 0,
                Emitted::Rows(chunk) => bytes_of(&chunk.rows),
                Emitted::Pieces(pieces) => pieces.bytes(),
            };
            let (now, before) = (bytes / offsets.len().max(1), self.growth[at].unwrap_or(0));
            self.growth[at] = Some(now.max(before - before / 4));
        }
        for Failure { row, expr, reason } in failures {
            self.complain(ComplaintKind::Processing, offsets.value(row), Wrong::Expression(expr), reason);
        }
        self.emit(emitted, at);
        Ok(())
    }

    /// Has what came out of the operator at an index go on.
    fn emit(&mut self, emitted: Emitted, at: usize) {
        match emitted {
            Emitted::Nothing => {}
            Emitted::Rows(chunk) => self.send(chunk, at),
            Emitted::Pieces(pieces) => self.left.push(Left::Pieces(pieces, at)),
        }
    }

    /// Sends rows of the operator at an index where they go.
    fn send(&mut self, chunk: Chunk, at: usize) {
        let to = self.operators[at].1.iter().rev();
        self.left.extend(to.map(|to| Left::Rows(chunk.clone(), *to)));
    }

    fn put_out(&mut self, chunk: &Chunk, now_ms: i64) -> Result<(), ArrowError> {
        let last = chunk.offsets.values().last().copied();
        let Some(output) = &mut self.output else {
            self.commands.push_back(Command::Show(chunk.rows.clone()));
            self.last_out = last;
            return Ok(());
        };
        let (batch, unwritten) = output.encode(chunk, self.origin.partition, now_ms)?;
        if !batch.is_empty() {
            self.commands.push_back(Command::Write(batch, offsets_without(&chunk.offsets, &unwritten)));
            self.last_out = last;
        }
        for bad in unwritten {
            let side = Wrong::Side(bad.side);
            self.complain(ComplaintKind::Serialization, chunk.offsets.value(bad.row), side, bad.reason);
        }
        Ok(())
    }

    fn complain(&mut self, kind: ComplaintKind, offset: i64, wrong: Wrong, reason: String) {
        let complaint = self.complaint(kind, offset, wrong, reason);
        self.withheld.push(complaint);
    }

    fn complaint(&self, kind: ComplaintKind, offset: i64, wrong: Wrong, reason: String) -> Complaint {
        let (side, expr) = match wrong {
            Wrong::Side(side) => (Some(side), None),
            Wrong::Expression(expr) => (None, Some(shortened(expr))),
            Wrong::Row => (None, None),
        };
        Complaint { kind, origin: self.origin.clone(), offset, side, expr, reason: shortened(reason) }
    }

    /// Reports what is wrong with records that have come out entirely: a commit before that must not know of it, as the
    /// record will be read again.
    fn release(&mut self) {
        if self.withheld.is_empty() {
            return;
        }
        self.withheld.sort_by_key(|complaint| complaint.offset);
        let ready = match self.position() {
            TaskPosition::Done => self.withheld.len(),
            TaskPosition::Before(offset) | TaskPosition::Within(offset) => {
                self.withheld.partition_point(|complaint| complaint.offset < offset)
            }
        };
        self.commands.extend(self.withheld.drain(..ready).map(Command::Complain));
    }
}

/// The offsets of the rows that were written.
fn offsets_without(offsets: &Int64Array, unwritten: &[Unwritten]) -> Int64Array {
    if unwritten.is_empty() {
        return offsets.clone();
    }
    let out: BTreeSet<usize> = unwritten.iter().map(|bad| bad.row).collect();
    offsets.values().iter().enumerate().filter(|(row, _)| !out.contains(row)).map(|(_, offset)| *offset).collect()
}
