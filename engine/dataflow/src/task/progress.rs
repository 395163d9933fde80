//! How far the sources of a query have been read, which tasks tell each other through the topics of exchanges: records without a
//! value, in the transaction with the rows before them. So whoever has read such a record has all rows up to it.
//!
//! ```text
//! a task that reads a source         1, the partition and how far it has been read
//! task t of n between two exchanges  2, t, n, and each partition with how far it has been told that it was read
//! ```
//!
//! Rows of one partition reach an exchange through all n tasks, so it has been read as far as the last of them says.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, BinaryArray};
use headwater_formats::record::{OutBatch, RawBatch};

use super::Task;
use crate::clocks::{Clocks, SourcePartition};
use crate::command::Command;
use crate::operator::Port;
use crate::output::Output;

/// How far a partition of a source has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its stream time, in ms since the epoch; `i64::MIN` before its first row.
    pub clock_ms: i64,
    /// The next offset.
    pub next: i64,
}

/// How far partitions of sources have been read, as each of the tasks says that pass their rows on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress(BTreeMap<SourcePartition, Told>);

/// What so many tasks say of one partition, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    tellers: u32,
    reached: BTreeMap<u32, Reached>,
}

/// The first byte of the key of the record of a task that reads a source. No key of such a record is as long as one of stream times
/// ([`Clocks`](crate::Clocks)), which is a multiple of 16.
const BY_READER: u8 = 1;
/// That of a task between two exchanges.
const BY_OTHER: u8 = 2;
/// The length of what a key says of one partition.
const PARTITION_BYTES: usize = 4 + 4 + 8 + 8;

impl Reached {
    /// As far as both.
    fn and(self, other: Self) -> Self {
        Self { clock_ms: self.clock_ms.min(other.clock_ms), next: self.next.min(other.next) }
    }
}

impl Progress {
    /// Learns what others know.
    pub(super) fn extend(&mut self, others: Self) {
        for (source, told) in others.0 {
            for (teller, reached) in told.reached {
                self.insert(source, (teller, told.tellers), reached);
            }
        }
    }

    /// Learns what one of several tasks says.
    fn insert(&mut self, source: SourcePartition, (teller, tellers): (u32, u32), reached: Reached) {
        if teller < tellers {
            let told = self.0.entry(source).or_default();
            told.tellers = tellers;
            told.reached.insert(teller, reached);
        }
    }

    /// How far a partition has been read; `None` if that is not known of all tasks that pass its rows on.
    fn reached(&self, source: SourcePartition) -> Option<Reached> {
        let told = self.0.get(&source).filter(|told| told.reached.len() == told.tellers as usize)?;
        told.reached.values().copied().reduce(Reached::and)
    }

    /// The partitions of which it is known how far they have been read.
    fn iter(&self) -> impl Iterator<Item = (SourcePartition, Reached)> {
        self.0.keys().filter_map(|source| Some((*source, self.reached(*source)?)))
    }

    /// The stream times of the partitions, of those that had rows.
    pub(super) fn clocks(&self) -> impl Iterator<Item = (SourcePartition, i64)> {
        let clocks = self.iter().map(|(source, reached)| (source, reached.clock_ms));
        clocks.filter(|(_, clock_ms)| *clock_ms > i64::MIN)
    }

    /// Learns from a record without a value, if it is one of these.
    fn hear(&mut self, key: &[u8]) {
        let (teller, partitions) = match key.split_first() {
            Some((&BY_READER, partition)) if partition.len() == PARTITION_BYTES => ((0, 1), partition),
            Some((&BY_OTHER, rest)) => match rest.split_first_chunk() {
                Some((teller, partitions)) => (numbers(*teller), partitions),
                None => return,
            },
            _ => return,
        };
        let (partitions, []) = partitions.as_chunks::<PARTITION_BYTES>() else { return };
        for (source, reached) in partitions.iter().map(partition) {
            self.insert(source, teller, reached);
        }
    }
}

/// The numbers of a task and of all of them.
fn numbers(bytes: [u8; 8]) -> (u32, u32) {
    let numbers = u64::from_be_bytes(bytes);
    ((numbers >> 32) as u32, numbers as u32)
}

/// What a key says of a partition.
fn partition(bytes: &[u8; PARTITION_BYTES]) -> (SourcePartition, Reached) {
    let number = |at: usize| i32::from_be_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let time = |at: usize| i64::from_be_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    (SourcePartition { source: number(0), partition: number(4) }, Reached { clock_ms: time(8), next: time(16) })
}

/// The bytes of what a key says of a partition.
fn bytes(source: SourcePartition, reached: Reached) -> Vec<u8> {
    let numbers = [source.source.to_be_bytes(), source.partition.to_be_bytes()].concat();
    let reached = [reached.clock_ms.to_be_bytes(), reached.next.to_be_bytes()].concat();
    [numbers, reached].concat()
}

/// The key of the record of a task that reads a partition.
fn key_of_reader(source: SourcePartition, reached: Reached) -> Vec<u8> {
    [vec![BY_READER], bytes(source, reached)].concat()
}

/// The key of the record of a task between two exchanges, which is the one with this number of so many.
fn key_of_other(teller: i32, tellers: i32, told: &[(SourcePartition, Reached)]) -> Vec<u8> {
    let partitions = told.iter().flat_map(|(source, reached)| bytes(*source, *reached)).collect();
    [vec![BY_OTHER], teller.to_be_bytes().into(), tellers.to_be_bytes().into(), partitions].concat()
}

impl Task {
    /// The partition of the source that it reads has been read up to this offset, if it reads one.
    pub fn read_to(&mut self, next: i64) {
        self.read_to = Some(next);
    }

    /// How far a partition of a source has been read, as far as that is known from the exchange that an input reads; all rows before it
    /// that come to this input were released.
    pub fn heard(&self, port: Port, source: SourcePartition) -> Option<Reached> {
        self.inputs[port.0].heard.reached(source)
    }

    /// Has it written to all partitions of its exchanges how far its sources have been read, if that has changed.
    pub(super) fn mark_progress(&mut self, now_ms: i64) {
        if !self.marks_progress || self.exchanges_rows {
            return;
        }
        let is_reader = self.source(Port(0)).is_some();
        let reached = if is_reader { self.read_itself().into_iter().collect() } else { self.heard_by_all() };
        let Some((source, first)) = reached.first().filter(|_| reached != self.marked_progress) else { return };
        let key = if is_reader {
            key_of_reader(*source, *first)
        } else {
            let tellers = self.outputs.iter().map(Output::partitions).max().unwrap_or(0);
            key_of_other(self.partition, tellers, &reached)
        };
        self.mark(&key, now_ms);
        self.marked_progress = reached;
    }

    /// How far it has read its source, if it was told.
    fn read_itself(&self) -> Option<(SourcePartition, Reached)> {
        let (source, next) = (self.source(Port(0))?, self.read_to?);
        Some((source, Reached { clock_ms: self.clocks.get(source).unwrap_or(i64::MIN), next }))
    }

    /// How far the partitions of sources have been read whose rows have it emit rows, if all of those were processed.
    fn heard_by_all(&self) -> Vec<(SourcePartition, Reached)> {
        let is_between = self.stage.outputs.iter().any(|output| output.exchange.is_some());
        if !is_between || !self.left.is_empty() {
            return Vec::new();
        }
        let drivers = || self.stage.drivers().zip(&self.inputs);
        let of_all = |source: SourcePartition| {
            let behind = drivers().filter(|(input, _)| input.sources.contains(&source.source));
            let reached = behind.map(|(_, input)| input.heard.reached(source));
            Some((source, reached.reduce(|one, other| Some(one?.and(other?))).flatten()?))
        };
        let sources: BTreeSet<_> =
            drivers().flat_map(|(_, input)| input.heard.iter().map(|(source, _)| source)).collect();
        sources.into_iter().filter_map(of_all).collect()
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
        let key = key_of_reader(source, reached);
        progress.hear(&key[1..]);
        progress.hear(&[0; 1 + PARTITION_BYTES]);
        assert_eq!(progress, Progress::default());
        progress.hear(&key);
        assert_eq!(progress.reached(source), Some(reached));
    }

    #[test]
    fn a_partition_has_been_read_as_far_as_all_tasks_say() {
        let [one, other] = [7, 8].map(|partition| SourcePartition { source: 3, partition });
        let [early, late] = [(4, 90), (9, 70)].map(|(clock_ms, next)| Reached { clock_ms, next });
        let mut progress = Progress::default();
        progress.hear(&key_of_other(1, 2, &[(one, early), (other, late)]));
        assert_eq!(progress.iter().count(), 0, "of task 0 nothing is known");
        let mut learnt = Progress::default();
        learnt.hear(&key_of_other(0, 2, &[(one, late)]));
        progress.extend(learnt);
        assert_eq!(progress.iter().collect::<Vec<_>>(), [(one, Reached { clock_ms: 4, next: 70 })]);
        progress.hear(&key_of_other(1, 2, &[(one, late)]));
        assert_eq!(progress.reached(one), Some(late));
        for damaged in
            [&[][..], &[BY_OTHER], &key_of_other(5, 2, &[(one, early)]), &key_of_other(0, 2, &[(one, early)])[1..]]
        {
            progress.hear(damaged);
        }
        assert_eq!(progress.reached(one), Some(late));
    }
}
