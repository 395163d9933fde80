//! A segment: a run of batches with its index, and an iterator over its batch headers.
//!
//! Separate because a segment is the unit in which records are removed from the disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::damage::Damage;
use super::index::SparseIndex;
use super::medium::Medium;
use super::outline::EndState;
use super::store::{SegmentName, SegmentStore};
use crate::topic_partition::TopicPartition;

/// The number of bytes read at once when only headers are needed.
const WINDOW_BYTES: u64 = 8 * 1024;

/// A run of batches.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    /// The number of the compaction that wrote it; 0 if it is as it was appended.
    pub(crate) round: u64,
    pub(crate) medium: Arc<Medium>,
    /// The first offset after its last batch.
    pub(crate) next_offset: i64,
    /// The length of the batches and of the damage between them, in bytes; bytes after that do not count.
    pub(crate) length: u64,
    pub(crate) index: SparseIndex,
    /// The latest timestamp in its first batch of records, in ms; `None` before that.
    pub(crate) first_ms: Option<i64>,
    /// The damaged ranges, in ascending order.
    pub(crate) damages: Vec<Damage>,
    /// The state at its end, once it is closed; `None` if compaction wrote it and the one after it has the state.
    pub(super) ended: Option<Arc<EndState>>,
    /// Whether its outline is written.
    pub(crate) is_outlined: bool,
    /// Whether something in it could not be read when it was to be compacted.
    pub(crate) is_unsound: bool,
}

impl Segment {
    /// An empty segment.
    pub(crate) fn new(store: &SegmentStore, name: SegmentName, index_interval_bytes: u64) -> Segment {
        Segment {
            base_offset: name.base_offset,
            round: name.round,
            medium: Arc::new(store.segment(name)),
            next_offset: name.base_offset,
            length: 0,
            index: SparseIndex::new(index_interval_bytes),
            first_ms: None,
            damages: Vec::new(),
            ended: None,
            is_outlined: false,
            is_unsound: false,
        }
    }

    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { base_offset: self.base_offset, round: self.round }
    }

    /// Writes a batch at the end. If that fails, the segment is left as it was.
    pub(crate) fn append(&mut self, header: &BatchHeader, batch: Bytes, sync: bool) -> io::Result<()> {
        let written = self.medium.write_at(self.length, batch);
        let kept = written.and_then(|()| if sync { self.sync() } else { Ok(()) });
        if let Err(error) = kept {
            // A second failure does no harm: `length` is what counts, and recovery truncates the file.
            let _ = self.medium.truncate(self.length);
            return Err(error);
        }
        self.add(header);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.length == 0 {
            self.medium.sync_name()?;
        }
        self.medium.sync()
    }

    /// Continues after damaged bytes.
    pub(crate) fn skip(&mut self, topic_partition: &TopicPartition, damage: Damage) {
        damage.report(topic_partition, &self.medium);
        self.length = damage.to;
        self.index.force_entry();
        self.damages.push(damage);
    }

    /// The end of the undamaged run that contains `position`.
    pub(crate) fn run_end(&self, position: u64) -> u64 {
        self.damages.iter().map(|damage| damage.from).find(|from| *from >= position).unwrap_or(self.length)
    }

    /// Adds a batch that is at the end of the file.
    pub(crate) fn add(&mut self, header: &BatchHeader) {
        let time_ms = if header.is_control() { i64::MIN } else { header.max_timestamp_ms };
        self.index.add(header.base_offset, self.length, time_ms);
        if !header.is_control() {
            self.first_ms.get_or_insert(time_ms);
        }
        self.length += header.bytes as u64;
        self.next_offset = header.last_offset() + 1;
    }
}

/// Iterates over batch headers and reads little else.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    medium: &'a Medium,
    position: u64,
    end: u64,
    window: Bytes,
    window_at: u64,
}

impl<'a> Headers<'a> {
    /// The headers from the position of a batch up to `end`.
    pub(crate) fn new(medium: &'a Medium, position: u64, end: u64) -> Headers<'a> {
        Headers { medium, position, end, window: Bytes::new(), window_at: position }
    }

    /// Whether bytes are left that are not a whole batch.
    pub(crate) fn is_stuck(&self) -> bool {
        self.position < self.end
    }

    /// The position and header of the next batch; `None` if no whole batch is left.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        let at = self.position;
        if at + HEADER_BYTES as u64 > self.end {
            return Ok(None);
        }
        self.load()?;
        let header = BatchHeader::parse(&self.window[(at - self.window_at) as usize..]);
        let whole = header.filter(|header| header.magic == 2 && at + header.bytes as u64 <= self.end);
        Ok(whole.map(|header| {
            self.position += header.bytes as u64;
            (at, header)
        }))
    }

    fn load(&mut self) -> io::Result<()> {
        let header_end = self.position + HEADER_BYTES as u64;
        if header_end > self.window_at + self.window.len() as u64 {
            let length = WINDOW_BYTES.min(self.end - self.position);
            self.window = self.medium.read_at(self.position, length as usize)?;
            self.window_at = self.position;
        }
        Ok(())
    }
}
