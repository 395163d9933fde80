//! One partition's log: records and transaction markers, each with an offset. What a reader sees depends on the
//! transactions that are still open.

use std::collections::{BTreeMap, BTreeSet};

use crate::transport::{Isolation, Watermarks};

/// A transaction, numbered in the order of beginning; never reused.
pub(super) type TransactionId = u64;

/// A record with all its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What is stored at an offset.
#[derive(Clone, Debug)]
enum Entry {
    Record {
        record: Record,
        transaction: Option<TransactionId>,
    },
    /// The end of a transaction in this partition.
    Marker,
}

/// The log of a partition. Offsets that were compacted away have no entry.
#[derive(Debug, Default)]
pub(super) struct Log {
    start: i64,
    end: i64,
    entries: BTreeMap<i64, Entry>,
    /// First offset of each transaction that is open in this log.
    open: BTreeMap<TransactionId, i64>,
    aborted: BTreeSet<TransactionId>,
}

/// What a reader sees next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// A visible record, at this offset.
    Record(i64, &'a Record),
    /// No more visible records before this offset, at which reading continues.
    End(i64),
}

impl Log {
    /// Appends a record and returns its offset.
    pub(super) fn append(&mut self, record: Record, transaction: Option<TransactionId>) -> i64 {
        if let Some(id) = transaction {
            self.open.entry(id).or_insert(self.end);
        }
        self.put(Entry::Record { record, transaction })
    }

    /// Writes a marker that ends a transaction in this log.
    pub(super) fn end_transaction(&mut self, id: TransactionId, committed: bool) {
        if self.open.remove(&id).is_none() {
            return;
        }
        if !committed {
            self.aborted.insert(id);
        }
        self.put(Entry::Marker);
    }

    fn put(&mut self, entry: Entry) -> i64 {
        let offset = self.end;
        self.entries.insert(offset, entry);
        self.end += 1;
        offset
    }

    /// Both ends of the log for this isolation level.
    pub(super) fn watermarks(&self, isolation: Isolation) -> Watermarks {
        let stable = || self.open.values().copied().min().unwrap_or(self.end);
        let end = match isolation {
            Isolation::ReadCommitted => stable(),
            Isolation::ReadUncommitted => self.end,
        };
        Watermarks { start: self.start, end: end.max(self.start) }
    }

    /// The first visible record at or after `offset`.
    pub(super) fn next(&self, offset: i64, isolation: Isolation) -> Seen<'_> {
        let Watermarks { start, end } = self.watermarks(isolation);
        let from = offset.max(start);
        let visible = self.entries.range(from..end.max(from)).find_map(|(offset, entry)| match entry {
            Entry::Record { record, transaction } if self.is_visible(*transaction, isolation) => {
                Some((*offset, record))
            }
            _ => None,
        });
        visible.map_or(Seen::End(end.max(from)), |(offset, record)| Seen::Record(offset, record))
    }

    fn is_visible(&self, transaction: Option<TransactionId>, isolation: Isolation) -> bool {
        isolation == Isolation::ReadUncommitted || !transaction.is_some_and(|id| self.aborted.contains(&id))
    }

    /// The offset of the first record at or after a time.
    pub(super) fn offset_for_time(&self, time_ms: i64) -> Option<i64> {
        let end = self.watermarks(Isolation::ReadCommitted).end;
        self.entries.range(self.start..end).find_map(|(offset, entry)| match entry {
            Entry::Record { record, .. } if record.timestamp_ms >= time_ms => Some(*offset),
            _ => None,
        })
    }

    /// Deletes all records below `offset`.
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start = offset.clamp(self.start, self.end);
        self.entries = self.entries.split_off(&self.start);
    }

    /// Removes the records at and after `offset`, as when a replica that never had them becomes the leader.
    pub(super) fn truncate(&mut self, offset: i64) {
        self.end = offset.clamp(self.start, self.end);
        drop(self.entries.split_off(&self.end));
        self.open.retain(|_, first| *first < self.end);
    }

    /// Removes markers and the records that a later one of the same key supersedes: the result of complete compaction.
    /// Offsets after the last stable one are not touched.
    pub(super) fn compact(&mut self) {
        let end = self.watermarks(Isolation::ReadCommitted).end;
        let mut latest = BTreeSet::new();
        let mut gone = Vec::new();
        for (offset, entry) in self.entries.range(..end).rev() {
            let keep = match entry {
                Entry::Marker => false,
                Entry::Record { transaction, .. } if !self.is_visible(*transaction, Isolation::ReadCommitted) => false,
                Entry::Record { record, .. } => record.key.as_ref().is_none_or(|key| latest.insert(key)),
            };
            if !keep {
                gone.push(*offset);
            }
        }
        for offset in gone {
            self.entries.remove(&offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, timestamp_ms: i64) -> Record {
        Record { timestamp_ms, key: Some(key.into()), value: None, headers: Vec::new() }
    }

    fn offsets(log: &Log, isolation: Isolation) -> Vec<i64> {
        let mut offsets = Vec::new();
        let mut at = 0;
        while let Seen::Record(offset, _) = log.next(at, isolation) {
            offsets.push(offset);
            at = offset + 1;
        }
        offsets
    }

    #[test]
    fn open_transactions_hold_the_last_stable_offset() {
        let mut log = Log::default();
        log.append(record("a", 1), None);
        log.append(record("b", 2), Some(7));
        log.append(record("c", 3), None);
        assert_eq!(log.watermarks(Isolation::ReadCommitted).end, 1);
        assert_eq!(log.watermarks(Isolation::ReadUncommitted).end, 3);
        log.end_transaction(7, true);
        assert_eq!(log.watermarks(Isolation::ReadCommitted).end, 4);
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [0, 1, 2]);
    }

    #[test]
    fn aborted_records_are_hidden_and_markers_always() {
        let mut log = Log::default();
        log.append(record("a", 1), Some(1));
        log.end_transaction(1, false);
        assert_eq!(offsets(&log, Isolation::ReadCommitted), Vec::<i64>::new());
        assert_eq!(log.next(0, Isolation::ReadCommitted), Seen::End(2));
        assert_eq!(offsets(&log, Isolation::ReadUncommitted), [0]);
    }

    #[test]
    fn compaction_and_deletion_leave_gaps() {
        let mut log = Log::default();
        for (key, time) in [("a", 1), ("b", 2), ("a", 3)] {
            log.append(record(key, time), None);
        }
        log.append(record("a", 4), Some(1));
        log.end_transaction(1, true);
        log.compact();
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [1, 3]);
        log.delete_before(2);
        assert_eq!(log.watermarks(Isolation::ReadCommitted), Watermarks { start: 2, end: 5 });
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [3]);
        assert_eq!(log.offset_for_time(2), Some(3));
        assert_eq!(log.offset_for_time(5), None);
    }
}
