//! The stream time of a join, which its left store keeps beside the rows. It is that of the join alone, so that it does not
//! depend on how far other operators of the task have come.
//!
//! Stream time belongs to a partition of the sources: the partitions of both streams with one number have one, which their rows bring
//! along. Partitions with different numbers may be read by different processes, so whether a row is late depends on its own.

use std::collections::BTreeMap;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;
use headwater_state::Store;

use crate::clocks::LAG_MS;

/// How far the join has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// The stream times, by the numbers of partitions.
    partitions: BTreeMap<i32, Reached>,
    /// The number of the next row that is kept.
    pub next_number: u64,
}

/// How far partitions with one number have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The highest event time of the rows of both inputs so far, in ms since the epoch.
    pub stream_ms: i64,
    /// The time until which rows do not wait any longer, in ms of stream time: all that waited until an earlier one were emitted.
    pub settled_ms: i64,
}

/// The first byte of the value.
const VERSION: u8 = 2;

impl Time {
    /// Its window in the store, which never expires. The key is empty.
    pub const WINDOW: i64 = i64::MAX;

    /// How far the partitions with a number have come; `None` before their first row.
    pub fn of(&self, partition: i32) -> Option<Reached> {
        self.partitions.get(&partition).copied()
    }

    /// The numbers of partitions, and how far these have come.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Reached)> {
        self.partitions.iter().map(|(partition, reached)| (*partition, *reached))
    }

    /// The partitions with a number have come to a stream time.
    pub fn advance(&mut self, partition: i32, stream_ms: i64) {
        let reached = self.partitions.entry(partition).or_insert(Reached { stream_ms, settled_ms: i64::MIN });
        reached.stream_ms = reached.stream_ms.max(stream_ms);
    }

    /// No row waits any longer for a stream time that its own partitions and, as far as `passed_ms` tells, those elsewhere have
    /// passed.
    pub fn settle_all(&mut self, passed_ms: i64) {
        let all_passed_ms = self.passed_ms(passed_ms);
        for reached in self.partitions.values_mut() {
            // Those that are far behind do not hold back what is dropped.
            let settled_ms = reached.stream_ms.min(passed_ms).max(all_passed_ms);
            reached.settled_ms = reached.settled_ms.max(settled_ms);
        }
    }

    /// The stream time that all partitions have passed, of which `passed_ms` is known for those that this task does not know. Those that
    /// are far behind do not count.
    pub fn passed_ms(&self, passed_ms: i64) -> i64 {
        let times = || self.partitions.values().map(|reached| reached.stream_ms);
        let (slowest, latest) = (times().min().unwrap_or(i64::MIN), times().max().unwrap_or(i64::MIN));
        slowest.max(latest.saturating_sub(LAG_MS)).min(passed_ms)
    }

    /// Reads it from the store.
    pub fn read(store: &dyn Store) -> Result<Self, ArrowError> {
        let values = store.get(Self::WINDOW, &BinaryArray::from_vec(vec![b""]))?;
        if values.is_null(0) {
            return Ok(Self::default());
        }
        let damaged = || ArrowError::ParseError("the stream time of a join is damaged".to_owned());
        Self::split(values.value(0)).ok_or_else(damaged)
    }

    fn split(value: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = value.split_first()? else { return None };
        let (number, rest) = rest.split_first_chunk()?;
        let (partitions, rest) = rest.as_chunks::<20>();
        let reached = |bytes: &[u8; 20]| {
            let (partition, rest) = bytes.split_first_chunk()?;
            let (stream_ms, settled_ms) = rest.split_first_chunk()?;
            let (stream_ms, settled_ms) = (i64::from_be_bytes(*stream_ms), settled_ms.try_into().ok()?);
            Some((i32::from_be_bytes(*partition), Reached { stream_ms, settled_ms: i64::from_be_bytes(settled_ms) }))
        };
        let partitions = partitions.iter().map(reached).collect::<Option<_>>()?;
        rest.is_empty().then(|| Self { partitions, next_number: u64::from_be_bytes(*number) })
    }

    /// Writes it to the store.
    pub fn write(&self, store: &mut dyn Store) {
        if self.partitions.is_empty() {
            return;
        }
        let mut value = vec![VERSION];
        value.extend(self.next_number.to_be_bytes());
        for (partition, Reached { stream_ms, settled_ms }) in self.iter() {
            value.extend(partition.to_be_bytes());
            value.extend(stream_ms.to_be_bytes());
            value.extend(settled_ms.to_be_bytes());
        }
        store.put(Self::WINDOW, &BinaryArray::from_vec(vec![b""]), &BinaryArray::from_vec(vec![&value]));
    }
}

#[cfg(test)]
mod tests {
    use headwater_state::MemoryStore;

    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        let (mut time, mut store) = (Time { next_number: 7, ..Time::default() }, MemoryStore::default());
        time.write(&mut store);
        assert_eq!(Time::read(&store).ok(), Some(Time::default()));
        for (partition, stream_ms) in [(0, 50), (3, -9), (0, 40)] {
            time.advance(partition, stream_ms);
        }
        time.settle_all(30);
        time.write(&mut store);
        assert_eq!(Time::read(&store).ok().as_ref(), Some(&time));
        assert_eq!(time.of(0), Some(Reached { stream_ms: 50, settled_ms: 30 }));
    }

    #[test]
    fn the_slowest_partition_that_is_not_far_behind_decides() {
        let mut time = Time::default();
        time.advance(0, 500);
        assert_eq!([time.passed_ms(i64::MAX), time.passed_ms(20)], [500, 20]);
        time.advance(1, 300);
        assert_eq!(time.passed_ms(i64::MAX), 300);
        time.advance(0, 900 + LAG_MS);
        assert_eq!(time.passed_ms(i64::MAX), 900);
    }
}
