//! One stage of a running query for one partition: records in, commands out.
//!
//! ```text
//! handle(Restore)*, handle(Resume)                   restores the state of the last commit
//! handle(Records) → advance* → Write*, Complain* …   for each batch
//! handle(Barrier) → advance* → Write*, Log*, Reached emits everything before it
//! handle(Committed)                                  the epoch is final
//! ```
//!
//! A task never waits and never fails because of a record: an invalid record becomes a complaint with its address. Large
//! output is emitted piece by piece, in the order of the records. So the output that waits to be written is bounded, and a
//! task without state can commit between two records of one batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::RecordDecoder;
use headwater_formats::format::FormatError;
use headwater_formats::panic::words;
use headwater_formats::record::{OutBatch, RawBatch, Reject, TopicPartition};
use headwater_state::{MemoryStore, Store, View};

use super::addresses::Addresses;
use super::arrival;
use super::chunk::Chunk;
use super::complaint::{Complaint, ComplaintKind, Wrong};
use super::operator::{Context, Emitted, Late, Operator, Pieces, Port};
use super::output::{Output, Placement, Unwritten};
use super::position::TaskPosition;
use super::size::{PIECE_BYTES_MAX, bytes_of, piece};
use super::stage::{Input, Stage, Target};
use super::withheld::Withheld;

/// The number of a commit of one query in one process, starting at 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// An event for a task.
#[derive(Debug)]
pub enum Event<'a> {
    /// Records of the changelog of the store with this index, in their order.
    Restore(usize, &'a RawBatch),
    /// The state is that of the last commit, at this stream time in ms since the epoch.
    Resume(i64),
    /// The next records of one of its inputs.
    Records(Port, &'a RawBatch),
    /// An epoch ends: everything that belongs to it is to be emitted.
    Barrier(Epoch),
    /// The oldest epoch that was not committed yet is: readers see its state.
    Committed(Epoch),
}

/// An action that a task asks its driver for.
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

/// One stage of a running query for one partition.
pub struct Task {
    stage: Arc<Stage>,
    stops_on_time: bool,
    partition: i32,
    /// The inputs, one for each port.
    pub(super) inputs: Vec<TaskInput>,
    /// The operators, each with the next steps for its rows.
    pub(super) operators: Vec<(Box<dyn Operator>, Vec<Target>)>,
    outputs: Vec<Output>,
    stores: Vec<Box<dyn Store>>,
    /// The highest event time of its rows, in ms since the epoch.
    stream_time_ms: i64,
    /// The port of the records that were handled last.
    port: Port,
    commands: VecDeque<Command>,
    /// The rows that are left of the batch, the first records last.
    left: Vec<Left>,
    /// Complaints about records whose rows have not all been emitted.
    withheld: Withheld,
    /// The offset of the record whose rows were emitted last.
    last_out: Option<i64>,
    /// The record at which the query stops once everything before it has been emitted.
    stop: Option<Complaint>,
    /// The barrier that is passing through the operators.
    barrier: Option<Passing>,
    /// For each operator the recent size of the rows that it emits, in bytes per row received; `None` before its first row.
    pub(super) growth: Vec<Option<usize>>,
}

/// An input of a task.
pub(super) struct TaskInput {
    origin: TopicPartition,
    decoder: RecordDecoder,
    /// The first steps for its rows.
    pub(super) entry: Vec<Target>,
}

/// Rows that are left to be processed.
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
enum Left {
    /// Rows and their next step.
    Rows(Chunk, Target),
    /// Rows that the operator with this index emits piece by piece.
    Pieces(Box<dyn Pieces>, usize),
}

/// A barrier that passes through the operators ahead of the records that are left.
struct Passing {
    epoch: Epoch,
    /// The index of the operator that it reaches next.
    at: usize,
    /// The length of `left` when it began: what is above was emitted by operators that it has passed.
    left: usize,
}

/// Rows that are pushed to an operator that grows rows before their size there is known.
const FIRST_ROWS: usize = 1_024;

impl Task {
    /// A new task of a stage for one partition, with empty stores.
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

    /// Handles an event. The batch before must be finished. The commands that follow are returned by [`Self::poll_command`],
    /// now and after each [`Self::advance`] that returns true. Fails only on an internal error.
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
            Event::Committed(_) => {
                self.stores.iter_mut().for_each(|store| store.commit());
                Ok(())
            }
        }
    }

    /// Continues with the event that was handled last, by a piece of bounded size. `now_ms` is the current time, in ms since
    /// the epoch. Returns false if nothing was left to do.
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

    /// True until a barrier has passed all operators.
    pub fn passes_barrier(&self) -> bool {
        self.barrier.is_some()
    }

    /// Passes the barrier to the next operator or, after the last one, ends the epoch.
    fn pass_barrier(&mut self, now_ms: i64) -> Result<(), ArrowError> {
        let Some(barrier) = &mut self.barrier else { return Ok(()) };
        let (epoch, at) = (barrier.epoch, barrier.at);
        barrier.at += 1;
        match self.operators.get_mut(at) {
            // Expressions are evaluated when a row is pushed, so none fails now.
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

    /// Seals the stores and has their changes written to the changelogs.
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

    /// The committed values of the store with this index, for readers in other threads.
    pub fn view(&self, store: usize) -> View {
        self.stores[store].view()
    }

    /// Whether windows have left its stores because they expired.
    pub fn has_expired(&self) -> bool {
        self.stores.iter().any(|store| store.has_expired())
    }

    /// Whether it has stores.
    pub fn has_state(&self) -> bool {
        !self.stores.is_empty()
    }

    /// The stream time of its rows so far, in ms since the epoch; `None` before the first.
    pub fn stream_time_ms(&self) -> Option<i64> {
        (self.stream_time_ms > i64::MIN).then_some(self.stream_time_ms)
    }

    /// The next command, in order; `None` if there is none now.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Its progress. A task with stores is within a record until the whole batch has been emitted: what is left of the batch may
    /// have changed its state, and a commit must not have the state of records that are read again.
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
        match begun || self.last_out == Some(offset) || self.has_state() {
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

    /// Pushes rows to an operator or an output. If that fails, for instance because they become too large, they are pushed in
    /// halves; a single row for which it fails is skipped and reported.
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
                self.complain(ComplaintKind::Processing, &self.addresses(&chunk), 0, Wrong::Row, reason);
            }
            rows => {
                let half = rows / 2;
                let second = chunk.slice(half, rows - half);
                self.left.extend([Left::Rows(second, to), Left::Rows(chunk.slice(0, half), to)]);
            }
        }
    }

    /// The first rows, as many as are processed at once; the others are left for later.
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
        let (mut failures, mut late, addresses) = (Vec::new(), Vec::new(), self.addresses(&chunk));
        let operator = &mut self.operators[at].0;
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

    /// Passes on what the operator at an index emitted.
    fn emit(&mut self, emitted: Emitted, at: usize) {
        match emitted {
            Emitted::Nothing => {}
            Emitted::Rows(chunk) => self.send(chunk, at),
            Emitted::Pieces(pieces) => self.left.push(Left::Pieces(pieces, at)),
        }
    }

    /// Passes rows of the operator at an index to the next steps.
    fn send(&mut self, chunk: Chunk, at: usize) {
        let to = self.operators[at].1.iter().rev();
        self.left.extend(to.map(|to| Left::Rows(chunk.clone(), *to)));
    }

    fn put_out(&mut self, chunk: &Chunk, at: usize, now_ms: i64) -> Result<(), ArrowError> {
        let (last, addresses) = (chunk.offsets.values().last().copied(), self.addresses(chunk));
        let Some(output) = self.outputs.get_mut(at) else {
            self.commands.push_back(Command::Show(chunk.rows.clone()));
            self.last_out = last;
            return Ok(());
        };
        let (batch, unwritten) = output.encode(chunk, self.partition, now_ms)?;
        if !batch.is_empty() {
            let addresses = without(addresses.clone(), &unwritten);
            self.commands.push_back(Command::Write(Written { batch, addresses }));
            self.last_out = last;
        }
        for bad in unwritten {
            self.complain(ComplaintKind::Serialization, &addresses, bad.row, Wrong::Side(bad.side), bad.reason);
        }
        Ok(())
    }

    /// Complains about a row of a chunk.
    fn complain(&mut self, kind: ComplaintKind, addresses: &Addresses, row: usize, wrong: Wrong, reason: String) {
        self.withheld.add_row(addresses, kind, row, wrong, reason);
    }

    /// The records that the rows of a chunk came from.
    fn addresses(&self, chunk: &Chunk) -> Addresses {
        Addresses::of(chunk, &self.inputs[self.port.0].origin, &self.stage.origin)
    }

    /// Reports the complaints about records whose rows have all been emitted.
    fn release(&mut self) {
        if !self.withheld.is_empty() {
            let position = self.position();
            self.commands.extend(self.withheld.release(position).map(Command::Complain));
        }
    }
}

/// The addresses of the rows that were written.
fn without(addresses: Addresses, unwritten: &[Unwritten]) -> Addresses {
    if unwritten.is_empty() {
        return addresses;
    }
    let out: BTreeSet<usize> = unwritten.iter().map(|bad| bad.row).collect();
    addresses.filter(|row| !out.contains(&row))
}
