//! The work that tasks can do at the same time. Each task is run by one thread at a time, and what it wants to be done is
//! performed afterwards, task by task, in the order in which they got their turns: the result does not depend on the number of
//! threads.

use std::collections::{BTreeMap, VecDeque};

use arrow::error::ArrowError;
use headwater_connectors::transport::TransportError;
use headwater_dataflow::{Chunk, Command, Epoch, Event, Port, Task, TaskId};
use headwater_formats::record::RawBatch;

use super::side_by_side::side_by_side;

/// Rows from which threads are worth their start, which takes tens of µs.
const ROWS_MIN: usize = 1_024;
/// Bytes of commands after which a task waits until they are performed: less than a large piece, so that a step may end after each.
const COMMANDS_BYTES_MAX: usize = 8 << 20;

/// The tasks that have something to do, and what.
pub(super) type Turns<'r> = BTreeMap<TaskId, Turn<'r>>;

/// What a task is to do, and what it wants to be done. Without anything else, what is left is finished.
#[derive(Default)]
pub(super) struct Turn<'r> {
    /// How many tasks got their turns before.
    number: usize,
    records: Option<(Port, &'r RawBatch)>,
    rows: VecDeque<(Port, Chunk)>,
    barrier: Option<Epoch>,
    /// Whether the barrier overtakes what is left of the former event, which is finished first otherwise.
    overtakes: bool,
    /// Whether the barrier is passing.
    is_passing: bool,
    commands: Vec<Command>,
    is_finished: bool,
}

impl<'r> Turn<'r> {
    /// Process records.
    pub(super) fn records(port: Port, raw: &'r RawBatch) -> Self {
        Self { records: Some((port, raw)), ..Self::default() }
    }

    /// End an epoch; `is_left` is whether what is left belongs to it.
    pub(super) fn barrier(epoch: Epoch, is_left: bool) -> Self {
        Self { barrier: Some(epoch), overtakes: !is_left, ..Self::default() }
    }

    /// Whether everything is done. If not, it waited until its commands are performed.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// The approximate number of rows that it works on, if the epoch that ends has `epoch_rows`.
    fn len(&self, epoch_rows: usize) -> usize {
        let records = self.records.map_or(0, |(_, raw)| raw.len());
        match (records + self.rows.iter().map(|(_, chunk)| chunk.len()).sum::<usize>(), self.barrier) {
            (rows, Some(_)) => rows + epoch_rows,
            // It has waited in the middle of much output.
            (0, None) => ROWS_MIN,
            (rows, None) => rows,
        }
    }

    /// Has the task work until everything is done, or until its commands should be performed.
    fn run(&mut self, task: &mut Task, now_ms: i64) -> Result<(), ArrowError> {
        if let Some((port, raw)) = self.records.take() {
            task.handle(&Event::Records(port, raw))?;
        }
        let mut bytes = 0;
        loop {
            while let Some(command) = task.poll_command() {
                bytes += command.bytes();
                self.commands.push(command);
            }
            if bytes >= COMMANDS_BYTES_MAX {
                return Ok(());
            }
            let is_left = if self.is_passing { task.passes_barrier() } else { !self.overtakes };
            if is_left && task.advance(now_ms)? {
                continue;
            }
            if !self.begin_next(task)? {
                self.is_finished = true;
                return Ok(());
            }
        }
    }

    /// Begins with what comes next, once what is left of the former is done. Returns false if nothing does.
    fn begin_next(&mut self, task: &mut Task) -> Result<bool, ArrowError> {
        if let Some((port, chunk)) = self.rows.pop_front() {
            task.handle(&Event::Rows(port, &chunk))?;
            self.overtakes = false;
        } else if let Some(epoch) = self.barrier.take() {
            task.handle(&Event::Barrier(epoch))?;
            self.is_passing = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Has a task process rows of an exchange, after those that were added before.
pub(super) fn add(turns: &mut Turns<'_>, id: TaskId, port: Port, chunk: Chunk) {
    let number = turns.len();
    turns.entry(id).or_insert_with(|| Turn { number, ..Turn::default() }).rows.push_back((port, chunk));
}

/// The commands so far, in order.
pub(super) fn commands(turns: &mut Turns<'_>) -> Vec<Command> {
    let mut turns: Vec<_> = turns.values_mut().collect();
    turns.sort_by_key(|turn| turn.number);
    turns.iter_mut().flat_map(|turn| std::mem::take(&mut turn.commands)).collect()
}

/// Has tasks work, by at most as many threads, if there is enough for them to do. `epoch_rows` is the number of rows read since
/// the last commit.
pub(super) fn run<'t>(
    tasks: impl Iterator<Item = (&'t TaskId, &'t mut Task)>,
    turns: &mut Turns<'_>,
    threads: usize,
    epoch_rows: usize,
    now_ms: i64,
) -> Result<(), TransportError> {
    let rows: usize = turns.values().map(|turn| turn.len(epoch_rows)).sum();
    let threads = if rows >= ROWS_MIN { threads } else { 1 };
    let has_turn: Vec<_> = tasks.filter(|(id, _)| turns.contains_key(id)).map(|(_, task)| task).collect();
    if has_turn.len() != turns.len() {
        return Err(TransportError::internal("rows are sent to a task that does not exist"));
    }
    side_by_side(has_turn.into_iter().zip(turns.values_mut()), threads, |(task, turn)| turn.run(task, now_ms))
}
