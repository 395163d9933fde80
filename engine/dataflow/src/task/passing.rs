//! A barrier on its way through a task: each operator emits what it held back, in order, before the epoch ends.

use arrow::error::ArrowError;

use super::super::clocks::SourcePartition;
use super::super::command::Command;
use super::super::limits::Limits;
use super::super::operator::Context;
use super::{Epoch, Task};

/// A barrier that passes through the operators ahead of the records that are left.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    epoch: Epoch,
    /// The index of the operator that it reaches next.
    at: usize,
    /// The length of the task's `left` when it began: what is above was emitted by operators that it has passed.
    pub(super) left: usize,
}

impl Passing {
    /// The barrier of an epoch before the first operator, with this much left of the batch.
    pub(super) fn of(epoch: Epoch, left: usize) -> Self {
        Self { epoch, at: 0, left }
    }
}

impl Task {
    /// True until a barrier has passed all operators.
    pub fn passes_barrier(&self) -> bool {
        self.barrier.is_some()
    }

    /// Passes the barrier to the next operator or, after the last one, ends the epoch.
    pub(super) fn pass_barrier(&mut self, now_ms: i64) -> Result<(), ArrowError> {
        let Some(Passing { epoch, at, left }) = self.barrier else { return Ok(()) };
        if at == 0 && self.tell_time(left, now_ms)? {
            return Ok(());
        }
        self.barrier = Some(Passing { epoch, at: at + 1, left });
        if at < self.operators.len() {
            return self.end_operator(at, now_ms);
        }
        if self.seal(now_ms)? {
            self.barrier = None;
            if self.lags {
                self.clocks.doubt();
            }
            self.mark_time(now_ms);
            self.mark_progress(now_ms);
            self.commands.push_back(Command::Reached(epoch));
        }
        Ok(())
    }

    /// Tells the operators how far time has advanced elsewhere. Returns whether that has left them something to do.
    fn tell_time(&mut self, left: usize, now_ms: i64) -> Result<bool, ArrowError> {
        self.clocks.settle();
        if self.inputs.iter().all(|input| input.pending.is_none()) {
            let told = std::mem::take(&mut self.told);
            self.tick(&told, now_ms)?;
        }
        if self.left.len() == left {
            self.tick_passed(now_ms)?;
        }
        Ok(self.left.len() > left)
    }

    /// Has the operator at an index emit what it held back until the end of the epoch.
    fn end_operator(&mut self, at: usize, now_ms: i64) -> Result<(), ArrowError> {
        // Expressions are evaluated when a row is pushed, so none fails now.
        let (failures, late, refused) = (&mut Vec::new(), &mut Vec::new(), &mut Vec::new());
        let (clocks, stores) = (&mut self.clocks, &mut self.stores[..]);
        let source = SourcePartition { source: 0, partition: self.partition };
        let limits = Limits { changelogs: &self.changelogs, onward: None };
        let passed_ms = self.passed_ms;
        let mut cx = Context { now_ms, passed_ms, clocks, source, stores, failures, late, refused, limits };
        let emitted = self.operators[at].0.barrier(&mut cx)?;
        self.emit(emitted, at);
        Ok(())
    }
}
