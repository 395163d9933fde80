//! Rows that wait until they are released, because the records of several inputs are processed in the order of their event times.

use super::{Left, Task};
use crate::chunk::Chunk;
use crate::operator::Port;
use crate::stage::Pace;

impl Task {
    /// The event time in ms and the offset of the first row of an input that was not released; `None` if there is none.
    pub fn head(&self, port: Port) -> Option<(i64, i64)> {
        let pending = self.inputs[port.0].pending.as_ref()?;
        Some((pending.times_ms.value(0), pending.offsets.value(0)))
    }

    /// The latest stream time among the rows of an input that were not released, in ms since the epoch; `None` if there are none. For
    /// rows of a source it is the latest event time.
    pub fn latest_ms(&self, port: Port) -> Option<i64> {
        let pending = self.inputs[port.0].pending.as_ref()?;
        pending.clocks_ms.as_ref().unwrap_or(&pending.times_ms).values().iter().copied().max()
    }

    /// All streams of its joins have passed a stream time: see `Context::passed_ms`.
    pub fn pass(&mut self, passed_ms: i64) {
        self.passed_ms = passed_ms;
        // Rows that are pushed meanwhile tell the operators no more than this.
        self.ticked_ms = self.ticked_ms.min(passed_ms);
    }

    /// The partitions of other sources that are joined with the one that it reads have reached a stream time: rows that are released
    /// from now on are not before it.
    pub fn reach(&mut self, stream_ms: i64) {
        if let Some(source) = self.source(Port(0)) {
            self.clocks.advance(source, stream_ms);
        }
    }

    /// Whether the rows of an input go to several steps, because its source is joined with itself.
    pub fn is_shared(&self, port: Port) -> bool {
        self.stage.inputs[port.0].is_shared()
    }

    /// Releases the rows of an input up to the first one whose event time is above `until_ms`, or fewer if their source is joined
    /// with itself at another pace. The rows that were released before must be finished.
    pub fn release(&mut self, port: Port, until_ms: i64) {
        debug_assert!(self.left.is_empty(), "one batch after the other");
        (self.port, self.last_out) = (port, None);
        let (pace, own) = (self.stage.inputs[port.0].pace, self.own_source());
        let input = &mut self.inputs[port.0];
        if let Some(pending) = input.pending.take() {
            let (rows_max, until_ms) = match pace {
                Pace::Batch => (usize::MAX, until_ms),
                Pace::Row => (1, until_ms),
                Pace::StreamTime => {
                    let first_ms = pending.times_ms.value(0);
                    let stream_ms = self.clocks.get(own).map_or(first_ms, |stream_ms| stream_ms.max(first_ms));
                    (usize::MAX, until_ms.min(stream_ms))
                }
            };
            let due = pending.times_ms.values().iter().take(rows_max).take_while(|time| **time <= until_ms);
            let rows = due.count();
            let chunk = pending.slice(0, rows);
            input.pending = (rows < pending.len()).then(|| pending.slice(rows, pending.len() - rows));
            if rows > 0 {
                self.enter(port, chunk);
            }
        }
        if self.inputs[port.0].pending.is_none() {
            self.release_progress(port);
        }
        self.report();
    }

    /// Leaves rows of an input to its first steps. Rows that several steps get have one stream time each, whichever step is first.
    fn enter(&mut self, port: Port, chunk: Chunk) {
        let chunk = match self.is_shared(port) {
            true => {
                let clocks_ms = Some(self.clocks.advance_by_row(&chunk, self.own_source()));
                Chunk { clocks_ms, ..chunk }
            }
            false => chunk,
        };
        self.left.extend(self.inputs[port.0].entry.iter().rev().map(|to| Left::Rows(chunk.clone(), *to)));
    }
}
