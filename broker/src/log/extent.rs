//! How far a log has grown, stored outside of its files.
//!
//! Separate because it is what remains when files are gone: if somebody removed a segment or a folder, it is known to
//! be missing, reading its offsets fails, and none of them is assigned to another record. Offsets are reserved before
//! they are assigned, many at a time, so most batches need no reservation.

use std::fmt::Debug;
use std::io;

use serde::{Deserialize, Serialize};

use crate::topic_partition::TopicPartition;

/// How many offsets are reserved in advance. After a crash with a lost segment, up to this many offsets may be skipped.
const OFFSETS_IN_ADVANCE: i64 = 1 << 16;

/// The extent of a log: what must exist even if files are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extent {
    /// The base offset of the last segment.
    pub(crate) last_segment: i64,
    /// All offsets before this one had been assigned.
    pub(crate) end: i64,
    /// No offset from this one on had been assigned; those between `end` and `bound` may have been.
    pub(crate) bound: i64,
}

/// Stores the extent of a log.
pub(crate) trait ExtentStore: Debug + Send + Sync {
    /// Saves the extent in place of the previous one.
    fn save(&self, extent: Extent) -> io::Result<()>;
}

/// The extent of a log as it was last saved.
#[derive(Debug, Default)]
pub(super) struct ExtentTracker {
    extent_store: Option<Box<dyn ExtentStore>>,
    saved: Option<Extent>,
}

impl ExtentTracker {
    /// Tracks the extent in a store, if there is one, starting with the saved extent.
    pub(super) fn new(extent_store: Option<Box<dyn ExtentStore>>, saved: Option<Extent>) -> ExtentTracker {
        ExtentTracker { extent_store, saved }
    }

    pub(super) fn saved(&self) -> Option<Extent> {
        self.saved
    }

    /// Whether offsets up to `next_end` must be reserved before they are assigned in a segment.
    pub(super) fn must_reserve(&self, segment: i64, next_end: i64) -> bool {
        let covers = |saved: Extent| saved.last_segment == segment && next_end <= saved.bound;
        self.extent_store.is_some() && !self.saved.is_some_and(covers)
    }

    /// Reserves offsets up to `next_end`, and some more, for a segment.
    pub(super) fn reserve(&mut self, last_segment: i64, end: i64, next_end: i64) -> io::Result<()> {
        self.save(Extent { last_segment, end, bound: next_end.max(end.saturating_add(OFFSETS_IN_ADVANCE)) })
    }

    /// Saves the exact end of a log that will not grow for now.
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

/// Offsets whose records are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LostRange {
    pub(super) first_offset: i64,
    /// The first offset after them.
    pub(super) next_offset: i64,
}

impl LostRange {
    pub(super) fn holds(&self, offset: i64) -> bool {
        (self.first_offset..self.next_offset).contains(&offset)
    }

    /// Logs the loss. Called once, where it is found.
    pub(super) fn report(&self, topic_partition: &TopicPartition) {
        tracing::error!(
            topic = topic_partition.topic,
            partition = topic_partition.partition,
            first_offset = self.first_offset,
            next_offset = self.next_offset,
            "records are lost because their segment is missing: reading these offsets fails with CORRUPT_MESSAGE, and \
             they will not be assigned again; to continue without the records, delete all records before next_offset"
        );
    }
}
