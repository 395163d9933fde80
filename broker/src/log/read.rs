//! Reading a log: ranges of whole batches for consumers, and offsets by timestamp.
//!
//! Separate from appending because reading needs the log's lock only to make a plan: which segments, from which
//! position, up to where. The bytes are read after the lock is released.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::medium::Medium;
use super::partition::{Ends, Log, State};
use super::record;
use super::segment::{Headers, Segment};
use super::slice::Slice;
use super::transactions::Aborted;
use crate::clock::now_ms;
use crate::topic_partition::TopicPartition;

/// The number of bytes from which on they are not read here, but sent from the file. Tests send little.
const FILE_BYTES_MIN: u64 = if cfg!(test) { 150 } else { 64 << 10 };

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// All records.
    ReadUncommitted,
    /// The records before the last stable offset, with a list of the aborted transactions.
    ReadCommitted,
}

/// The result of a read.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Whole batches; the first may begin before the requested offset.
    pub(crate) records: Slice,
    pub(crate) ends: Ends,
    /// The aborted transactions among the records, for readers of committed records.
    pub(crate) aborted: Option<Vec<Aborted>>,
}

/// An offset found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedOffset {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
}

/// A part of a segment that can be read without the lock, because it does not change.
#[derive(Debug)]
struct Part {
    medium: Arc<Medium>,
    position: u64,
    end: u64,
    /// The position of a batch as near to the end of what is to be read as the index knows one.
    near_end: u64,
}

impl Log {
    /// The approximate number of bytes that a read from `offset` would return: 0 exactly if it would return none.
    pub(crate) fn readable_bytes(&self, offset: i64, isolation: Isolation) -> Result<u64, ResponseError> {
        let state = self.state.lock();
        let limit = state.limit(offset, isolation)?;
        state.check_damage(offset)?;
        if offset >= limit {
            return Ok(0);
        }
        Ok(state.bytes_between(offset, limit).max(1))
    }

    /// Reads whole batches from `offset` on, at most `bytes_max` bytes; with `at_least_one` the first batch is returned
    /// even if it is larger.
    pub(crate) fn read(
        &self,
        offset: i64,
        bytes_max: usize,
        isolation: Isolation,
        at_least_one: bool,
    ) -> Result<Fetched, ResponseError> {
        let (ends, (records, read_to)) = loop {
            let (ends, range, parts) = {
                let state = self.state.lock();
                let limit = state.limit(offset, isolation)?;
                state.check_damage(offset)?;
                let range = BatchRange { from: offset, limit, bytes_max, at_least_one };
                let parts = if offset < limit { state.parts(&range) } else { Vec::new() };
                (state.ends(), range, parts)
            };
            match first_filled(&parts, &range) {
                Ok(found) => break (ends, found),
                Err(_) if self.has_replaced(&parts) => {}
                Err(error) => return Err(self.gone_or_broken(offset, &error)),
            }
        };
        if self.reads_fail.load(Ordering::Relaxed) {
            self.reading_works();
        }
        let aborted = (isolation == Isolation::ReadCommitted)
            .then(|| self.state.lock().transactions.aborted_between(offset, read_to));
        Ok(Fetched { records, ends, aborted })
    }

    /// The first record at or after a timestamp, in order of offset.
    pub(crate) fn offset_of_time(
        &self,
        timestamp_ms: i64,
        isolation: Isolation,
    ) -> Result<Option<TimedOffset>, ResponseError> {
        loop {
            let (start, limit, parts) = {
                let state = self.state.lock();
                (state.start_offset, state.limit(state.start_offset, isolation)?, state.parts_of_time(timestamp_ms))
            };
            match first_at(&parts, timestamp_ms, start) {
                Ok(found) => return Ok(found.filter(|found| found.offset < limit)),
                Err(_) if self.has_replaced(&parts) => {}
                Err(error) => return Err(self.gone_or_broken(start, &error)),
            }
        }
    }

    /// The record with the maximum timestamp.
    pub(crate) fn offset_of_max_time(&self, isolation: Isolation) -> Result<Option<TimedOffset>, ResponseError> {
        let newest = self.state.lock().segments.iter().map(|segment| segment.index.max_timestamp_ms()).max();
        match newest.filter(|newest| *newest > i64::MIN) {
            Some(newest) => self.offset_of_time(newest, isolation),
            None => Ok(None),
        }
    }

    /// Whether segments that were to be read are not a part of the log any more, so that it must be looked up again where to read.
    fn has_replaced(&self, parts: &[Part]) -> bool {
        let state = self.state.lock();
        let has = |part: &Part| state.segments.iter().any(|segment| Arc::ptr_eq(&segment.medium, &part.medium));
        state.closed.is_none() && !parts.iter().all(has)
    }

    /// The error of a failed read. If the segment was removed in the meantime, the offset is out of range and the disk
    /// is fine.
    fn gone_or_broken(&self, offset: i64, error: &io::Error) -> ResponseError {
        let state = self.state.lock();
        if let Some(reason) = state.closed {
            return reason;
        }
        if offset < state.start_offset {
            return ResponseError::OffsetOutOfRange;
        }
        self.reads_fail.store(true, Ordering::Relaxed);
        if self.read_failures.lock().failed(error, 0, now_ms()) {
            let TopicPartition { topic, partition } = &state.topic_partition;
            tracing::error!(topic, partition, offset, %error, "could not read a segment");
        }
        match error.kind() {
            io::ErrorKind::InvalidData => ResponseError::CorruptMessage,
            _ => ResponseError::KafkaStorageError,
        }
    }

    /// Logs that reading works again. A later read of other offsets may fail again.
    fn reading_works(&self) {
        self.reads_fail.store(false, Ordering::Relaxed);
        if self.read_failures.lock().succeeded(0, now_ms()).is_some() {
            let TopicPartition { topic, partition } = self.state.lock().topic_partition.clone();
            tracing::warn!(topic, partition, "reading the log works again");
        }
    }
}

impl State {
    /// The offset up to which can be read; an error if `offset` is outside of the log.
    fn limit(&self, offset: i64, isolation: Isolation) -> Result<i64, ResponseError> {
        if let Some(reason) = self.closed {
            return Err(reason);
        }
        if offset < self.start_offset || offset > self.end_offset {
            return Err(ResponseError::OffsetOutOfRange);
        }
        Ok(match isolation {
            Isolation::ReadUncommitted => self.end_offset,
            Isolation::ReadCommitted => self.ends().stable,
        })
    }

    /// Reading an offset that is damaged or lost is an error: skipping it would lose its records silently.
    fn check_damage(&self, offset: i64) -> Result<(), ResponseError> {
        let mut damages = self.segments.iter().flat_map(|segment| &segment.damages);
        let gone = damages.any(|damage| damage.holds(offset)) || self.lost.iter().any(|lost| lost.holds(offset));
        if gone { Err(ResponseError::CorruptMessage) } else { Ok(()) }
    }

    fn bytes_between(&self, from: i64, to: i64) -> u64 {
        (0..self.segments.len()).map(|at| self.position_in(at, to) - self.position_in(at, from)).sum()
    }

    /// The approximate position of an offset in a segment; the start or end if it is in another segment.
    fn position_in(&self, at: usize, offset: i64) -> u64 {
        let segment = &self.segments[at];
        let next = self.segments.get(at + 1).map_or(self.end_offset, |next| next.base_offset);
        if offset >= next { segment.length } else { segment.index.position_of(offset) }
    }

    /// The parts to read from the segment that contains the first offset on; the offset itself may be missing there.
    fn parts(&self, range: &BatchRange) -> Vec<Part> {
        let first = self.segments.partition_point(|segment| segment.base_offset <= range.from).saturating_sub(1);
        let runs = self.segments[first..].iter().flat_map(|segment| {
            let near_end = |start: u64, end: u64| {
                let end = end.min(start.saturating_add(range.bytes_max as u64));
                segment.index.position_within(range.limit, end)
            };
            runs(segment, segment.index.position_of(range.from), near_end)
        });
        runs.collect()
    }

    fn parts_of_time(&self, timestamp_ms: i64) -> Vec<Part> {
        let new_enough = self.segments.iter().filter(|segment| segment.index.max_timestamp_ms() >= timestamp_ms);
        let runs = new_enough
            .flat_map(|segment| runs(segment, segment.index.position_of_time(timestamp_ms), |start, _| start));
        runs.collect()
    }
}

/// The undamaged parts of a segment from a position on. `near_end` is given the start and end of each.
fn runs(segment: &Segment, position: u64, near_end: impl Fn(u64, u64) -> u64) -> Vec<Part> {
    let behind = segment.damages.iter().map(|damage| damage.to).filter(|to| *to > position);
    let starts = std::iter::once(position).chain(behind).filter(|start| *start < segment.length);
    let part = |start| {
        let end = segment.run_end(start);
        Part { medium: Arc::clone(&segment.medium), position: start, end, near_end: near_end(start, end) }
    };
    starts.map(part).filter(|part| part.position < part.end).collect()
}

/// The batches to read from a part.
#[derive(Debug)]
struct BatchRange {
    from: i64,
    limit: i64,
    bytes_max: usize,
    at_least_one: bool,
}

/// The batches of the first part that has any, and the offset after the last one.
fn first_filled(parts: &[Part], range: &BatchRange) -> io::Result<(Slice, i64)> {
    for part in parts {
        if let Some((position, first)) = part.find(range.from)? {
            return part.read(position, &first, range);
        }
    }
    Ok((Slice::Bytes(Bytes::new()), range.from))
}

/// The first record at or after a timestamp, in order of offset.
fn first_at(parts: &[Part], timestamp_ms: i64, start_offset: i64) -> io::Result<Option<TimedOffset>> {
    for part in parts {
        if let Some(found) = part.find_time(timestamp_ms, start_offset)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Part {
    /// The batch that contains `offset`, or the first one after it.
    fn find(&self, offset: i64) -> io::Result<Option<(u64, BatchHeader)>> {
        let mut headers = Headers::new(&self.medium, self.position, self.end);
        while let Some((position, header)) = headers.next()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        match headers.is_stuck() {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", self.medium.name()))),
            false => Ok(None),
        }
    }

    fn read(&self, position: u64, first: &BatchHeader, range: &BatchRange) -> io::Result<(Slice, i64)> {
        let fits = first.bytes <= range.bytes_max || range.at_least_one;
        if !fits || first.base_offset >= range.limit {
            return Ok((Slice::Bytes(Bytes::new()), range.from));
        }
        let length = (range.bytes_max.max(first.bytes) as u64).min(self.end - position);
        if length >= FILE_BYTES_MIN {
            let (end, read_to) = self.end_of_batches(position, first, position + length, range.limit)?;
            return Ok((self.medium.slice_at(position, (end - position) as usize)?, read_to));
        }
        let bytes = self.medium.read_at(position, length as usize)?;
        let (length, read_to) = whole_batches(&bytes, range.limit);
        Ok((Slice::Bytes(bytes.slice(..length)), read_to))
    }

    /// The end of the last whole batch up to `end` that starts before `limit`, and the offset after it.
    fn end_of_batches(&self, position: u64, first: &BatchHeader, end: u64, limit: i64) -> io::Result<(u64, i64)> {
        let mut last = (position + first.bytes as u64, first.last_offset() + 1);
        let mut headers = Headers::new(&self.medium, self.near_end.max(last.0), end);
        while let Some((position, header)) = headers.next()? {
            if header.base_offset >= limit {
                break;
            }
            last = (position + header.bytes as u64, header.last_offset() + 1);
        }
        Ok(last)
    }

    fn find_time(&self, timestamp_ms: i64, start_offset: i64) -> io::Result<Option<TimedOffset>> {
        let mut headers = Headers::new(&self.medium, self.position, self.end);
        while let Some((position, header)) = headers.next()? {
            let candidate = header.max_timestamp_ms >= timestamp_ms && !header.is_control();
            if candidate && header.last_offset() >= start_offset {
                let batch = self.medium.read_at(position, header.bytes)?;
                if let Some(found) = time_in_batch(&batch, &header, timestamp_ms, start_offset) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
}

/// If the batch cannot be decompressed, its first record is the result.
fn time_in_batch(batch: &Bytes, header: &BatchHeader, timestamp_ms: i64, start_offset: i64) -> Option<TimedOffset> {
    let found = record::find(batch, |record| record.timestamp_ms >= timestamp_ms && record.offset >= start_offset);
    match found {
        Ok(found) => found.map(|found| TimedOffset { offset: found.offset, timestamp_ms: found.timestamp_ms }),
        Err(_) => Some(TimedOffset { offset: header.base_offset, timestamp_ms: header.base_timestamp_ms }),
    }
}

/// The length of the whole batches at the beginning that start before `limit`, and the offset after them.
fn whole_batches(bytes: &[u8], limit: i64) -> (usize, i64) {
    let (mut length, mut read_to) = (0, 0);
    while bytes.len() - length >= HEADER_BYTES {
        let Some(header) = BatchHeader::parse(&bytes[length..]) else { break };
        if header.bytes > bytes.len() - length || header.base_offset >= limit {
            break;
        }
        length += header.bytes;
        read_to = header.last_offset() + 1;
    }
    (length, read_to)
}
