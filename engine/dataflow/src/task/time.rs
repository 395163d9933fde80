//! Stream time in a task: that of its own partitions, and what other tasks tell.

use arrow::compute::max;
use arrow::error::ArrowError;

use super::Task;
use crate::arrival;
use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Operator, Port};
use crate::stage::Target;

impl Task {
    /// A partition of a source that has reached this stream time has records that were not read yet, `i64::MIN` if none of it was;
    /// `None` if there is no such partition. Windows to which they may add rows stay open and are kept.
    pub fn hold(&mut self, held_ms: Option<i64>) {
        self.is_hold_new |= self.clocks.is_unsure() || self.clocks.held() != held_ms;
        self.clocks.hold(held_ms);
        if self.lags {
            // Tasks of earlier stages may emit more before the end of the epoch.
            self.clocks.doubt();
        }
        for (source, clock_ms) in self.inputs.iter().flat_map(|input| input.heard.clocks()) {
            self.clocks.advance(source, clock_ms);
        }
    }

    /// It gets rows of several partitions, one of which may be behind others. So whenever [`Self::hold`] was not called for the epoch,
    /// any of them may have more records.
    pub fn lag(&mut self) {
        self.lags = true;
        self.clocks.waver();
        self.clocks.hold(Some(i64::MIN));
        self.clocks.doubt();
    }

    /// Whether an input reads an exchange, and so gets rows from other tasks.
    pub fn reads_exchange(&self, port: Port) -> bool {
        self.stage.inputs[port.0].exchange.is_some()
    }

    /// Whether any input does.
    pub fn has_exchanges(&self) -> bool {
        (0..self.inputs.len()).any(|port| self.reads_exchange(Port(port)))
    }

    /// The stream times that it knows.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The stream time of the partition that an input reads or, for an exchange, the latest that it knows, in ms since the
    /// epoch; `None` before the first row.
    pub fn stream_time_ms(&self, port: Port) -> Option<i64> {
        match self.source(port) {
            Some(source) => self.clocks.get(source),
            None => self.clocks.latest(),
        }
    }

    /// The offset of the record that set the stream time of the partition that an input reads; `None` for an exchange, or if no
    /// record that arrived here did.
    pub fn stream_time_offset(&self, port: Port) -> Option<i64> {
        let time_ms = self.clocks.get(self.source(port)?)?;
        self.inputs[port.0].latest.filter(|(latest_ms, _)| *latest_ms == time_ms).map(|(_, offset)| offset)
    }

    /// The source partition that an input reads; `None` for an exchange.
    pub(super) fn source(&self, port: Port) -> Option<SourcePartition> {
        let input = &self.stage.inputs[port.0];
        let source = SourcePartition { source: input.source, partition: self.partition };
        input.exchange.is_none().then_some(source)
    }

    /// The source partition of the records that were handled last, for rows without an origin.
    pub(super) fn own_source(&self) -> SourcePartition {
        SourcePartition { source: self.stage.inputs[self.port.0].source, partition: self.partition }
    }

    /// Has the stream times written to all partitions of its exchanges, if they have advanced, as records without a value.
    pub(super) fn mark_time(&mut self, now_ms: i64) {
        if !self.marks_time || self.exchanges_rows || self.clocks.has_times_of(&self.marked) {
            return;
        }
        let clocks = self.clocks.to_bytes();
        self.mark(&clocks, now_ms);
        self.marked = self.clocks.clone();
    }

    /// Stream time has advanced in partitions whose rows may go to other tasks, and it has all of its rows up to these times, or what has
    /// to wait for them was told by [`Self::hold`]. Returns false if that changes nothing here; else the commands that follow are
    /// returned as for [`Self::handle`].
    pub fn tick(&mut self, clocks: &Clocks, now_ms: i64) -> Result<bool, ArrowError> {
        self.clocks.settle();
        let is_new = self.clocks.advance_all(clocks) | std::mem::take(&mut self.is_hold_new);
        if !is_new || !self.operators.iter().any(|(operator, _)| operator.waits_for_time()) {
            return Ok(false);
        }
        self.push_nothing(|operator| operator.waits_for_time(), now_ms).map(|()| true)
    }

    /// Streams elsewhere may have been passed since operators were told last.
    pub(super) fn tick_passed(&mut self, now_ms: i64) -> Result<(), ArrowError> {
        if self.ticked_ms == self.passed_ms {
            return Ok(());
        }
        self.ticked_ms = self.passed_ms;
        self.push_nothing(|operator| operator.waits_for_others(), now_ms)
    }

    /// Pushes a chunk without rows to the first operators that wait for it.
    fn push_nothing(&mut self, waits: impl Fn(&dyn Operator) -> bool, now_ms: i64) -> Result<(), ArrowError> {
        debug_assert!(self.left.is_empty(), "a task with state ends an epoch after a batch");
        for port in 0..self.inputs.len() {
            for to in self.inputs[port].entry.clone() {
                if let Target::Operator(at, at_port) = to
                    && waits(&*self.operators[at].0)
                {
                    self.port = Port(port);
                    let nothing = arrival::nothing(&self.stage.inputs[port])?;
                    self.apply(nothing, Target::Operator(at, at_port), now_ms)?;
                }
            }
        }
        Ok(())
    }
}

/// The event time and the offset of the record with the highest event time: the one known so far, or one of these rows.
pub(super) fn latest(known: Option<(i64, i64)>, chunk: &Chunk) -> Option<(i64, i64)> {
    let highest_ms = max(&chunk.times_ms)?;
    if known.is_some_and(|(known_ms, _)| known_ms >= highest_ms) {
        return known;
    }
    let row = chunk.times_ms.values().iter().position(|time_ms| *time_ms == highest_ms)?;
    Some((highest_ms, chunk.offsets.value(row)))
}
