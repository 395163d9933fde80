//! Rows that wait until they are released, because the records of several inputs are processed in the order of their event times.

use super::{Left, Task};
use crate::operator::Port;

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
    }

    /// The partitions of other sources that are joined with the one that it reads have reached a stream time: rows that are released
    /// from now on are not before it.
    pub fn reach(&mut self, stream_ms: i64) {
        if let Some(source) = self.source(Port(0)) {
            self.clocks.advance(source, stream_ms);
        }
    }

    /// Releases the rows of an input up to the first one whose event time is above `until_ms`. The rows that were released before
    /// must be finished.
    pub fn release(&mut self, port: Port, until_ms: i64) {
        debug_assert!(self.left.is_empty(), "one batch after the other");
        (self.port, self.last_out) = (port, None);
        let input = &mut self.inputs[port.0];
        if let Some(pending) = input.pending.take() {
            let rows = pending.times_ms.values().iter().take_while(|time| **time <= until_ms).count();
            let chunk = pending.slice(0, rows);
            input.pending = (rows < pending.len()).then(|| pending.slice(rows, pending.len() - rows));
            if rows > 0 {
                self.left.extend(input.entry.iter().rev().map(|to| Left::Rows(chunk.clone(), *to)));
            }
        }
        if self.inputs[port.0].pending.is_none() {
            self.release_progress(port);
        }
        self.report();
    }
}
