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

mod passing;
mod progress;
mod release;
mod sending;
mod state;
mod time;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::RecordDecoder;
use headwater_formats::format::FormatError;
use headwater_formats::panic::words;
use headwater_formats::record::{RawBatch, Reject, TopicPartition};
use headwater_formats::schema::{Schema, SchemaId};
use headwater_state::{MemoryStore, Storage, Store};

use super::addresses::Addresses;
use super::arrival;
use super::chunk::Chunk;
use super::clocks::{Clocks, SourcePartition};
use super::command::Command;
use super::complaint::{Complaint, ComplaintKind, Wrong};
use super::limits::{Changelog, Limits, Onward};
use super::operator::{Context, Emitted, Late, Operator, Pieces, Port, Refused};
use super::output::{Output, Placement};
use super::position::TaskPosition;
use super::size::{PIECE_BYTES_MAX, bytes_of, piece};
use super::stage::{Input, Stage, Target};
use super::withheld::Withheld;
use passing::Passing;
use progress::Progress;
pub use progress::Reached;
use time::latest;

/// The number of a commit of one query in one process, starting at 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// An event for a task.
#[derive(Debug)]
pub enum Event<'a> {
    /// Records of the changelog of the store with this index, in their order.
    Restore(usize, &'a RawBatch),
    /// The stream time of the partition that an input reads was this at the last commit, in ms since the epoch.
    Resume(Port, i64),
    /// The schema that records of one of its inputs were written with, or the reason why there is none.
    Schema(Port, SchemaId, Result<Arc<Schema>, String>),
    /// The next records of one of its inputs.
    Records(Port, &'a RawBatch),
    /// The next rows of an exchange that does not pass through its topic.
    Rows(Port, &'a Chunk),
    /// An epoch ends: everything that belongs to it is to be emitted.
    Barrier(Epoch),
    /// The oldest epoch that was not committed yet is: readers see its state.
    Committed(Epoch),
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
    /// The changelogs of the stores.
    changelogs: Vec<Changelog>,
    /// The number of stores that the barrier has sealed.
    sealed: usize,
    /// The stream times of the source partitions that its rows came from.
    clocks: Clocks,
    /// What the changelog has of them and of the number of received rows, with the changes that were sealed last; empty if
    /// nothing.
    note: Vec<u8>,
    /// The port of the records that were handled last.
    port: Port,
    /// Whether rows for exchanges are passed on as they are, instead of as records of their topics.
    exchanges_rows: bool,
    /// The number of rows that it got from exchanges that way, over all processes.
    received: i64,
    /// Whether tasks tell each other through the topics of exchanges how stream time advances.
    marks_time: bool,
    /// Whether they tell each other how far they have read their sources.
    marks_progress: bool,
    /// Whether one of the partitions that its rows come from may be behind others.
    lags: bool,
    /// Whether [`Self::hold`] was called with something else since the operators were told.
    is_hold_new: bool,
    /// The stream times that other tasks have told since the last barrier.
    told: Clocks,
    /// The stream times that other tasks were told last.
    marked: Clocks,
    commands: VecDeque<Command>,
    /// The rows that are left of the batch, the first records last.
    left: Vec<Left>,
    /// The offset of the record whose rows were emitted last.
    last_out: Option<i64>,
    /// The record of an input at which the query stops once everything before it has been emitted.
    stop: Option<(Port, Complaint)>,
    /// Whether rows wait until they are released.
    merges: bool,
    /// The stream time that all streams of its joins have passed.
    passed_ms: i64,
    /// What its operators were told of that without rows.
    ticked_ms: i64,
    /// The next offset of its source.
    read_to: Option<i64>,
    /// How far sources had been read when it told other tasks last.
    marked_progress: Vec<(SourcePartition, Reached)>,
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
    /// Rows that were not released yet.
    pending: Option<Chunk>,
    /// How far sources had been read, as the records tell that the rows belong to.
    told: Progress,
    /// How far sources have been read whose rows come here: all rows before were released.
    heard: Progress,
    /// Complaints about records whose rows have not all been emitted.
    withheld: Withheld,
    /// The event time and the offset of the record of a source with the highest event time, of those that arrived here.
    latest: Option<(i64, i64)>,
}

/// Rows that are left to be processed.
#[allow(clippy::large_enum_variant, reason = "there is one for thousands of rows: its own size is nothing beside them")]
enum Left {
    /// Rows and their next step.
    Rows(Chunk, Target),
    /// Rows that the operator with this index emits piece by piece.
    Pieces(Box<dyn Pieces>, usize),
}

/// Rows that are pushed to an operator that grows rows before their size there is known.
const FIRST_ROWS: usize = 1_024;

impl Task {
    /// A new task of a stage for one partition, with empty stores in `storage`.
    pub(super) fn new(
        stage: &Arc<Stage>,
        partition: i32,
        stops_on_time: bool,
        placements: &BTreeMap<String, Placement>,
        storage: &Storage,
    ) -> Result<Self, FormatError> {
        let input = |input: &Input| -> Result<TaskInput, FormatError> {
            let origin = TopicPartition::new(input.spec.topic.clone(), partition);
            let (entry, withheld) = (input.entry.clone(), Withheld::default());
            let (decoder, told, heard) = (input.decoder()?, Progress::default(), Progress::default());
            Ok(TaskInput { origin, decoder, entry, pending: None, told, heard, withheld, latest: None })
        };
        let inputs = stage.inputs.iter().map(input).collect::<Result<_, _>>()?;
        let outputs = stage.outputs.iter().map(|output| output.open(placements)).collect::<Result<_, _>>()?;
        let operators: Vec<_> = stage.operators.iter().map(|w| (w.operator.fresh(), w.to.clone())).collect();
        // However well a value compresses, a batch that compression does not shrink must be accepted.
        let changelog = |topic: &Arc<str>| {
            let bytes_max = placements.get(&**topic).and_then(|placement| placement.limits.batch_bytes_max);
            Changelog { topic: topic.clone(), bytes_max }
        };
        let store = |_: &Arc<str>| Box::new(MemoryStore::within(storage)) as Box<dyn Store>;
        Ok(Self {
            growth: vec![None; operators.len()],
            stage: Arc::clone(stage),
            stops_on_time,
            partition,
            inputs,
            operators,
            outputs,
            stores: stage.changelogs.iter().map(store).collect(),
            changelogs: stage.changelogs.iter().map(changelog).collect(),
            sealed: 0,
            clocks: Clocks::default(),
            note: Vec::new(),
            port: Port(0),
            exchanges_rows: false,
            received: 0,
            marks_time: false,
            marks_progress: false,
            lags: false,
            is_hold_new: false,
            told: Clocks::default(),
            marked: Clocks::default(),
            commands: VecDeque::new(),
            left: Vec::new(),
            last_out: None,
            stop: None,
            merges: false,
            passed_ms: i64::MAX,
            ticked_ms: i64::MAX,
            read_to: None,
            marked_progress: Vec::new(),
            barrier: None,
        })
    }

    /// The schemas that records of an input were written with and that the task was not given yet, by [`Event::Schema`].
    pub fn missing_schemas(&self, port: Port, raw: &RawBatch) -> Vec<SchemaId> {
        self.inputs[port.0].decoder.missing_schemas(raw)
    }

    /// Handles an event. The batch before must be finished. The commands that follow are returned by [`Self::poll_command`],
    /// now and after each [`Self::advance`] that returns true. Fails only on an internal error, or if the disk of a store does.
    pub fn handle(&mut self, event: &Event<'_>) -> Result<(), ArrowError> {
        match event {
            Event::Restore(store, raw) => self.restore(*store, raw),
            Event::Resume(port, time_ms) => {
                if let Some(source) = self.source(*port) {
                    self.clocks.advance(source, *time_ms);
                }
                Ok(())
            }
            Event::Schema(port, id, schema) => {
                self.inputs[port.0].decoder.learn(*id, schema.clone());
                Ok(())
            }
            Event::Records(port, raw) => self.records(*port, raw),
            Event::Rows(port, chunk) => self.receive(*port, chunk),
            Event::Barrier(epoch) => {
                self.barrier = Some(Passing::of(*epoch, self.left.len()));
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
                let stop = self.stop.take_if(|(port, _)| self.inputs[port.0].pending.is_none());
                self.commands.extend(stop.map(|(_, complaint)| Command::Stop(complaint)));
                return Ok(!self.commands.is_empty());
            }
            Some(Left::Rows(chunk, to)) => self.rows(chunk, to, now_ms)?,
            Some(Left::Pieces(mut pieces, at)) => {
                if let Some(piece) = pieces.next_piece()? {
                    self.left.push(Left::Pieces(pieces, at));
                    self.send(piece, at);
                }
            }
        }
        self.report();
        Ok(true)
    }

    /// The next command, in order; `None` if there is none now.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The same task, which keeps the rows of records until they are released.
    pub(super) fn merging(self) -> Self {
        Self { merges: true, ..self }
    }

    /// The same task, which tells other tasks how stream time advances, through the topics of its exchanges.
    pub(super) fn marking_time(self) -> Self {
        Self { marks_time: true, ..self }
    }

    /// The same task, which tells other tasks how far it has read its source, through the topics of its exchanges.
    pub(super) fn marking_progress(self) -> Self {
        Self { marks_progress: true, ..self }
    }

    /// Its progress. A task with stores is within a record until the whole batch has been emitted: what is left of the batch may
    /// have changed its state, and a commit must not have the state of records that are read again. So is a task whose rows go to
    /// several steps, one of which may have had more of them than another.
    pub fn position(&mut self) -> TaskPosition {
        let (offset, begun) = loop {
            match self.left.last_mut() {
                None => {
                    let pending = self.inputs[self.port.0].pending.as_ref();
                    return pending.map_or(TaskPosition::Done, |rows| TaskPosition::Before(rows.offsets.value(0)));
                }
                Some(Left::Rows(chunk, _)) => break (chunk.offsets.value(0), false),
                Some(Left::Pieces(pieces, _)) => match pieces.position() {
                    Some(position) => break position,
                    None => drop(self.left.pop()),
                },
            }
        };
        let is_shared = || self.stage.inputs[self.port.0].is_shared();
        match begun || self.last_out == Some(offset) || self.has_state() || is_shared() {
            true => TaskPosition::Within(offset),
            false => TaskPosition::Before(offset),
        }
    }

    fn records(&mut self, port: Port, raw: &RawBatch) -> Result<(), ArrowError> {
        debug_assert_eq!(raw.origin, self.inputs[port.0].origin, "an input has one partition");
        debug_assert!(self.left.is_empty() && self.inputs[port.0].pending.is_none(), "one batch after the other");
        (self.port, self.last_out) = (port, None);
        self.hear(port, raw);
        let mut decoded = self.inputs[port.0].decoder.decode(raw)?;
        let stop_at = decoded.untimed.filter(|_| self.stops_on_time);
        let rejects = std::mem::take(&mut decoded.rejects);
        let is_mark = |offset: i64| self.is_mark(port, raw, offset);
        let rejects: Vec<Reject> = rejects.into_iter().filter(|reject| !is_mark(reject.offset)).collect();
        for reject in rejects.into_iter().filter(|reject| stop_at.is_none_or(|at| reject.offset <= at)) {
            let Reject { offset, side, reason, .. } = reject;
            let address = (raw.origin.clone(), offset);
            let complaint = Complaint::new(ComplaintKind::Deserialization, address, Wrong::Side(side), reason);
            match stop_at == Some(offset) {
                true => self.stop = Some((port, complaint)),
                false => self.inputs[port.0].withheld.add(offset, complaint),
            }
        }
        if let Some(chunk) = arrival::chunk(decoded, raw, &self.stage.inputs[port.0])? {
            let chunk = match stop_at {
                Some(at) => chunk.slice(0, chunk.offsets.values().partition_point(|offset| *offset < at)),
                None => chunk,
            };
            if !chunk.is_empty() {
                let input = &mut self.inputs[port.0];
                input.latest = latest(input.latest, &chunk);
                input.pending = Some(chunk);
            }
        }
        match self.merges {
            true => self.report(),
            false => self.release(port, i64::MAX),
        }
        Ok(())
    }

    /// Takes rows of an exchange, which are numbered in the order in which they arrive.
    fn receive(&mut self, port: Port, chunk: &Chunk) -> Result<(), ArrowError> {
        debug_assert!(self.left.is_empty(), "one batch after the other");
        (self.port, self.last_out) = (port, None);
        let chunk = arrival::received(chunk, &self.stage.inputs[port.0], self.partition, self.received)?;
        self.received += chunk.len() as i64;
        let entry = self.inputs[port.0].entry.iter().rev();
        self.left.extend(entry.map(|to| Left::Rows(chunk.clone(), *to)));
        Ok(())
    }

    /// Whether rows for exchanges are passed on as they are from now on, instead of as records of their topics.
    pub fn exchange_rows(&mut self, exchanges_rows: bool) {
        self.exchanges_rows = exchanges_rows;
    }

    /// Pushes rows to an operator or an output. If that fails, for instance because they become too large, they are pushed in
    /// halves; a single row for which it fails is skipped and reported. Fails if the disk of a store has failed: then the rows
    /// are not to blame.
    fn rows(&mut self, chunk: Chunk, to: Target, now_ms: i64) -> Result<(), ArrowError> {
        let chunk = self.first_piece(chunk, to);
        let attempt = catch_unwind(AssertUnwindSafe(|| self.apply(chunk.clone(), to, now_ms)));
        self.check_stores()?;
        let why = match attempt {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(ArrowError::ComputeError(why))) => why,
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
        Ok(())
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
        let (mut failures, mut late, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let addresses = self.addresses(&chunk);
        let source = self.own_source();
        let (until, later) = self.operators.split_at_mut(at + 1);
        let (operator, to) = &mut until[at];
        let outputs = (&mut self.outputs[..], &self.stage.outputs[..]);
        let onward = Some(Onward { to, later: (later, at + 1), outputs, now_ms });
        let limits = Limits { changelogs: &self.changelogs, onward };
        let (clocks, stores) = (&mut self.clocks, &mut self.stores[..]);
        let mut cx = Context {
            now_ms,
            passed_ms: self.passed_ms,
            clocks,
            source,
            stores,
            failures: &mut failures,
            late: &mut late,
            refused: &mut refused,
            limits,
        };
        let emitted = operator.push(port, chunk, &mut cx)?;
        if operator.grows() && !addresses.offsets.is_empty() {
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
        for Refused { row, reason } in refused {
            self.complain(ComplaintKind::Processing, &addresses, row, Wrong::Row, reason);
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

    /// Complains about a row of a chunk.
    fn complain(&mut self, kind: ComplaintKind, addresses: &Addresses, row: usize, wrong: Wrong, reason: String) {
        self.inputs[self.port.0].withheld.add_row(addresses, kind, row, wrong, reason);
    }

    /// The records that the rows of a chunk came from.
    fn addresses(&self, chunk: &Chunk) -> Addresses {
        Addresses::of(chunk, &self.inputs[self.port.0].origin, &self.stage.origins)
    }

    /// Reports the complaints about records whose rows have all been emitted.
    fn report(&mut self) {
        if !self.inputs[self.port.0].withheld.is_empty() {
            let position = self.position();
            let complaints = self.inputs[self.port.0].withheld.release(position);
            self.commands.extend(complaints.map(Command::Complain));
        }
    }
}
