//! One stage of a running query for one partition: records in, commands out.
//!
//! ```text
//! handle(Restore)*, handle(Resume)                   its state is that of the last commit
//! handle(Records) → advance* → Write*, Complain* …   as often as records come
//! handle(Barrier) → advance* → Write*, Log* Reached  everything before it has come out
//! handle(Committed)                                  it will never come again
//! ```
//!
//! A task never waits and never fails on a record: what is wrong with one comes out as a complaint
//! with its address. Rows that become many or long come out piece by piece, in the order of their records, so that what
//! waits to be written is bounded and a commit can be made between two records of one batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, Int64Array, RecordBatch};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::RecordDecoder;
use headwater_formats::format::FormatError;
use headwater_formats::panic::words;
use headwater_formats::record::{OutBatch, RawBatch, Reject, TopicPartition};
use headwater_state::{MemoryStore, Store};

use super::arrival;
use super::chunk::Chunk;
use super::complaint::{Complaint, ComplaintKind, Wrong};
use super::operator::{Context, Emitted, Late, Operator, Pieces, Port};
use super::output::{Output, Placement, Unwritten};
use super::position::TaskPosition;
use super::size::{PIECE_BYTES_MAX, bytes_of, piece};
use super::stage::{Input, Stage, Target};
use super::withheld::{Addresses, Complaining, Withheld};

/// Number of a commit of one query in one process, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What happens to a task.
#[derive(Debug)]
pub enum Event<'a> {
    /// Records of the changelog of the store with this index, in their order.
    Restore(usize, &'a RawBatch),
    /// The state is that of the last commit, at this stream time in ms since the epoch.
    Resume(i64),
    /// The next records of one of its inputs.
    Records(Port, &'a RawBatch),
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
    /// Records to be written to a topic.
    Write(Written),
    /// Records to be written to the changelog topic of a store.
    Log(OutBatch),
    /// Rows to be shown, with the columns of [`Compiled::result_schema`].
    Show(RecordBatch),
    /// Something is wrong with a record.
    Complain(Complaint),
    /// All of this epoch has come out.
    Reached(Epoch),
    /// The query stops before this record, for good: what came before it has come out, and nothing comes after it.
    Stop(Complaint),
}

/// Records to be written, and what they were made from.
#[derive(Debug)]
pub struct Written {
    /// The records.
    pub batch: OutBatch,
    /// The input that they were made from.
    pub origin: TopicPartition,
    /// For each record the offset of the record in it that it was made from or, of a group, that changed it last.
    pub offsets: Int64Array,
}

/// One stage of a running query for one partition.
pub struct Task {
    stage: Arc<Stage>,
    stops_on_time: bool,
    partition: i32,
    /// The inputs, one for each port.
    pub(super) inputs: Vec<TaskInput>,
    /// Each with where its rows go.
    pub(super) operators: Vec<(Box<dyn Operator>, Vec<Target>)>,
    outputs: Vec<Output>,
    stores: Vec<Box<dyn Store>>,
    /// The highest event time of its rows, in ms since the epoch.
    stream_time_ms: i64,
    /// The port of the records that were handled last.
    port: Port,
    commands: VecDeque<Command>,
    /// What is left to be done of it, the first records last.
    left: Vec<Left>,
    /// What is wrong with records that have not come out entirely.
    withheld: Withheld,
    /// The record whose rows came out last.
    last_out: Option<i64>,
    /// What the query stops at once all before it has come out.
    stop: Option<Complaint>,
    /// The barrier that goes through the operators.
    barrier: Option<Passing>,
    /// For each operator the bytes of a row that came out of it lately; none before the first.
    pub(super) growth: Vec<Option<usize>>,
}

/// An input of a task.
pub(super) struct TaskInput {
    origin: TopicPartition,
    decoder: RecordDecoder,
    /// Where its rows go.
    pub(super) entry: Vec<Target>,
}

/// Some rows and where they go on.
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
enum Left {
    /// They are to go there.
    Rows(Chunk, Target),
    /// They come out of the operator with this index piece by piece.
    Pieces(Box<dyn Pieces>, usize),
}

/// A barrier on its way through the operators, ahead of the records that are left.
struct Passing {
    epoch: Epoch,
    /// Index of the operator that it comes to next.
    at: usize,
    /// How much was left to be done before it came: what is above that came out of operators it went through.
    left: usize,
}

/// Rows that go through SELECT or a table function before it is known how long they become there.
const FIRST_ROWS: usize = 1_024;

impl Task {
    /// A task of a stage for one partition, which has handled nothing and whose stores are empty.
    pub(super) fn new(
        stage: &Arc<Stage>,
        partition: i32,
        stops_on_time: bool,
        placements: &BTreeMap<String, Placement>,
    ) -> Result<Self, FormatError> {
        let input = |input: &Input| -> Result<TaskInput, FormatError> {
            let origin = TopicPartition::new(input.spec.topic.clone(), partition);
            Ok(TaskInput { origin, decoder: input.decoder()?, entry: input.entry.clone() })
        };
        let inputs = stage.inputs.iter().map(input).collect::<Result<_, _>>()?;
        let outputs = stage.outputs.iter().map(|output| output.open(placements)).collect::<Result<_, _>>()?;
        let operators: Vec<_> = stage.operators.iter().map(|w| (w.operator.fresh(), w.to.clone())).collect();
        let store = |_: &Arc<str>| Box::new(MemoryStore::default()) as Box<dyn Store>;
        Ok(Self {
            growth: vec![None; operators.len()],
            stage: Arc::clone(stage),
            stops_on_time,
            partition,
            inputs,
            operators,
            outputs,
            stores: stage.changelogs.iter().map(store).collect(),
            stream_time_ms: i64::MIN,
            port: Port(0),
            commands: VecDeque::new(),
            left: Vec::new(),
            withheld: Withheld::default(),
            last_out: None,
            stop: None,
            barrier: None,
        })
    }

    /// Takes an event; the batch before is to be done with. What is to be done about it is given by
    /// [`Self::poll_command`] and, while [`Self::advance`] says that something is left, after that. Fails only on an
    /// internal error.
    pub fn handle(&mut self, event: &Event<'_>) -> Result<(), ArrowError> {
        match event {
            Event::Restore(store, raw) => {
                let missing = || ArrowError::ParseError("a changelog record has no key".to_owned());
                let values = || raw.values.clone().unwrap_or_else(|| BinaryArray::new_null(raw.len()));
                self.stores[*store].restore(raw.keys.as_ref().ok_or_else(missing)?, &values())
            }
            Event::Resume(stream_time_ms) => {
                self.stream_time_ms = *stream_time_ms;
                Ok(())
            }
            Event::Records(port, raw) => self.records(*port, raw),
            Event::Barrier(epoch) => {
                self.barrier = Some(Passing { epoch: *epoch, at: 0, left: self.left.len() });
                Ok(())
            }
            // What was sealed for the commit needs no second look.
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
                self.seal(now_ms)?;
                self.commands.push_back(Command::Reached(epoch));
            }
        }
        Ok(())
    }

    /// Has what changed in the stores written to their changelogs.
    fn seal(&mut self, now_ms: i64) -> Result<(), ArrowError> {
        for (store, topic) in self.stores.iter_mut().zip(&self.stage.changelogs) {
            let changes = store.seal()?;
            let rows = changes.keys.len();
            if rows > 0 {
                self.commands.push_back(Command::Log(OutBatch {
                    topic: topic.clone(),
                    partitions: Some(vec![self.partition; rows].into()),
                    keys: changes.record_keys(),
                    values: changes.values,
                    timestamps_ms: Some(vec![now_ms; rows].into()),
                    headers: None,
                }));
            }
        }
        Ok(())
    }

    /// Whether it has stores.
    pub fn has_state(&self) -> bool {
        !self.stores.is_empty()
    }

    /// The stream time of its rows so far, in ms since the epoch; `None` before the first.
    pub fn stream_time_ms(&self) -> Option<i64> {
        (self.stream_time_ms > i64::MIN).then_some(self.stream_time_ms)
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
                // Their stores have changed, so that a commit must not come between them.
                Some(Left::Rows(chunk, to)) => break (chunk.offsets.value(0), self.stage.is_after_store(*to)),
                Some(Left::Pieces(pieces, at)) => match pieces.position() {
                    Some((offset, begun)) => {
                        let is_after_store = self.operators[*at].1.iter().any(|to| self.stage.is_after_store(*to));
                        break (offset, begun || is_after_store);
                    }
                    None => drop(self.left.pop()),
                },
            }
        };
        match begun || self.last_out == Some(offset) {
            true => TaskPosition::Within(offset),
            false => TaskPosition::Before(offset),
        }
    }

    fn records(&mut self, port: Port, raw: &RawBatch) -> Result<(), ArrowError> {
        debug_assert_eq!(raw.origin, self.inputs[port.0].origin, "an input has one partition");
        debug_assert!(self.left.is_empty() && self.withheld.is_empty(), "one batch after the other");
        (self.port, self.last_out) = (port, None);
        let mut decoded = self.inputs[port.0].decoder.decode(raw)?;
        let stop_at = decoded.untimed.filter(|_| self.stops_on_time);
        let rejects = std::mem::take(&mut decoded.rejects);
        for reject in rejects.into_iter().filter(|reject| stop_at.is_none_or(|at| reject.offset <= at)) {
            let Reject { offset, side, reason, .. } = reject;
            let address = (raw.origin.clone(), offset);
            let complaint = Complaint::new(ComplaintKind::Deserialization, address, Wrong::Side(side), reason);
            match stop_at == Some(offset) {
                true => self.stop = Some(complaint),
                false => self.withheld.add(offset, complaint),
            }
        }
        if let Some(chunk) = arrival::chunk(decoded, raw, &self.stage.inputs[port.0])? {
            let chunk = match stop_at {
                Some(at) => chunk.slice(0, chunk.offsets.values().partition_point(|offset| *offset < at)),
                None => chunk,
            };
            if !chunk.is_empty() {
                let entry = self.inputs[port.0].entry.iter().rev();
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
                let reason = format!("the row could not be processed: {why}");
                self.complain(ComplaintKind::Processing, &Addresses::of(&chunk), 0, Wrong::Row, reason);
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
            Target::Output(_) if chunk.bytes() > PIECE_BYTES_MAX => piece(chunk.row_bytes(), PIECE_BYTES_MAX),
            Target::Output(_) => chunk.len(),
        };
        if rows >= chunk.len() {
            return chunk;
        }
        self.left.push(Left::Rows(chunk.slice(rows, chunk.len() - rows), to));
        chunk.slice(0, rows)
    }

    fn apply(&mut self, chunk: Chunk, to: Target, now_ms: i64) -> Result<(), ArrowError> {
        let (at, port) = match to {
            Target::Output(at) => return self.put_out(&chunk, at, now_ms),
            Target::Operator(at, port) => (at, port),
        };
        let operator = &mut self.operators[at].0;
        let (mut failures, mut late, addresses) = (Vec::new(), Vec::new(), Addresses::of(&chunk));
        let (stream_time_ms, stores) = (&mut self.stream_time_ms, &mut self.stores[..]);
        let mut cx = Context { now_ms, stream_time_ms, stores, failures: &mut failures, late: &mut late };
        let emitted = operator.push(port, chunk, &mut cx)?;
        if operator.grows() {
            let bytes = match &emitted {
                Emitted::Nothing => 0,
                Emitted::Rows(chunk) => bytes_of(&chunk.rows),
                Emitted::Pieces(pieces) => pieces.bytes(),
            };
            let (now, before) = (bytes / addresses.offsets.len().max(1), self.growth[at].unwrap_or(0));
            self.growth[at] = Some(now.max(before - before / 4));
        }
        for Failure { row, expr, reason } in failures {
            self.complain(ComplaintKind::Processing, &addresses, row, Wrong::Expression(expr), reason);
        }
        for Late { row, reason } in late {
            self.complain(ComplaintKind::Late, &addresses, row, Wrong::Row, reason);
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

    fn put_out(&mut self, chunk: &Chunk, at: usize, now_ms: i64) -> Result<(), ArrowError> {
        let last = chunk.offsets.values().last().copied();
        let Some(output) = self.outputs.get_mut(at) else {
            self.commands.push_back(Command::Show(chunk.rows.clone()));
            self.last_out = last;
            return Ok(());
        };
        let (batch, unwritten) = output.encode(chunk, self.partition, now_ms)?;
        if !batch.is_empty() {
            let (origin, offsets) = (self.inputs[self.port.0].origin.clone(), chunk.offsets.clone());
            let offsets = offsets_without(&offsets, &unwritten);
            self.commands.push_back(Command::Write(Written { batch, origin, offsets }));
            self.last_out = last;
        }
        let addresses = Addresses::of(chunk);
        for bad in unwritten {
            self.complain(ComplaintKind::Serialization, &addresses, bad.row, Wrong::Side(bad.side), bad.reason);
        }
        Ok(())
    }

    /// Complains about a row of a chunk.
    fn complain(&mut self, kind: ComplaintKind, addresses: &Addresses, row: usize, wrong: Wrong, reason: String) {
        let (input, topic) = (&self.inputs[self.port.0].origin, &self.stage.origin);
        self.withheld.add_row(&Complaining { input, topic, addresses }, kind, row, wrong, reason);
    }

    /// Reports what is wrong with records that have come out entirely.
    fn release(&mut self) {
        if !self.withheld.is_empty() {
            let position = self.position();
            self.commands.extend(self.withheld.release(position).map(Command::Complain));
        }
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
