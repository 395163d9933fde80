//! A sparse index of a segment: finds the approximate position of an offset or a timestamp.
//!
//! Separate because it is small and does no I/O. There is an entry for the first batch after every `interval_bytes`,
//! with the maximum timestamp before it. That maximum never decreases, so a timestamp can be found by binary search
//! although the timestamps in a log are not sorted. The index is kept in memory; that of a
//! closed segment is also in its outline, and that of another one is rebuilt from batch headers.

use bytes::{Buf, BufMut};

/// An entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    base_offset: i64,
    position: u64,
    /// The maximum timestamp of all batches before `position`.
    max_timestamp_before_ms: i64,
}

impl Entry {
    /// The length of an entry in a file.
    pub(crate) const BYTES: usize = 3 * size_of::<i64>();

    /// The entry in so many bytes.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Entry {
        let (base_offset, position, max_timestamp_before_ms) = (bytes.get_i64(), bytes.get_u64(), bytes.get_i64());
        Entry { base_offset, position, max_timestamp_before_ms }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.put_i64(self.base_offset);
        to.put_u64(self.position);
        to.put_i64(self.max_timestamp_before_ms);
    }
}

/// The index of one segment.
#[derive(Clone, Debug)]
pub(crate) struct SparseIndex {
    entries: Vec<Entry>,
    interval_bytes: u64,
    max_timestamp_ms: i64,
    /// Whether the next batch gets an entry, however close it is to the last one.
    due: bool,
}

impl SparseIndex {
    pub(crate) fn new(interval_bytes: u64) -> SparseIndex {
        SparseIndex { entries: Vec::new(), interval_bytes, max_timestamp_ms: i64::MIN, due: true }
    }

    /// The index of a closed segment.
    pub(crate) fn with_entries(entries: Vec<Entry>, interval_bytes: u64, max_timestamp_ms: i64) -> SparseIndex {
        SparseIndex { entries, interval_bytes, max_timestamp_ms, due: false }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds the batch that was appended to the segment.
    pub(crate) fn add(&mut self, base_offset: i64, position: u64, max_timestamp_ms: i64) {
        let far = |last: &Entry| position - last.position >= self.interval_bytes;
        if std::mem::take(&mut self.due) || self.entries.last().is_some_and(far) {
            self.entries.push(Entry { base_offset, position, max_timestamp_before_ms: self.max_timestamp_ms });
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(max_timestamp_ms);
    }

    /// Makes the next batch get its own entry, because the bytes before it cannot be scanned.
    pub(crate) fn force_entry(&mut self) {
        self.due = true;
    }

    /// The maximum timestamp in the segment, `i64::MIN` if it is empty.
    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// The position of the batch that contains `offset`, or of one before it.
    pub(crate) fn position_of(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.base_offset <= offset);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }

    /// The position of the last known batch that begins before the offset `limit` and ends at `end` at the latest; the start if
    /// none is known.
    pub(crate) fn position_within(&self, limit: i64, end: u64) -> u64 {
        let before_limit = self.entries.partition_point(|entry| entry.base_offset < limit);
        // The last entry up to `end` may be of a batch that ends after it; the one before it is not.
        let before_end = self.entries.partition_point(|entry| entry.position <= end).saturating_sub(1);
        before_limit.min(before_end).checked_sub(1).map_or(0, |at| self.entries[at].position)
    }

    /// A position before which every batch is older than `timestamp_ms`.
    pub(crate) fn position_of_time(&self, timestamp_ms: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before_ms < timestamp_ms);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of 10 bytes with these timestamps at offsets 0, 1, 2, …, with an entry every 20 bytes.
    fn index(times_ms: &[i64]) -> SparseIndex {
        let mut index = SparseIndex::new(20);
        for (at, time_ms) in times_ms.iter().enumerate() {
            index.add(at as i64, at as u64 * 10, *time_ms);
        }
        index
    }

    #[test]
    fn an_offset_is_found_from_the_entry_in_front_of_it() {
        let index = index(&[1, 2, 3, 4, 5]);
        assert_eq!([0, 1, 2, 3, 4, 9].map(|offset| index.position_of(offset)), [0, 0, 20, 20, 40, 40]);
    }

    #[test]
    fn a_batch_within_is_whole() {
        let index = index(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            [0, 19, 20, 39, 40, 59, 60, 99].map(|end| index.position_within(9, end)),
            [0, 0, 0, 0, 20, 20, 40, 40]
        );
        assert_eq!([0, 1, 2, 3, 4, 5].map(|limit| index.position_within(limit, 99)), [0, 0, 0, 20, 20, 40]);
    }

    #[test]
    fn times_may_go_back_and_forth() {
        let index = index(&[5, 50, 7, 6, 60, 1]);
        for (time_ms, first) in [(1, 0), (6, 1), (50, 1), (51, 4), (60, 4)] {
            assert!(index.position_of_time(time_ms) <= first * 10, "time {time_ms}");
        }
        assert_eq!(index.position_of_time(51), 40);
        assert_eq!(index.max_timestamp_ms(), 60);
    }

    #[test]
    fn an_empty_index_points_at_the_start() {
        let index = SparseIndex::new(20);
        assert_eq!((index.position_of(5), index.position_of_time(5)), (0, 0));
    }
}
