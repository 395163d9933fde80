//! The outline of a closed segment: what is known of it, in a file beside it, so that the segment need not be read when the log is opened.
//!
//! Separate because it is a format of its own. An outline only saves time: one that is missing, damaged, of another version or of another
//! length than the segment is ignored, and the segment is read. It is written after the segment was forced to the disk.
//!
//! ```text
//! checksum of all that follows                  4 bytes
//! version, length of the facts                  1 byte, 4 bytes
//! facts                                         JSON: lengths, times, producers, transactions
//! entries of the index                          24 bytes each: offset, position, time
//! ```

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};

use super::index::{Entry, SparseIndex};
use super::medium::Medium;
use super::partition::{Log, State};
use super::producers::Producers;
use super::segment::Segment;
use super::transactions::{Aborted, OpenTransactions};

const VERSION: u8 = 1;
/// The checksum, the version and the length of the facts.
const HEAD_BYTES: usize = 9;

/// What is known of a closed segment.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub(super) facts: Facts,
    pub(super) index: SparseIndex,
}

/// What is known of a closed segment besides its index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) bytes: u64,
    pub(super) next_offset: i64,
    pub(super) first_ms: Option<i64>,
    max_timestamp_ms: i64,
    /// The aborted transactions that end in it.
    pub(super) aborted: Vec<Aborted>,
    /// The state at its end; `None` if the one after it has it.
    pub(super) ended: Option<Arc<EndState>>,
}

/// The state of a log at the end of a segment, without what the segments tell themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndState {
    pub(super) producers: Producers,
    pub(super) open: OpenTransactions,
}

impl Outline {
    fn of(segment: &Segment, aborted: Vec<Aborted>) -> Outline {
        let facts = Facts {
            bytes: segment.length,
            next_offset: segment.next_offset,
            first_ms: segment.first_ms,
            max_timestamp_ms: segment.index.max_timestamp_ms(),
            aborted,
            ended: segment.ended.clone(),
        };
        Outline { facts, index: segment.index.clone() }
    }

    /// The outline of a segment, if there is one that fits.
    pub(super) fn read(medium: &Medium, index_interval_bytes: u64) -> Option<Outline> {
        let bytes = medium.read_beside().ok()??;
        let outline = Outline::parse(&bytes, index_interval_bytes)?;
        (medium.length().ok()? == outline.facts.bytes).then_some(outline)
    }

    fn parse(bytes: &[u8], index_interval_bytes: u64) -> Option<Outline> {
        let (mut head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let (checksum, version, length) = (head.get_u32(), head.get_u8(), head.get_u32());
        if version != VERSION || crc32c::crc32c(&bytes[4..]) != checksum {
            return None;
        }
        let (facts, entries) = rest.split_at_checked(length as usize)?;
        let facts: Facts = serde_json::from_slice(facts).ok()?;
        let entries = entries.chunks_exact(Entry::BYTES).map(Entry::from_bytes).collect();
        let index = SparseIndex::with_entries(entries, index_interval_bytes, facts.max_timestamp_ms);
        Some(Outline { facts, index })
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let facts = serde_json::to_vec(&self.facts)?;
        let entries = self.index.entries();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + facts.len() + entries.len() * Entry::BYTES);
        bytes.put_u32(0); // the checksum, set below
        bytes.put_u8(VERSION);
        bytes.put_u32(u32::try_from(facts.len()).map_err(io::Error::other)?);
        bytes.extend(facts);
        entries.iter().for_each(|entry| entry.write(&mut bytes));
        let checksum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_be_bytes());
        Ok(bytes)
    }
}

impl Log {
    /// Writes the outlines of closed segments that have none yet. Appends and reads go on meanwhile.
    pub(crate) fn write_outlines(&self) -> io::Result<()> {
        loop {
            let Some((medium, outline)) = self.state.lock().next_outline() else { return Ok(()) };
            // What is removed meanwhile needs none.
            let written = medium.sync().and_then(|()| medium.write_beside(&outline.to_bytes()?));
            if medium.exists() {
                written?;
            }
            let mut state = self.state.lock();
            let segments = state.segments.iter_mut().filter(|segment| Arc::ptr_eq(&segment.medium, &medium));
            segments.for_each(|segment| segment.is_outlined = true);
        }
    }
}

impl State {
    /// The first closed segment without an outline. A segment with damage gets none: its damage is reported at each start.
    fn next_outline(&self) -> Option<(Arc<Medium>, Outline)> {
        let (_, closed) = self.segments.split_last()?;
        let is_missing = |segment: &&Segment| {
            !segment.is_outlined && !segment.is_unsound && segment.damages.is_empty() && segment.medium.is_file()
        };
        let segment = closed.iter().find(is_missing).filter(|_| self.closed.is_none())?;
        let aborted = self.transactions.aborted_that_end(segment.base_offset, segment.next_offset);
        Some((Arc::clone(&segment.medium), Outline::of(segment, aborted)))
    }

    /// The state at the end of the log.
    pub(super) fn end_state(&self) -> Arc<EndState> {
        Arc::new(EndState { producers: self.producers.clone(), open: self.transactions.open().clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let mut index = SparseIndex::new(10);
        (0..100).for_each(|at| index.add(at, at as u64 * 7, at % 13));
        let aborted = vec![Aborted { producer_id: 1, first_offset: 2, last_offset: 3 }];
        let (max_timestamp_ms, ended) = (index.max_timestamp_ms(), Some(Arc::default()));
        let facts = Facts { bytes: 700, next_offset: 100, first_ms: Some(5), max_timestamp_ms, aborted, ended };
        Outline { facts, index }
    }

    #[test]
    fn what_is_written_is_read() {
        let outline = outline();
        let read = Outline::parse(&outline.to_bytes().expect("writes"), 10).expect("is whole");
        assert_eq!(read.facts, outline.facts);
        for offset in 0..100 {
            assert_eq!(read.index.position_of(offset), outline.index.position_of(offset));
            assert_eq!(read.index.position_of_time(offset), outline.index.position_of_time(offset));
        }
    }

    #[test]
    fn one_that_is_damaged_is_none() {
        let bytes = outline().to_bytes().expect("writes");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Outline::parse(&damaged, 10).is_none(), "byte {at}");
            assert!(Outline::parse(&bytes[..at], 10).is_none(), "cut at {at}");
        }
    }
}
