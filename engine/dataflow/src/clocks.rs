//! Stream time, which is kept for each partition of the query's sources.
//!
//! A row that passes an exchange takes the stream time of its own partition along. So whether a row is late depends on the
//! rows before it in its partition alone, and not on the speed at which partitions are read.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::Int64Array;

use crate::chunk::Chunk;

/// How far a partition may be behind others and still have state kept for it to which it did not contribute, in ms of stream time: a
/// day.
pub const LAG_MS: i64 = 24 * 60 * 60 * 1_000;

/// A partition of one of the sources of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePartition {
    /// The index of the source among those of the topology.
    pub source: i32,
    /// The number of its partition.
    pub partition: i32,
}

/// The stream times that a task knows: for each partition the highest event time of its rows so far, in ms since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    times_ms: BTreeMap<SourcePartition, i64>,
    /// The lowest stream time of a partition that has records which were not read yet, `i64::MIN` if none of it was; `None` if there
    /// is no such partition.
    held_ms: Option<i64>,
    /// Whether any partition may have such records by now.
    is_unsure: bool,
    /// Whether rows of a partition may come in another order than its own.
    wavers: bool,
    /// The stream times of partitions at the row that came last, if others had come before that are later in the partition.
    at_row_ms: BTreeMap<SourcePartition, i64>,
    /// The stream times when [`Self::hold`] was called last: rows from before have all come, as far as nothing is held.
    settled_ms: BTreeMap<SourcePartition, i64>,
}

impl Clocks {
    /// Advances the stream time of a partition, and returns it.
    pub fn advance(&mut self, partition: SourcePartition, time_ms: i64) -> i64 {
        let known = self.times_ms.entry(partition).or_insert(time_ms);
        *known = (*known).max(time_ms);
        *known
    }

    /// From now on rows of a partition may come in another order than its own, each with its stream time: they have passed several
    /// exchanges, on different ways.
    pub fn waver(&mut self) {
        self.wavers = true;
    }

    /// A row is next, at which the stream time of its partition is this: what had come before may be later in the partition.
    pub fn expect(&mut self, partition: SourcePartition, time_ms: i64) {
        if self.wavers && self.get(partition).is_some_and(|known_ms| known_ms > time_ms) {
            self.go_back(partition, time_ms);
        }
    }

    /// Has the stream time of a partition be that of a row, but not before what was settled. Returns it.
    fn go_back(&mut self, partition: SourcePartition, time_ms: i64) -> i64 {
        let settled_ms = self.settled_ms.get(&partition).copied().unwrap_or(i64::MIN);
        let at_row_ms = time_ms.max(self.held_ms.unwrap_or(i64::MAX).min(settled_ms));
        self.at_row_ms.insert(partition, at_row_ms);
        at_row_ms
    }

    /// Advances the stream time of the partition of a row that has come, and returns what it is at the row.
    pub fn arrive(&mut self, partition: SourcePartition, time_ms: i64) -> i64 {
        let known_ms = self.advance(partition, time_ms);
        if self.wavers && known_ms > time_ms {
            return self.go_back(partition, time_ms);
        }
        self.at_row_ms.remove(&partition);
        known_ms
    }

    /// Everything has come that is to come before the end of an epoch: the stream times are those of the latest rows again.
    pub fn settle(&mut self) {
        self.is_unsure = false;
        self.at_row_ms.clear();
    }

    /// Until this is called again, what rows after this stream time may still be added to stays open and is kept: there is a partition
    /// that has more of them.
    pub fn hold(&mut self, held_ms: Option<i64>) {
        self.held_ms = held_ms;
        if self.wavers {
            self.settled_ms.clone_from(&self.times_ms);
        }
        self.settle();
    }

    /// Until [`Self::hold`] is called again, any partition may have records that were not read yet, which stay welcome in everything
    /// that is open.
    pub fn doubt(&mut self) {
        self.is_unsure = true;
    }

    /// Whether any partition may have records that were not read yet.
    pub fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// Replaces the stream times by those of others.
    pub fn restore(&mut self, others: Self) {
        self.times_ms = others.times_ms;
    }

    /// The lowest stream time of a partition that has records which were not read yet; `None` if there is no such partition.
    pub fn held(&self) -> Option<i64> {
        self.held_ms
    }

    /// Whether all stream times are those of others.
    pub fn has_times_of(&self, others: &Self) -> bool {
        self.times_ms == others.times_ms
    }

    /// The stream time that all partitions have passed, as far as is known.
    pub fn slowest(&self) -> Option<i64> {
        let known_ms = self.times_ms.values().chain(self.at_row_ms.values()).copied().min()?;
        Some(self.held_ms.map_or(known_ms, |held_ms| held_ms.min(known_ms)))
    }

    /// Advances the stream times of all partitions to those of others that are higher. Returns whether any was.
    pub fn advance_all(&mut self, others: &Self) -> bool {
        let mut is_any = false;
        for (partition, time_ms) in others.iter() {
            is_any |= self.get(partition).is_none_or(|known| known < time_ms);
            self.advance(partition, time_ms);
        }
        is_any
    }

    /// Advances the stream times with the rows of a chunk. `own` is their source partition if they do not know it.
    pub fn advance_with(&mut self, chunk: &Chunk, own: SourcePartition) {
        let times = chunk.clocks_ms.as_ref().unwrap_or(&chunk.times_ms);
        for (source, rows) in runs(chunk, own) {
            let first_ms = times.value(rows.start);
            self.advance(source, times.values()[rows].iter().fold(first_ms, |latest, time_ms| latest.max(*time_ms)));
        }
    }

    /// Advances the stream times with the rows of a chunk one after the other. Returns the stream time of each row's partition at
    /// that row.
    pub fn advance_by_row(&mut self, chunk: &Chunk, own: SourcePartition) -> Int64Array {
        let mut reached = Vec::with_capacity(chunk.len());
        for (source, rows) in runs(chunk, own) {
            let times = &chunk.times_ms.values()[rows.clone()];
            // Rows of an exchange know it. The times that its columns were changed to may be later.
            let given = chunk.clocks_ms.as_ref().map(|clocks| &clocks.values()[rows]);
            let mut clock_ms = self.times_ms.get(&source).copied().unwrap_or(i64::MIN);
            for (row, time_ms) in times.iter().enumerate() {
                let given = given.map(|given| given[row].max(*time_ms));
                clock_ms = clock_ms.max(given.unwrap_or(*time_ms));
                reached.push(given.unwrap_or(clock_ms));
            }
            self.advance(source, clock_ms);
        }
        reached.into()
    }

    /// The stream time of a partition; `None` before its first row.
    pub fn get(&self, partition: SourcePartition) -> Option<i64> {
        self.at_row_ms.get(&partition).or_else(|| self.times_ms.get(&partition)).copied()
    }

    /// The highest stream time; `None` before the first row.
    pub fn latest(&self) -> Option<i64> {
        self.times_ms.values().copied().max()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SourcePartition, i64)> {
        self.times_ms.iter().map(|(partition, time_ms)| (*partition, *time_ms))
    }

    /// The bytes in which they are stored: 16 for each partition, with its source, its number and its time, each with the most
    /// significant byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = |(partition, time_ms): (SourcePartition, i64)| {
            let SourcePartition { source, partition } = partition;
            [&source.to_be_bytes()[..], &partition.to_be_bytes(), &time_ms.to_be_bytes()].concat()
        };
        self.iter().flat_map(bytes).collect()
    }

    /// Reads what [`Self::to_bytes`] returned; `None` if the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<16>();
        let read = |bytes: &[u8; 16]| {
            let (source, rest) = bytes.split_first_chunk::<4>()?;
            let (partition, time_ms) = rest.split_first_chunk::<4>()?;
            let (source, partition) = (i32::from_be_bytes(*source), i32::from_be_bytes(*partition));
            Some((SourcePartition { source, partition }, i64::from_be_bytes(time_ms.try_into().ok()?)))
        };
        let times_ms = if rest.is_empty() { chunks.iter().map(read).collect::<Option<_>>() } else { None };
        times_ms.map(|times_ms| Self { times_ms, ..Self::default() })
    }
}

/// The rows of a chunk in runs from one source partition. `own` is that of rows that do not know it.
fn runs(chunk: &Chunk, own: SourcePartition) -> Vec<(SourcePartition, Range<usize>)> {
    let Some(origins) = &chunk.origins else {
        return if chunk.is_empty() { Vec::new() } else { vec![(own, 0..chunk.len())] };
    };
    let (sources, partitions) = (origins.sources.values(), origins.partitions.values());
    let mut runs: Vec<(SourcePartition, Range<usize>)> = Vec::new();
    for (row, (source, partition)) in sources.iter().zip(partitions).enumerate() {
        let source = SourcePartition { source: *source, partition: *partition };
        match runs.last_mut() {
            Some((last, rows)) if *last == source => rows.end = row + 1,
            _ => runs.push((source, row..row + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whether a row is late depends on the rows before it in its partition, whichever way they come, but what has been settled
    /// stays so. Method: rows of a partition that overtake each other.
    #[test]
    fn a_row_has_its_own_stream_time() {
        let one = SourcePartition { source: 0, partition: 1 };
        let mut clocks = Clocks::default();
        clocks.waver();
        assert_eq!([5, 90, 20, 30].map(|time_ms| clocks.arrive(one, time_ms)), [5, 90, 20, 30]);
        assert_eq!((clocks.get(one), clocks.slowest(), clocks.latest()), (Some(30), Some(30), Some(90)));
        clocks.expect(one, 10);
        assert_eq!((clocks.get(one), clocks.arrive(one, 10), clocks.iter().next()), (Some(10), 10, Some((one, 90))));
        clocks.hold(Some(40));
        assert_eq!((clocks.get(one), clocks.slowest()), (Some(90), Some(40)));
        assert_eq!([10, 100, 50].map(|time_ms| clocks.arrive(one, time_ms)), [40, 100, 50], "up to 40 all had come");
        clocks.hold(None);
        assert_eq!([50, 110].map(|time_ms| clocks.arrive(one, time_ms)), [100, 110], "all had come");
    }

    #[test]
    fn a_clock_never_goes_back() {
        let [one, other] = [(0, 1), (1, 1)].map(|(source, partition)| SourcePartition { source, partition });
        let mut clocks = Clocks::default();
        assert_eq!(clocks.latest(), None);
        assert_eq!([5, -3, 9].map(|time| clocks.advance(one, time)), [5, 5, 9]);
        clocks.advance(other, i64::MIN);
        assert_eq!((clocks.get(one), clocks.get(other), clocks.latest()), (Some(9), Some(i64::MIN), Some(9)));
        assert_eq!(Clocks::from_bytes(&clocks.to_bytes()), Some(clocks.clone()));
        assert_eq!(Clocks::from_bytes(&clocks.to_bytes()[1..]), None);
        clocks.advance(other, 20);
        let slowest = [None, Some(4), Some(30)].map(|held_ms| {
            clocks.hold(held_ms);
            clocks.slowest()
        });
        assert_eq!(slowest, [Some(9), Some(4), Some(9)]);
    }
}
