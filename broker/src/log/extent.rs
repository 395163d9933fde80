//! How far a log has got, saved_extent outside of its files.
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
pub(crate) trait ExtentStore: Debug + Send + Sync {
    /// Keeps a note in place of the former one.
    fn save(&self, extent: Extent) -> io::Result<()>;
}

/// What is saved_extent of a log.
#[derive(Debug, Default)]
pub(super) struct ExtentTracker {
    extent_store: Option<Box<dyn ExtentStore>>,
    saved: Option<Extent>,
}

impl ExtentTracker {
    /// ExtentTracker that go to a extent_store, if there is one, with the last of them.
    pub(super) fn new(extent_store: Option<Box<dyn ExtentStore>>, saved: Option<Extent>) -> ExtentTracker {
        ExtentTracker { extent_store, saved }
    }

    pub(super) fn saved(&self) -> Option<Extent> {
        self.saved
    }

    /// Whether an append up to `next_end` into a segment needs a note first.
    pub(super) fn must_reserve(&self, segment: i64, next_end: i64) -> bool {
        let covers = |saved: Extent| saved.last_segment == segment && next_end <= saved.bound;
        self.extent_store.is_some() && !self.saved.is_some_and(covers)
    }

    /// ExtentTracker that offsets up to `next_end`, and some more, may be given in a segment.
    pub(super) fn reserve(&mut self, last_segment: i64, end: i64, next_end: i64) -> io::Result<()> {
        self.save(Extent { last_segment, end, bound: next_end.max(end.saturating_add(OFFSETS_IN_ADVANCE)) })
    }

    /// ExtentTracker where a log ends that will not grow for now.
    pub(super) fn settle(&mut self, last_segment: i64, end: i64) -> io::Result<()> {
        let extent = Extent { last_segment, end, bound: end };
        if self.saved == Some(extent) { Ok(()) } else { self.save(extent) }
    }

    fn save(&mut self, extent: Extent) -> io::Result<()> {
        if let Some(extent_store) = &self.extent_store {
            extent_store.save(extent)?;
            self.saved = Some(extent);
        }
        Ok(())
    }
}

/// Offsets whose records are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LostRange {
    pub(super) first_offset: i64,
    /// The first behind them.
    pub(super) next_offset: i64,
}

impl LostRange {
    pub(super) fn holds(&self, offset: i64) -> bool {
        (self.first_offset..self.next_offset).contains(&offset)
    }

    /// Says once, where it is found, what is lost.
    pub(super) fn report(&self, topic_partition: &TopicPartition) {
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
