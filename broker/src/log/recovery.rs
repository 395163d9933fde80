//! Opening a log that is there already: what one must know is read from the batch headers, a tail
//! that was torn by a crash is trimmed, damage in front of valid batches is kept and saved_extent, and so is what is missing.
//!
//! Apart because it runs once, and because of its one promise: every batch that was acknowledged and is undamaged
//! comes back, and no byte is lost: what is trimmed is kept in a file beside the segment (`*.torn`).

use std::io;

use super::batch::{self, BatchHeader};
use super::damage::{self, Damage};
use super::extent::{Extent, ExtentStore, ExtentTracker, LostRange};
use super::medium::Medium;
use super::partition::{Log, State};
use super::producers::Producers;
use super::segment::{Headers, Segment};
use super::store::SegmentStore;
use super::transactions::PartitionTransactions;
use crate::failure::FailureTracker;
use crate::topic_partition::TopicPartition;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The disk does not let us.
    #[error("could not read {segment}: {cause}")]
    Io {
        /// File or folder.
        segment: String,
        /// What the system says.
        cause: io::Error,
    },
}

/// What is opened, and what is known of it.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) store: SegmentStore,
    pub(crate) start_offset: i64,
    pub(crate) index_interval_bytes: u64,
    /// The last process ended in order: the checksums of the last segment are not looked at.
    pub(crate) trusted: bool,
    /// The partition is just being made, so that there is no folder yet.
    pub(crate) fresh: bool,
    pub(crate) extent_store: Option<Box<dyn ExtentStore>>,
    /// What was last saved_extent in the extent_store.
    pub(crate) saved_extent: Option<Extent>,
}

impl Log {
    /// Opens a log, new or not.
    pub(crate) fn open(opening: Opening) -> Result<Log, RecoveryError> {
        let Opening { topic_partition, store, start_offset, index_interval_bytes, trusted, .. } = opening;
        let failed = |cause| RecoveryError::Io { segment: store.name(), cause };
        if !opening.fresh && !store.exists() {
            let TopicPartition { topic, partition } = &topic_partition;
            tracing::error!(topic, partition, folder = store.name(), "the folder of a partition is missing");
        }
        store.prepare().map_err(failed)?;
        let base_offsets = store.base_offsets().map_err(failed)?;
        let first = base_offsets.first().copied().unwrap_or(start_offset);
        let mut state = State {
            topic_partition,
            extent: ExtentTracker::new(opening.extent_store, opening.saved_extent),
            segments: Vec::new(),
            start_offset,
            end_offset: first.min(start_offset),
            producers: Producers::default(),
            transactions: PartitionTransactions::default(),
            lost: Vec::new(),
            write_failures: FailureTracker::default(),
            closed: None,
        };
        for (at, base_offset) in base_offsets.iter().enumerate() {
            let new = || Segment::new(*base_offset, store.segment(*base_offset), index_interval_bytes);
            state.recover(new, base_offsets.get(at + 1).copied(), trusted)?;
        }
        state.compare_with_saved_extent();
        state.end_offset = state.end_offset.max(start_offset);
        if state.needs_segment() {
            state.begin_segment(&store, index_interval_bytes);
        }
        state.finish_recovery();
        Ok(Log::new(store, state))
    }
}

impl State {
    /// Takes a segment in; `next` is where the one behind it begins. Headers alone are looked at where the bytes are
    /// trusted, and checksums as soon as those do not fit together.
    fn recover(&mut self, new: impl Fn() -> Segment, next: Option<i64>, trusted: bool) -> Result<(), RecoveryError> {
        let mut segment = new();
        let medium = segment.medium.clone();
        let failed = |cause| RecoveryError::Io { segment: medium.name(), cause };
        let length = medium.length().map_err(failed)?;
        self.skip_to(segment.base_offset);
        let checked = next.is_none() && !trusted;
        let before = (self.end_offset, self.producers.clone(), self.transactions.clone(), self.lost.clone());
        self.walk(&mut segment, length, checked).map_err(failed)?;
        if segment.length < length && !checked {
            segment = new();
            (self.end_offset, self.producers, self.transactions, self.lost) = before;
            self.walk(&mut segment, length, true).map_err(failed)?;
        }
        self.walk_around_damage(&mut segment, length).map_err(failed)?;
        if segment.length < length {
            self.end_segment(&mut segment, length, next).map_err(failed)?;
        }
        self.segments.push(segment);
        Ok(())
    }

    /// Takes note of the batches from the segment's end on, up to the first that is not sound.
    fn walk(&mut self, segment: &mut Segment, length: u64, checked: bool) -> io::Result<()> {
        let medium = segment.medium.clone();
        let mut headers = Headers::new(&medium, segment.length, length);
        while let Some((position, header)) = headers.next()? {
            let in_order = header.base_offset >= self.end_offset;
            if !in_order || (checked && !checksum_fits(segment, position, &header)?) {
                break;
            }
            let commits = if header.is_control() { marker_at(segment, position, &header)? } else { None };
            self.skip_to(header.base_offset);
            segment.add(&header);
            self.apply(&header, commits, header.max_timestamp_ms);
        }
        Ok(())
    }

    /// Goes on behind damaged bytes for as long as there is a valid batch behind them.
    fn walk_around_damage(&mut self, segment: &mut Segment, length: u64) -> io::Result<()> {
        while segment.length < length {
            let found = damage::next_sound(&segment.medium, segment.length + 1, length, self.end_offset)?;
            let Some((position, header)) = found else { break };
            segment.skip(&self.topic_partition, self.damage(segment, position, header.base_offset));
            self.end_offset = header.base_offset;
            self.walk(segment, length, true)?;
        }
        Ok(())
    }

    /// Decides about bytes at a segment's end that are no batches: damage when the log goes on in another segment or
    /// there is a valid batch in them that fits no offset, else a tail that was torn.
    fn end_segment(&mut self, segment: &mut Segment, length: u64, next: Option<i64>) -> io::Result<()> {
        let valid = || damage::next_sound(&segment.medium, segment.length, length, 0);
        match next {
            Some(next) => {
                segment.skip(&self.topic_partition, self.damage(segment, length, next));
                self.end_offset = self.end_offset.max(next);
            }
            None if valid()?.is_some() => {
                segment.skip(&self.topic_partition, self.damage(segment, length, self.end_offset));
            }
            None => return trim(&segment.medium, segment.length, length),
        }
        Ok(())
    }

    /// Goes on at an offset. Offsets are given without gaps, so those that are left out were in something that is gone.
    fn skip_to(&mut self, offset: i64) {
        if offset > self.end_offset {
            self.lost.push(LostRange { first_offset: self.end_offset, next_offset: offset });
            self.end_offset = offset;
        }
    }

    /// A log that ends in front of what was saved_extent has lost its end: it goes on behind every offset that may have been
    /// given.
    fn compare_with_saved_extent(&mut self) {
        let Some(saved_extent) = self.extent.saved() else { return };
        let last_segment = self.segments.last().map(|last| last.base_offset);
        if last_segment.is_none_or(|last| last < saved_extent.last_segment) || self.end_offset < saved_extent.end {
            self.end_offset = self.end_offset.max(self.start_offset);
            self.skip_to(saved_extent.bound);
        }
    }

    /// Whether the next batch may not go into the last segment: there is none, or offsets are left out behind it.
    fn needs_segment(&self) -> bool {
        let ends_in_loss = self.lost.last().is_some_and(|lost| lost.next_offset == self.end_offset);
        self.segments.last().is_none_or(|last| ends_in_loss && last.base_offset != self.end_offset)
    }

    /// Reports what is missing behind the start, and notes how far a log got that an older version wrote.
    fn finish_recovery(&mut self) {
        let start_offset = self.start_offset;
        self.transactions.forget_before(start_offset);
        self.lost.retain(|lost| lost.next_offset > start_offset);
        self.lost.iter().for_each(|lost| lost.report(&self.topic_partition));
        let Some(last) = self.segments.last().filter(|last| last.length > 0 && self.extent.saved().is_none()) else {
            return;
        };
        if let Err(error) = self.extent.settle(last.base_offset, self.end_offset) {
            tracing::warn!(topic = self.topic_partition.topic, partition = self.topic_partition.partition, %error, "could not note a log's end");
        }
    }

    fn damage(&self, segment: &Segment, to: u64, next_offset: i64) -> Damage {
        Damage { from: segment.length, to, first_offset: self.end_offset, next_offset }
    }
}

/// Cuts a torn tail off, after it was copied.
fn trim(medium: &Medium, to: u64, length: u64) -> io::Result<()> {
    let kept = medium.keep_aside(to, length)?;
    tracing::warn!(segment = medium.name(), from = length, to, kept, "trimmed a torn tail");
    medium.truncate(to)
}

fn checksum_fits(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<bool> {
    let batch = segment.medium.read_at(position, header.bytes)?;
    Ok(header.checksum_fits(&batch))
}

fn marker_at(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<Option<bool>> {
    Ok(batch::marker_commits(&segment.medium.read_at(position, header.bytes)?))
}
