//! The segments that compaction writes.
//!
//! Separate because it knows where bytes go, and not which. They are written in large pieces and are on the disk when they are done,
//! since the segments that they replace are removed then.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use super::super::batch::BatchHeader;
use super::super::outline::EndState;
use super::super::segment::Segment;
use super::super::store::{SegmentName, SegmentStore};

/// The number of bytes written at once.
const PIECE_BYTES: usize = 1 << 20;
/// The number of bytes after which they are forced to the disk, so that there is never much to wait for, for others neither.
const SYNC_BYTES: u64 = 16 << 20;

/// Segments that are being written.
#[derive(Debug)]
pub(super) struct Rewritten {
    store: SegmentStore,
    round: u64,
    segment_bytes: u64,
    index_interval_bytes: u64,
    segments: Vec<Segment>,
    /// Whether batches can be added to the last one.
    is_open: bool,
    /// Its bytes that are not written yet.
    piece: BytesMut,
    /// The length of its bytes that are on the disk.
    synced: u64,
}

impl Rewritten {
    pub(super) fn new(store: SegmentStore, round: u64, segment_bytes: u64, index_interval_bytes: u64) -> Rewritten {
        let (segments, piece) = (Vec::new(), BytesMut::new());
        Rewritten { store, round, segment_bytes, index_interval_bytes, segments, is_open: false, piece, synced: 0 }
    }

    /// Adds a batch; a new segment begins at `base_offset`.
    pub(super) fn add(&mut self, base_offset: i64, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        let is_full = |last: &Segment| last.length + header.bytes as u64 > self.segment_bytes;
        if !self.is_open || self.segments.last().is_some_and(is_full) {
            self.end_segment()?;
            let name = SegmentName { base_offset, round: self.round };
            self.segments.push(Segment::new(&self.store, name, self.index_interval_bytes));
            self.is_open = true;
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.add(header);
        }
        self.piece.extend_from_slice(batch);
        if self.piece.len() >= PIECE_BYTES { self.write() } else { Ok(()) }
    }

    /// Ends the last segment, so that a new one begins with the next batch.
    pub(super) fn end_segment(&mut self) -> io::Result<()> {
        if !self.is_open {
            return Ok(());
        }
        self.write()?;
        (self.is_open, self.synced) = (false, 0);
        self.segments.last().map_or(Ok(()), |last| last.medium.sync())
    }

    /// Ends all segments, which are on the disk then.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.end_segment()?;
        self.segments.last().map_or(Ok(()), |last| last.medium.sync_name())
    }

    /// Sets the state of the log at the end of the last segment.
    pub(super) fn set_end_state(&mut self, ended: Option<Arc<EndState>>) {
        if let Some(last) = self.segments.last_mut() {
            last.ended = ended;
        }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Removes them. What cannot be removed is removed when the log is opened again.
    pub(super) fn discard(self) {
        for segment in self.segments.iter().filter(|segment| segment.medium.exists()) {
            if let Err(error) = segment.medium.remove() {
                tracing::warn!(segment = segment.medium.name(), %error, "could not remove a segment");
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.last() else { return Ok(()) };
        let piece = self.piece.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        segment.medium.write_at(segment.length - piece.len() as u64, piece)?;
        if segment.length - self.synced >= SYNC_BYTES {
            self.synced = segment.length;
            segment.medium.sync()?;
        }
        Ok(())
    }
}
