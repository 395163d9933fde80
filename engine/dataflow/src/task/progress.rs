//! How far the sources of a query have been read, which tasks tell each other through the topics of exchanges: records without a
//! value, in the transaction with the rows before them. So whoever has read such a record has all rows up to it.

use std::collections::BTreeMap;

use arrow::array::{Array, BinaryArray};
use headwater_formats::record::{OutBatch, RawBatch};

use super::Task;
use crate::clocks::{Clocks, SourcePartition};
use crate::command::Command;
use crate::operator::Port;

/// How far a partition of a source has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its stream time, in ms since the epoch; `i64::MIN` before its first row.
    pub clock_ms: i64,
    /// The next offset.
    pub next: i64,
}

/// How far partitions of sources have been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress(BTreeMap<SourcePartition, Reached>);

/// The first byte of the key of such a record.
const VERSION: u8 = 1;

/// The length of the key. Those of stream times ([`Clocks`](crate::Clocks)) have multiples of 16.
const KEY_BYTES: usize = 1 + 4 + 4 + 8 + 8;

impl Progress {
    /// Learns what others know.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The stream times of the partitions, of those that had rows.
    pub(super) fn clocks(&self) -> impl Iterator<Item = (SourcePartition, i64)> {
        let reached = self.0.iter().map(|(source, reached)| (*source, reached.clock_ms));
        reached.filter(|(_, clock_ms)| *clock_ms > i64::MIN)
    }

    /// Learns from a record without a value, if it is one of these.
    fn hear(&mut self, key: &[u8]) {
        let Ok(key) = <&[u8; KEY_BYTES]>::try_from(key) else { return };
        let [VERSION, s0, s1, s2, s3, p0, p1, p2, p3, rest @ ..] = *key else { return };
        let source = SourcePartition {
            source: i32::from_be_bytes([s0, s1, s2, s3]),
            partition: i32::from_be_bytes([p0, p1, p2, p3]),
        };
        let [clock_ms, next] = [&rest[..8], &rest[8..]].map(|bytes| bytes.try_into().map(i64::from_be_bytes));
        if let (Ok(clock_ms), Ok(next)) = (clock_ms, next) {
            self.0.insert(source, Reached { clock_ms, next });
        }
    }
}

/// The key of the record that tells how far a partition has been read.
fn key(source: SourcePartition, reached: Reached) -> Vec<u8> {
    let numbers = [source.source.to_be_bytes(), source.partition.to_be_bytes()].concat();
    let reached = [reached.clock_ms.to_be_bytes(), reached.next.to_be_bytes()].concat();
    [&[VERSION][..], &numbers, &reached].concat()
}

impl Task {
    /// The partition of the source that it reads has been read up to this offset, if it reads one.
    pub fn read_to(&mut self, next: i64) {
        self.read_to = Some(next);
    }

    /// How far a partition of a source has been read, as far as that is known from the exchange that an input reads; all rows before it
    /// that come to this input were released.
    pub fn heard(&self, port: Port, source: SourcePartition) -> Option<Reached> {
        self.inputs[port.0].heard.0.get(&source).copied()
    }

    /// Has it written to all partitions of its exchanges how far its source has been read, if that has changed.
    pub(super) fn mark_progress(&mut self, now_ms: i64) {
        let (Some(source), Some(next)) = (self.source(Port(0)), self.read_to) else { return };
        let reached = Reached { clock_ms: self.clocks.get(source).unwrap_or(i64::MIN), next };
        if !self.marks_progress || self.exchanges_rows || self.marked_progress == Some(reached) {
            return;
        }
        self.mark(&key(source, reached), now_ms);
        self.marked_progress = Some(reached);
    }

    /// Remembers what the records of an exchange tell that have no value: stream times, or how far sources have been read, which is
    /// known once the rows before are released; a task that does not keep them processes the batch before anybody asks.
    pub(super) fn hear(&mut self, port: Port, raw: &RawBatch) {
        let (Some(keys), Some(values)) = (&raw.keys, &raw.values) else { return };
        if !self.reads_exchange(port) || values.null_count() == 0 {
            return;
        }
        for row in (0..raw.len()).filter(|row| values.is_null(*row) && keys.is_valid(*row)) {
            match Clocks::from_bytes(keys.value(row)) {
                Some(clocks) => drop(self.told.advance_all(&clocks)),
                None => {
                    let input = &mut self.inputs[port.0];
                    let known = if self.merges { &mut input.told } else { &mut input.heard };
                    known.hear(keys.value(row));
                }
            }
        }
    }

    /// Whether a record of an exchange is no row: it has no value, and what its key tells is not a key of the exchange.
    pub(super) fn is_mark(&self, port: Port, raw: &RawBatch, offset: i64) -> bool {
        let is_null = |row: usize| raw.values.as_ref().is_some_and(|values| values.is_null(row));
        self.reads_exchange(port) && raw.offsets.binary_search(&offset).is_ok_and(is_null)
    }

    /// The rows of an input were all released, and so was what the records tell.
    pub(super) fn release_progress(&mut self, port: Port) {
        let input = &mut self.inputs[port.0];
        input.heard.extend(std::mem::take(&mut input.told));
    }

    /// Has a record with this key and without a value written to all partitions of its exchanges.
    pub(super) fn mark(&mut self, key: &[u8], now_ms: i64) {
        for (output, topic) in self.outputs.iter().zip(&self.stage.outputs) {
            let partitions: Vec<i32> = (0..output.partitions()).filter(|_| topic.exchange.is_some()).collect();
            if !partitions.is_empty() {
                self.commands.push_back(Command::Log(OutBatch {
                    topic: topic.sink.topic.as_str().into(),
                    keys: BinaryArray::from_iter_values(partitions.iter().map(|_| key)),
                    values: BinaryArray::new_null(partitions.len()),
                    timestamps_ms: Some(vec![now_ms; partitions.len()].into()),
                    partitions: Some(partitions.into()),
                    headers: None,
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let source = SourcePartition { source: 3, partition: 7 };
        let reached = Reached { clock_ms: -5, next: 99 };
        let mut progress = Progress::default();
        let key = key(source, reached);
        assert_eq!(key.len(), KEY_BYTES);
        progress.hear(&key[1..]);
        progress.hear(&[0; KEY_BYTES]);
        assert_eq!(progress, Progress::default());
        progress.hear(&key);
        assert_eq!(progress.0.get(&source), Some(&reached));
    }
}
