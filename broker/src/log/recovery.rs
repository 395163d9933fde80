//! Opening an existing log: its state is taken from the outlines of closed segments and rebuilt from the batch headers of all others, a tail that a crash tore is truncated, damage
//! before valid batches is kept and reported, and so is what is missing.
//!
//! Separate because it runs once, and because of its promise: every acknowledged, undamaged batch is recovered, and no
//! byte is lost. Truncated bytes are copied to a file beside the segment (`*.torn`).

use std::io;

use super::batch::{self, BatchHeader};
use super::compaction::Compacted;
use super::damage::{self, Damage};
use super::extent::{Extent, ExtentStore, ExtentTracker, LostRange};
use super::medium::Medium;
use super::outline::Outline;
use super::partition::{Log, State, Unsynced, remove_segments};
use super::producers::Producers;
use super::segment::{Headers, Segment};
use super::store::{SegmentName, SegmentStore};
use super::transactions::PartitionTransactions;
use crate::failure::FailureTracker;
use crate::topic_partition::TopicPartition;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A file or folder could not be read or written.
    #[error("could not read {segment}: {cause}")]
    Io {
        /// The file or folder.
        segment: String,
        /// The error of the operating system.
        cause: io::Error,
    },
}

/// The log to open, with what is known about it.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) store: SegmentStore,
    pub(crate) start_offset: i64,
    pub(crate) index_interval_bytes: u64,
    /// Whether the last broker was shut down cleanly, so that the checksums of the last segment need not be verified.
    pub(crate) trusted: bool,
    /// Whether the partition is being created, so that its folder does not exist yet.
    pub(crate) fresh: bool,
    pub(crate) extent_store: Option<Box<dyn ExtentStore>>,
    /// The extent that was last saved in the store.
    pub(crate) saved_extent: Option<Extent>,
    /// What compaction has done to it, as the journal says.
    pub(crate) compacted: Compacted,
}

/// The files of a log.
struct Files {
    /// Its segments, in ascending order.
    segments: Vec<SegmentName>,
    /// Files that compaction has replaced, or whose compaction was interrupted.
    others: Vec<SegmentName>,
}

impl Files {
    fn of(store: &SegmentStore, compacted: &Compacted) -> io::Result<Files> {
        let is_segment = |name: &SegmentName| {
            let is_appended = name.round == 0 && name.base_offset >= compacted.next_offset;
            is_appended || compacted.segments.iter().any(|listed| listed.name() == *name)
        };
        let (segments, others) = store.names()?.into_iter().partition(is_segment);
        Ok(Files { segments, others })
    }
}

impl Log {
    /// Opens a log, which is created if it does not exist.
    pub(crate) fn open(opening: Opening) -> Result<Log, RecoveryError> {
        let Opening { topic_partition, store, start_offset, index_interval_bytes, trusted, .. } = opening;
        let failed = |cause| RecoveryError::Io { segment: store.name(), cause };
        if !opening.fresh && !store.exists() {
            let TopicPartition { topic, partition } = &topic_partition;
            tracing::error!(topic, partition, folder = store.name(), "the folder of a partition is missing");
        }
        store.prepare().map_err(failed)?;
        let Files { segments, others } = Files::of(&store, &opening.compacted).map_err(failed)?;
        let first = segments.first().map_or(start_offset, |first| first.base_offset);
        let mut state = State {
            topic_partition,
            extent: ExtentTracker::new(opening.extent_store, opening.saved_extent),
            segments: Vec::new(),
            compacted: opening.compacted,
            start_offset,
            end_offset: first.min(start_offset),
            producers: Producers::default(),
            transactions: PartitionTransactions::default(),
            lost: Vec::new(),
            write_failures: FailureTracker::default(),
            compaction_failures: FailureTracker::default(),
            unsynced: Unsynced::default(),
            closed: None,
        };
        for (at, (name, outline)) in segments.iter().zip(outlines(&store, &segments, index_interval_bytes)).enumerate()
        {
            let new = || Segment::new(&store, *name, index_interval_bytes);
            match outline {
                Some(outline) => state.take_outlined(new(), outline),
                None => state.recover(new, segments.get(at + 1).map(|next| next.base_offset), trusted)?,
            }
        }
        state.miss_compacted();
        state.compare_with_saved_extent();
        state.end_offset = state.end_offset.max(start_offset);
        if state.needs_segment() {
            state.begin_segment(&store, index_interval_bytes);
        }
        state.finish_recovery();
        // A broker that was killed may have left segments that are entirely before the start.
        remove_segments(&state.move_start(start_offset));
        state.clear_others(&store, others);
        Ok(Log::new(store, state))
    }
}

/// The outlines with which segments need not be read: those up to the last one that has a state at its end, never that of the segment
/// that is appended to.
fn outlines(store: &SegmentStore, segments: &[SegmentName], index_interval_bytes: u64) -> Vec<Option<Outline>> {
    let closed = &segments[..segments.len().saturating_sub(1)];
    let read = |name: &SegmentName| Outline::read(&store.segment(*name), index_interval_bytes);
    let mut outlines: Vec<Option<Outline>> = closed.iter().map(read).collect();
    let has_state = |outline: &Option<Outline>| outline.as_ref().is_some_and(|outline| outline.facts.ended.is_some());
    let known = outlines.iter().rposition(has_state).map_or(0, |last| last + 1);
    outlines.truncate(known);
    outlines.resize_with(segments.len(), || None);
    outlines
}

impl State {
    /// Takes over a segment as its outline says.
    fn take_outlined(&mut self, mut segment: Segment, outline: Outline) {
        self.skip_to(segment.base_offset);
        let Outline { facts, index } = outline;
        (segment.length, segment.next_offset, segment.first_ms) = (facts.bytes, facts.next_offset, facts.first_ms);
        (segment.index, segment.is_outlined) = (index, true);
        self.transactions.add_aborted(facts.aborted);
        if let Some(ended) = &facts.ended {
            self.producers = ended.producers.clone();
            self.transactions.continue_with(ended.open.clone());
        }
        segment.ended = facts.ended;
        self.end_offset = segment.next_offset;
        self.segments.push(segment);
    }

    /// Reads a segment; `next` is the base offset of the one after it. Only headers are read if the segment is trusted;
    /// as soon as they are inconsistent, checksums are verified as well.
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
        segment.ended = next.map(|_| self.end_state());
        self.segments.push(segment);
        Ok(())
    }

    /// Reads batches from the end of what was read so far, up to the first that is invalid.
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

    /// Skips damaged bytes for as long as there is a valid batch after them.
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

    /// Decides what the invalid bytes at the end of a segment are. If another segment follows, or if they contain a
    /// valid batch whose offset does not fit, they are damage; otherwise they are a torn tail.
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
            None => return truncate_torn_tail(&segment.medium, segment.length, length),
        }
        Ok(())
    }

    /// Continues at an offset. Offsets are assigned without gaps, so the skipped ones were compacted, or in something that is lost.
    fn skip_to(&mut self, offset: i64) {
        let first_offset = self.end_offset.max(self.compacted.next_offset);
        if offset > first_offset {
            self.lost.push(LostRange { first_offset, next_offset: offset });
        }
        self.end_offset = self.end_offset.max(offset);
    }

    /// Records as lost what is missing of the segments that were compacted: their offsets do not tell.
    fn miss_compacted(&mut self) {
        let listed = &self.compacted.segments;
        let nexts = listed.iter().skip(1).map(|next| next.base_offset).chain([self.compacted.next_offset]);
        let missing = listed.iter().zip(nexts).filter_map(|(listed, next_offset)| {
            let found = self.segments.iter().find(|segment| segment.name() == listed.name());
            let first_offset = match found {
                Some(segment) if segment.length >= listed.bytes => return None,
                Some(segment) => segment.next_offset,
                None => listed.base_offset,
            };
            (first_offset < next_offset).then_some(LostRange { first_offset, next_offset })
        });
        self.lost.extend(missing.collect::<Vec<_>>());
        self.lost.sort_unstable_by_key(|lost| lost.first_offset);
        if !listed.is_empty() || self.compacted.next_offset > 0 {
            self.end_offset = self.end_offset.max(self.compacted.next_offset);
        }
    }

    /// Removes the files that compaction has replaced, and what is left of a compaction that was interrupted. Nothing is removed if
    /// something is missing.
    fn clear_others(&self, store: &SegmentStore, others: Vec<SegmentName>) {
        for name in others {
            let medium = store.segment(name);
            let cleared = match self.lost.is_empty() {
                true => medium.remove().map_err(|error| error.to_string()),
                false => Err("records are missing, which may be in it".to_owned()),
            };
            if let Err(reason) = cleared {
                tracing::warn!(
                    segment = medium.name(),
                    reason,
                    "did not remove a segment that is not a part of the log"
                );
            }
        }
    }

    /// A log that ends before its saved extent has lost its end. It continues after every offset that may have been
    /// assigned.
    fn compare_with_saved_extent(&mut self) {
        let Some(saved_extent) = self.extent.saved() else { return };
        let last_segment = self.segments.last().map(|last| last.base_offset);
        if last_segment.is_none_or(|last| last < saved_extent.last_segment) || self.end_offset < saved_extent.end {
            self.end_offset = self.end_offset.max(self.start_offset);
            self.skip_to(saved_extent.bound);
        }
    }

    /// Whether the next batch needs a new segment: there is none yet, or offsets are skipped after the last one.
    fn needs_segment(&self) -> bool {
        let ends_in_loss = self.lost.last().is_some_and(|lost| lost.next_offset == self.end_offset);
        self.segments.last().is_none_or(|last| ends_in_loss && last.base_offset != self.end_offset)
    }

    /// Reports what is missing after the start, and saves the extent of a log that an older version wrote.
    fn finish_recovery(&mut self) {
        let start_offset = self.start_offset;
        self.transactions.forget_ended_before(start_offset);
        self.lost.retain(|lost| lost.next_offset > start_offset);
        self.lost.iter().for_each(|lost| lost.report(&self.topic_partition));
        let Some(last) = self.segments.last().filter(|last| last.length > 0 && self.extent.saved().is_none()) else {
            return;
        };
        if let Err(error) = self.extent.settle(last.base_offset, self.end_offset) {
            tracing::warn!(topic = self.topic_partition.topic, partition = self.topic_partition.partition, %error, "could not save the extent of a log");
        }
    }

    fn damage(&self, segment: &Segment, to: u64, next_offset: i64) -> Damage {
        Damage { from: segment.length, to, first_offset: self.end_offset, next_offset }
    }
}

/// Copies a torn tail, then truncates it.
fn truncate_torn_tail(medium: &Medium, to: u64, length: u64) -> io::Result<()> {
    let kept = medium.keep_aside(to, length)?;
    tracing::warn!(segment = medium.name(), from = length, to, kept, "truncated a torn tail");
    medium.truncate(to)
}

fn checksum_fits(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<bool> {
    let batch = segment.medium.read_at(position, header.bytes)?;
    Ok(header.checksum_fits(&batch))
}

fn marker_at(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<Option<bool>> {
    Ok(batch::marker_commits(&segment.medium.read_at(position, header.bytes)?))
}
