//! Writing a log again without the records that have a later one.
//!
//! Separate because it decides which records stay. It holds no lock, and can be stopped at any time.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::batch::BatchHeader;
use super::super::batches::Batches;
use super::super::record::{Record, Records};
use super::super::segment::Segment;
use super::super::store::SegmentName;
use super::compacted::{Compacted, CompactedSegment, Pass};
use super::latest::LatestOffsets;
use super::outcome::{Counts, Failed, Outcome};
use super::plan::{Plan, Source};
use super::rewritten::Rewritten;
use super::thin::{Thinned, emptied, thinned};

impl Plan {
    /// Writes the compacted log beside the old one. `is_stopped` is asked now and then.
    pub(crate) fn run(self, is_stopped: &dyn Fn() -> bool) -> Result<Outcome, Failed> {
        self.run_with(LatestOffsets::new(), is_stopped)
    }

    pub(super) fn run_with(self, latest: LatestOffsets, is_stopped: &dyn Fn() -> bool) -> Result<Outcome, Failed> {
        let (latest, next_offset) = self.latest(latest, is_stopped)?;
        let mut rewrite = Rewrite::new(&self, latest, next_offset);
        let written = rewrite.all(is_stopped).and_then(|()| Ok(rewrite.rewritten.finish()?));
        if let Err(failed) = written {
            rewrite.rewritten.discard();
            return Err(failed);
        }
        Ok(rewrite.outcome())
    }

    /// The latest offsets of the keys that were not compacted yet, and the first offset after those that are known.
    fn latest(&self, mut latest: LatestOffsets, is_stopped: &dyn Fn() -> bool) -> Result<(LatestOffsets, i64), Failed> {
        let mut next_offset = self.compacted.next_offset;
        for source in self.sources.iter().filter(|source| source.next_offset > self.compacted.next_offset) {
            if !source.is_kept {
                let mut batches = Batches::new(&source.medium, source.length);
                while let Some((header, batch)) = source.read(&mut batches, is_stopped)? {
                    if header.base_offset < self.compacted.next_offset {
                        continue;
                    }
                    if !latest.has_room(usize::try_from(header.records).unwrap_or(0)) {
                        return Ok((latest, next_offset));
                    }
                    if !header.is_control() && !self.is_aborted(&header) {
                        add_keys(&mut latest, &header, &batch);
                    }
                    next_offset = header.last_offset() + 1;
                }
            }
            next_offset = source.next_offset;
        }
        Ok((latest, next_offset))
    }

    /// Whether a batch belongs to an aborted transaction.
    fn is_aborted(&self, header: &BatchHeader) -> bool {
        let Some(aborted) = self.aborted.get(&header.producer.id).filter(|_| header.is_transactional()) else {
            return false;
        };
        let ended = aborted.partition_point(|aborted| aborted.last_offset < header.base_offset);
        aborted.get(ended).is_some_and(|aborted| aborted.first_offset <= header.base_offset)
    }
}

impl Source {
    /// The next batch. `is_stopped` is asked.
    fn read(
        &self,
        batches: &mut Batches<'_>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<(BatchHeader, Bytes)>, Failed> {
        if is_stopped() {
            return Err(Failed::Stopped);
        }
        batches.next().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Failed::Unsound(Arc::clone(&self.medium), error)
            }
            _ => Failed::Io(error),
        })
    }
}

/// Adds the keys of a batch. If it cannot be read, it stays as it is, and so do earlier records of the keys that are not known.
fn add_keys(latest: &mut LatestOffsets, header: &BatchHeader, batch: &[u8]) {
    let Ok(mut records) = Records::of(header, batch) else { return };
    while let Ok(Some(record)) = records.next() {
        if let Some(key) = record.key {
            latest.add(key, record.offset);
        }
    }
}

/// A log that is being written again.
struct Rewrite<'p> {
    plan: &'p Plan,
    latest: LatestOffsets,
    /// The first offset that stays as it is.
    next_offset: i64,
    /// The first offset whose removals of keys stay.
    removals_end: i64,
    /// The producers of whose current transactions something is left.
    left: BTreeSet<i64>,
    /// Whether a segment could not be looked at: something of any transaction may be left there.
    is_unsure: bool,
    rewritten: Rewritten,
    /// The offset before which nothing is left of aborted transactions, once all before it was looked at.
    none_aborted_before: i64,
    counts: Counts,
}

impl<'p> Rewrite<'p> {
    fn new(plan: &'p Plan, latest: LatestOffsets, next_offset: i64) -> Rewrite<'p> {
        let Plan { store, compacted, compaction, now_ms, .. } = plan;
        let (segment_bytes, interval_bytes) = (compaction.segment_bytes, compaction.index_interval_bytes);
        Rewrite {
            plan,
            latest,
            next_offset,
            removals_end: compacted.removals_end(compaction.removals_ms, *now_ms),
            left: BTreeSet::new(),
            is_unsure: false,
            rewritten: Rewritten::new(store.clone(), compacted.round + 1, segment_bytes, interval_bytes),
            none_aborted_before: next_offset,
            counts: Counts::default(),
        }
    }

    /// The segments that are looked at.
    fn sources(&self) -> impl Iterator<Item = &'p Source> + use<'p> {
        let next_offset = self.next_offset;
        self.plan.sources.iter().take_while(move |source| source.name.base_offset < next_offset)
    }

    fn all(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), Failed> {
        for source in self.sources() {
            if source.is_kept {
                self.is_unsure = true;
                self.none_aborted_before = self.none_aborted_before.min(source.name.base_offset);
                self.rewritten.end_segment()?;
                continue;
            }
            self.counts.bytes_before += source.length;
            let mut batches = Batches::new(&source.medium, source.length);
            while let Some((header, batch)) = source.read(&mut batches, is_stopped)? {
                self.batch(&header, &batch)?;
            }
        }
        Ok(())
    }

    fn batch(&mut self, header: &BatchHeader, batch: &Bytes) -> io::Result<()> {
        if header.base_offset >= self.next_offset {
            return self.keep(header, batch);
        }
        if header.is_control() {
            return self.marker(header, batch);
        }
        let left = match header.records {
            0 => Thinned::Nothing,
            _ if self.plan.is_aborted(header) => Thinned::Nothing,
            _ => self.thinned(header, batch),
        };
        let left = match left {
            Thinned::Whole => batch.clone(),
            Thinned::Part(part) => part,
            Thinned::Nothing if self.must_stay(header) => emptied(header, batch),
            Thinned::Nothing => return Ok(()),
        };
        let header = BatchHeader::parse(&left).ok_or(io::ErrorKind::InvalidData)?;
        if header.is_transactional() && header.records > 0 {
            self.left.insert(header.producer.id);
        }
        self.keep(&header, &left)
    }

    /// The end of a transaction stays while something of the transaction is left; otherwise as long as a removal of a key.
    fn marker(&mut self, header: &BatchHeader, batch: &Bytes) -> io::Result<()> {
        let is_left = self.left.remove(&header.producer.id) || self.is_unsure;
        let stays = is_left || header.base_offset >= self.removals_end || self.must_stay(header);
        if stays { self.keep(header, batch) } else { Ok(()) }
    }

    /// Whether a batch stays although it has no records.
    fn must_stay(&self, header: &BatchHeader) -> bool {
        let last = self.plan.last_batches.get(&header.producer.id);
        let is_last = last.is_some_and(|last| match header.is_control() {
            true => last.marker == Some(header.base_offset),
            false => last.data == Some(header.base_offset),
        });
        is_last || header.last_offset() + 1 == self.next_offset
    }

    fn thinned(&mut self, header: &BatchHeader, batch: &Bytes) -> Thinned {
        let (mut keyless, mut gone) = (0, 0);
        let thinned = thinned(header, batch, |record| {
            let stays = self.stays(record);
            keyless += u64::from(record.key.is_none());
            gone += u64::from(!stays);
            stays
        });
        let records = u64::from(header.records.unsigned_abs());
        self.counts.records_before += records;
        let Ok(thinned) = thinned else {
            self.counts.unreadable += 1;
            self.counts.records_after += records;
            return Thinned::Whole;
        };
        self.counts.keyless += keyless;
        self.counts.records_after += records - gone;
        thinned
    }

    fn stays(&self, record: &Record<'_>) -> bool {
        let Some(key) = record.key else { return false };
        let is_latest = self.latest.of(key).is_none_or(|latest| latest <= record.offset);
        is_latest && (record.has_value || record.offset >= self.removals_end)
    }

    fn keep(&mut self, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        self.counts.bytes_after += batch.len() as u64;
        // The first segment begins where the log did.
        let begins_log = self.rewritten.segments().is_empty() && !self.is_unsure;
        let first = self.plan.sources.first().filter(|_| begins_log).map(|first| first.name.base_offset);
        self.rewritten.add(first.unwrap_or(header.base_offset), header, batch)
    }

    fn outcome(mut self) -> Outcome {
        let sources: Vec<&Source> = self.sources().collect();
        if let Some(last) = sources.last().filter(|last| !last.is_kept) {
            self.rewritten.set_end_state(last.ended.clone());
        }
        let kept = sources.iter().filter(|source| source.is_kept);
        let kept = kept.map(|source| (source.name, source.length));
        let written = |segment: &Segment| (segment.name(), segment.length);
        let mut names: Vec<_> = self.rewritten.segments().iter().map(written).chain(kept).collect();
        names.sort_unstable();
        let segment = |(name, bytes): (SegmentName, u64)| CompactedSegment {
            base_offset: name.base_offset,
            round: name.round,
            bytes,
        };
        let Plan { compacted, compaction, now_ms, .. } = self.plan;
        let pass = Pass { next_offset: self.next_offset, at_ms: *now_ms };
        Outcome {
            compacted: Compacted {
                round: compacted.round + 1,
                next_offset: self.next_offset,
                segments: names.into_iter().map(segment).collect(),
                passes: compacted.passes_with(pass, compaction.removals_ms),
            },
            counts: self.counts,
            sources: sources.iter().map(|source| (Arc::clone(&source.medium), source.is_kept)).collect(),
            none_aborted_before: self.none_aborted_before,
            rewritten: self.rewritten,
        }
    }
}
