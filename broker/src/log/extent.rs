//! How far a log has got, noted outside of its files.
//!
//! Apart because it is what is left when a file is gone: a segment or a folder that somebody removed is found missing,
//! reading its offsets fails, and none of them is given to another record. An offset is covered by a note before
//! it is given; a note covers many, so most batches need none.

use std::fmt::Debug;
use std::io;

use serde::{Deserialize, Serialize};

use crate::topic_partition::TopicPartition;

/// How many offsets a note covers in advance: after a crash with a lost segment, so many may be left out.
const OFFSETS_IN_ADVANCE: i64 = 1 << 16;

/// What must be there although files may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extent {
    /// Base offset of the last segment.
    pub(crate) last_segment: i64,
    /// Offsets before this one had been given.
    pub(crate) end: i64,
    /// Offsets from this one on had not; those between may have been.
    pub(crate) bound: i64,
}

/// Where notes are kept.
pub(crate) trait Ledger: Debug + Send + Sync {
    /// Keeps a note in place of the former one.
    fn note(&self, extent: Extent) -> io::Result<()>;
}

/// What is noted of a log.
#[derive(Debug, Default)]
pub(super) struct Notes {
    ledger: Option<Box<dyn Ledger>>,
    last: Option<Extent>,
}

impl Notes {
    /// Notes that go to a ledger, if there is one, with the last of them.
    pub(super) fn new(ledger: Option<Box<dyn Ledger>>, last: Option<Extent>) -> Notes {
        Notes { ledger, last }
    }

    pub(super) fn last(&self) -> Option<Extent> {
        self.last
    }

    /// Whether an append up to `next_end` into a segment needs a note first.
    pub(super) fn needs_one(&self, segment: i64, next_end: i64) -> bool {
        let covers = |last: Extent| last.last_segment == segment && next_end <= last.bound;
        self.ledger.is_some() && !self.last.is_some_and(covers)
    }

    /// Notes that offsets up to `next_end`, and some more, may be given in a segment.
    pub(super) fn cover(&mut self, last_segment: i64, end: i64, next_end: i64) -> io::Result<()> {
        self.keep(Extent { last_segment, end, bound: next_end.max(end.saturating_add(OFFSETS_IN_ADVANCE)) })
    }

    /// Notes where a log ends that will not grow for now.
    pub(super) fn settle(&mut self, last_segment: i64, end: i64) -> io::Result<()> {
        let extent = Extent { last_segment, end, bound: end };
        if self.last == Some(extent) { Ok(()) } else { self.keep(extent) }
    }

    fn keep(&mut self, extent: Extent) -> io::Result<()> {
        if let Some(ledger) = &self.ledger {
            ledger.note(extent)?;
            self.last = Some(extent);
        }
        Ok(())
    }
}

/// Offsets whose records are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) first_offset: i64,
    /// The first behind them.
    pub(super) next_offset: i64,
}

impl Lost {
    pub(super) fn holds(&self, offset: i64) -> bool {
        (self.first_offset..self.next_offset).contains(&offset)
    }

    /// Says once, where it is found, what is lost.
    pub(super) fn tell(&self, topic_partition: &TopicPartition) {
        tracing::error!(
            topic = topic_partition.topic,
            partition = topic_partition.partition,
            first_offset = self.first_offset,
            next_offset = self.next_offset,
            "records are lost, their segment is missing: reading these offsets fails with CORRUPT_MESSAGE and they are \
             not given again; to go on without the records, delete those before next_offset"
        );
    }
}
