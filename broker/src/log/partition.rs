//! The log of one partition: appending, ending transactions, and moving its start.
//!
//! Separate because this is the one place where the segments, the producers and the transactions of a partition change
//! together, under a lock that no other partition shares. Reading is in `read`, opening in `recovery`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, MutexGuard};

use super::batch::{self, BatchHeader};
use super::compaction::Compacted;
use super::extent::{ExtentTracker, LostRange};
use super::medium::{Flush, Medium};
use super::produced::check_produced;
use super::producer::Producer;
use super::producers::{ProducerActivity, Producers, Verdict};
use super::record;
use super::segment::Segment;
use super::store::{SegmentName, SegmentStore};
use super::transactions::PartitionTransactions;
use super::waiters::{Waiters, Waiting};
use crate::failure::FailureTracker;
use crate::topic_partition::TopicPartition;

/// There is one leader for every partition and it never changes, so there is one epoch.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The log of a partition.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) store: SegmentStore,
    pub(super) state: Mutex<State>,
    waiters: Waiters,
    pub(super) read_failures: Mutex<FailureTracker>,
    /// Whether `read_failures` tracks a failure; checked on every read, without a lock.
    pub(super) reads_fail: AtomicBool,
}

/// The part of a log that is protected by its lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) topic_partition: TopicPartition,
    pub(super) extent: ExtentTracker,
    /// In ascending order; never empty. Appends go to the last one.
    pub(super) segments: Vec<Segment>,
    /// What compaction has done to them.
    pub(super) compacted: Compacted,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) producers: Producers,
    pub(super) transactions: PartitionTransactions,
    /// Offsets whose records are lost, in ascending order.
    pub(super) lost: Vec<LostRange>,
    pub(super) write_failures: FailureTracker,
    pub(super) compaction_failures: FailureTracker,
    pub(super) unsynced: Unsynced,
    /// The error for appends after the log was closed.
    pub(super) closed: Option<ResponseError>,
}

/// What was written and not forced to the disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// When the first of it was written, in ms.
    since_ms: Option<i64>,
    media: Vec<Arc<Medium>>,
}

impl Unsynced {
    fn add(&mut self, medium: &Arc<Medium>, now_ms: i64) {
        self.since_ms.get_or_insert(now_ms);
        if self.media.last().is_none_or(|last| !Arc::ptr_eq(last, medium)) {
            self.media.push(Arc::clone(medium));
        }
    }
}

/// The topic settings that matter to appends.
#[derive(Clone, Debug)]
pub(crate) struct AppendRules {
    pub(crate) batch_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    /// How much later than the first record of a segment its records may be, in ms.
    pub(crate) segment_ms: i64,
    pub(crate) index_interval_bytes: u64,
    /// Whether the broker's timestamp replaces the producer's.
    pub(crate) append_time: bool,
    /// How far a record's timestamp may be ahead of the broker's clock, in ms.
    pub(crate) ahead_ms_max: i64,
    /// How far a record's timestamp may be behind the broker's clock, in ms.
    pub(crate) behind_ms_max: i64,
    /// Whether records without a key are refused (compacted topics).
    pub(crate) keys_required: bool,
    pub(crate) flush: Flush,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The broker's timestamp if it replaced the producer's, otherwise -1.
    pub(crate) append_time_ms: i64,
    pub(crate) start_offset: i64,
}

/// The start and end offsets of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) start: i64,
    /// The last stable offset: the first record of an open transaction, or the end.
    pub(crate) stable: i64,
    pub(crate) end: i64,
}

impl Log {
    pub(super) fn new(store: SegmentStore, state: State) -> Log {
        Log {
            store,
            state: Mutex::new(state),
            waiters: Waiters::default(),
            read_failures: Mutex::default(),
            reads_fail: AtomicBool::new(false),
        }
    }

    /// Appends one batch as a client sent it. A duplicate from an idempotent producer is not appended again; the result
    /// is that of the original.
    pub(crate) fn append(&self, bytes: &Bytes, rules: &AppendRules, now_ms: i64) -> Result<Appended, ResponseError> {
        let header = check_produced(bytes, rules.batch_bytes_max)?;
        check_records(bytes, &header, rules, now_ms)?;
        let appended = self.writable()?.append(&self.store, bytes, header, rules, now_ms)?;
        self.waiters.wake_all();
        Ok(appended)
    }

    /// Allows a producer to write transactional records until [`Log::end_transaction`].
    pub(crate) fn announce(&self, producer: Producer) -> Result<(), ResponseError> {
        let mut state = self.writable()?;
        if state.producers.epoch(producer.id).is_some_and(|epoch| epoch > producer.epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        state.transactions.announce(producer);
        Ok(())
    }

    /// Writes the marker that ends a producer's transaction. Does nothing if none is open, so that the call can be
    /// repeated.
    pub(crate) fn end_transaction(
        &self,
        producer: Producer,
        commit: bool,
        rules: &AppendRules,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let mut state = self.writable()?;
        if state.transactions.is_open(producer.id) {
            state.append_marker(&self.store, producer, commit, rules, now_ms)?;
            drop(state);
            self.waiters.wake_all();
        }
        Ok(())
    }

    /// The producers with open transactions.
    pub(crate) fn open_transactions(&self) -> Vec<Producer> {
        self.state.lock().transactions.open_producers()
    }

    /// The start of a producer's open transaction if records after it are lost; the marker that ended it may be among
    /// them.
    pub(crate) fn start_before_loss(&self, producer_id: i64) -> Option<i64> {
        let state = self.state.lock();
        let start = state.transactions.start_of(producer_id)?;
        let is_followed_by_loss = state.lost.iter().any(|lost| lost.next_offset > start);
        is_followed_by_loss.then_some(start)
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed.is_some()
    }

    /// The state of all known producers.
    pub(crate) fn activity(&self) -> Vec<ProducerActivity> {
        let state = self.state.lock();
        let start_of = |activity: &ProducerActivity| state.transactions.start_of(activity.producer.id);
        state.producers.activity().map(|one| ProducerActivity { transaction_start: start_of(&one), ..one }).collect()
    }

    /// The start, the last stable offset and the end.
    pub(crate) fn ends(&self) -> Ends {
        self.state.lock().ends()
    }

    /// The size of all segments, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().segments.iter().map(|segment| segment.length).sum()
    }

    /// Begins a new segment unless the last one is empty, so that all records that exist can be removed from the disk.
    pub(crate) fn roll(&self, rules: &AppendRules) -> Result<(), ResponseError> {
        let mut state = self.writable()?;
        if state.segments.last().is_some_and(|last| last.length > 0) {
            state.begin_segment(&self.store, rules.index_interval_bytes);
            let end = state.end_offset;
            // Otherwise the log would seem to have lost its last segment once the one before is removed.
            let made = state.segments.last().map_or(Ok(()), |last| last.medium.make());
            made.and_then(|()| state.extent.settle(end, end)).map_err(|_| ResponseError::KafkaStorageError)?;
        }
        Ok(())
    }

    /// Moves the start up to `offset` (the end for -1) and removes the segments that are entirely before it. The caller
    /// must save the new start: it cannot be derived from the files.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<i64, ResponseError> {
        let removed = {
            let mut state = self.writable()?;
            let offset = if offset == -1 { state.end_offset } else { offset };
            if offset < 0 || offset > state.end_offset {
                return Err(ResponseError::OffsetOutOfRange);
            }
            state.move_start(offset)
        };
        remove_segments(&removed);
        self.waiters.wake_all();
        Ok(self.ends().start)
    }

    /// Removes the state of producers that have been idle since `before_ms`.
    pub(crate) fn forget_idle_producers(&self, before_ms: i64) {
        let mut state = self.state.lock();
        let State { producers, transactions, .. } = &mut *state;
        producers.forget_idle(before_ms, |id| transactions.is_open(id));
    }

    /// Forces to the disk what was written, if the first of it was written before `before_ms`. Appends go on meanwhile.
    pub(crate) fn sync_older(&self, before_ms: i64) -> io::Result<()> {
        let unsynced = {
            let mut state = self.state.lock();
            let is_due = state.unsynced.since_ms.is_some_and(|since_ms| since_ms < before_ms);
            if is_due { std::mem::take(&mut state.unsynced) } else { return Ok(()) }
        };
        // A segment that was removed meanwhile has nothing to keep.
        let synced = unsynced.media.iter().filter(|medium| medium.exists()).try_for_each(|medium| {
            medium.sync()?;
            medium.sync_name()
        });
        if synced.is_err() {
            let mut state = self.state.lock();
            let later = std::mem::replace(&mut state.unsynced, unsynced);
            later.media.iter().for_each(|medium| state.unsynced.add(medium, before_ms));
        }
        synced
    }

    /// Closes the log: written bytes are forced to the disk, and every later call fails with `reason`.
    pub(crate) fn close(&self, reason: ResponseError) -> io::Result<()> {
        self.sync_older(i64::MAX).and(self.close_last(reason))
    }

    fn close_last(&self, reason: ResponseError) -> io::Result<()> {
        let mut state = self.state.lock();
        let first = state.closed.replace(reason).is_none();
        let written = state.segments.last().filter(|segment| first && segment.length > 0);
        let last = written.map(|last| (last.base_offset, last.medium.clone()));
        drop(state);
        self.waiters.wake_all();
        let Some((last_segment, medium)) = last else { return Ok(()) };
        medium.sync()?;
        let mut state = self.state.lock();
        let end = state.end_offset;
        state.extent.settle(last_segment, end)
    }

    /// Removes the log with all of its files.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.closed = Some(ResponseError::UnknownTopicOrPartition);
        drop(state);
        self.waiters.wake_all();
        self.store.remove()
    }

    /// Registers a reader to be woken at every change. Register first and read afterwards.
    pub(crate) fn register<'a>(&'a self, wake_up: &std::sync::Arc<tokio::sync::Notify>) -> Waiting<'a> {
        self.waiters.register(wake_up)
    }

    fn writable(&self) -> Result<MutexGuard<'_, State>, ResponseError> {
        let state = self.state.lock();
        match state.closed {
            Some(reason) => Err(reason),
            None => Ok(state),
        }
    }
}

impl State {
    pub(super) fn ends(&self) -> Ends {
        let stable = self.transactions.first_open_offset().unwrap_or(self.end_offset);
        Ends { start: self.start_offset, stable, end: self.end_offset }
    }

    /// Updates the state with a batch of the log; `commits` is given for markers.
    pub(super) fn apply(&mut self, header: &BatchHeader, commits: Option<bool>, now_ms: i64) {
        if let Some(commits) = commits {
            self.producers.ended(header.producer, header.base_offset, now_ms);
            self.transactions.ended(header.producer, commits, header.base_offset);
        } else if !header.is_control() {
            self.producers.appended(header, now_ms);
            // Compaction leaves batches without records, whose transactions may have lost their ends.
            if header.records > 0 {
                self.transactions.appended(header);
            }
        }
        self.end_offset = header.last_offset() + 1;
    }

    fn append(
        &mut self,
        store: &SegmentStore,
        bytes: &Bytes,
        header: BatchHeader,
        rules: &AppendRules,
        now_ms: i64,
    ) -> Result<Appended, ResponseError> {
        if let Verdict::Duplicate { base_offset } = self.producers.check(&header)? {
            return Ok(Appended { base_offset, append_time_ms: -1, start_offset: self.start_offset });
        }
        self.transactions.check(&header)?;
        let base_offset = self.end_offset;
        let mut batch_bytes = batch::with_base_offset(bytes, base_offset, LEADER_EPOCH);
        let mut header = BatchHeader { base_offset, ..header };
        let mut append_time_ms = -1;
        if rules.append_time {
            batch::stamp_append_time(&mut batch_bytes, now_ms);
            append_time_ms = now_ms;
            header.max_timestamp_ms = now_ms;
        }
        self.write(store, &header, batch_bytes.freeze(), rules, now_ms)?;
        self.apply(&header, None, now_ms);
        Ok(Appended { base_offset, append_time_ms, start_offset: self.start_offset })
    }

    fn append_marker(
        &mut self,
        store: &SegmentStore,
        producer: Producer,
        commit: bool,
        rules: &AppendRules,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let bytes = batch::marker(producer, commit, self.end_offset, LEADER_EPOCH, now_ms);
        let header = BatchHeader::parse(&bytes).ok_or(ResponseError::UnknownServerError)?;
        self.write(store, &header, bytes, rules, now_ms)?;
        self.apply(&header, Some(commit), now_ms);
        Ok(())
    }

    /// Writes a batch. A disk that is full or broken is logged once, and the client gets KAFKA_STORAGE_ERROR.
    fn write(
        &mut self,
        store: &SegmentStore,
        header: &BatchHeader,
        batch: Bytes,
        rules: &AppendRules,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let bytes = batch.len() as u64;
        let written = self.write_batch(store, header, batch, rules);
        if let (Ok(()), Flush::Every(_), Some(segment)) = (&written, rules.flush, self.segments.last()) {
            self.unsynced.add(&segment.medium, now_ms);
        }
        let TopicPartition { topic, partition } = &self.topic_partition;
        match &written {
            Err(error) if self.write_failures.failed(error, bytes, now_ms) => {
                tracing::error!(topic, partition, %error, "could not append to a log; appends will fail until this is resolved");
            }
            Err(_) => {}
            Ok(()) => {
                if let Some(failures) = self.write_failures.succeeded(bytes, now_ms) {
                    tracing::warn!(topic, partition, failures, "appending to the log works again");
                }
            }
        }
        written.map_err(|_| ResponseError::KafkaStorageError)
    }

    fn write_batch(
        &mut self,
        store: &SegmentStore,
        header: &BatchHeader,
        batch: Bytes,
        rules: &AppendRules,
    ) -> io::Result<()> {
        self.roll_when_full(store, header, rules);
        let Some(segment) = self.segments.last_mut() else { return Err(io::Error::other("the log has no segments")) };
        let sync = rules.flush == Flush::EveryAppend;
        let next_end = header.last_offset() + 1;
        if self.extent.must_reserve(segment.base_offset, next_end) {
            // The file is created first: if an extent is saved and its file is missing, somebody removed the file.
            segment.medium.make()?;
            if sync {
                segment.medium.sync_name()?;
            }
            self.extent.reserve(segment.base_offset, self.end_offset, next_end)?;
        }
        segment.append(header, batch, sync)
    }

    fn roll_when_full(&mut self, store: &SegmentStore, header: &BatchHeader, rules: &AppendRules) {
        let is_full = |last: &Segment| last.length > 0 && last.length + header.bytes as u64 > rules.segment_bytes;
        // The end of a transaction has the time of the broker, which may be years after that of its records.
        let is_late =
            |first_ms: i64| !header.is_control() && header.max_timestamp_ms.saturating_sub(first_ms) > rules.segment_ms;
        if self.segments.last().is_some_and(|last| is_full(last) || last.first_ms.is_some_and(is_late)) {
            self.begin_segment(store, rules.index_interval_bytes);
        }
    }

    /// Starts a new segment at the end.
    pub(super) fn begin_segment(&mut self, store: &SegmentStore, index_interval_bytes: u64) {
        let ended = self.end_state();
        if let Some(last) = self.segments.last_mut() {
            last.ended = Some(ended);
        }
        let name = SegmentName::appended(self.end_offset);
        self.segments.push(Segment::new(store, name, index_interval_bytes));
    }

    pub(super) fn move_start(&mut self, offset: i64) -> Vec<Segment> {
        self.start_offset = self.start_offset.max(offset);
        self.transactions.forget_ended_before(self.start_offset);
        self.lost.retain(|lost| lost.next_offset > self.start_offset);
        let whole = self.segments.partition_point(|segment| segment.base_offset <= self.start_offset);
        self.segments.drain(..whole.saturating_sub(1)).collect()
    }
}

/// Removes segments from the disk. What cannot be removed is removed when the log is opened again.
pub(crate) fn remove_segments(segments: &[Segment]) {
    for segment in segments {
        if let Err(error) = segment.medium.remove() {
            tracing::warn!(segment = segment.medium.name(), %error, "could not remove a segment");
        }
    }
}

fn check_records(bytes: &Bytes, header: &BatchHeader, rules: &AppendRules, now_ms: i64) -> Result<(), ResponseError> {
    let ahead_ms = header.max_timestamp_ms.saturating_sub(now_ms);
    let behind_ms = now_ms.saturating_sub(header.base_timestamp_ms);
    if !rules.append_time && (ahead_ms > rules.ahead_ms_max || behind_ms > rules.behind_ms_max) {
        return Err(ResponseError::InvalidTimestamp);
    }
    if rules.keys_required {
        let keyless = record::find(bytes, |record| !record.has_key).map_err(|unreadable| match unreadable {
            record::Unreadable::Damaged => ResponseError::CorruptMessage,
            record::Unreadable::TooLarge => ResponseError::MessageTooLarge,
        })?;
        if keyless.is_some() {
            return Err(ResponseError::InvalidRecord);
        }
    }
    Ok(())
}
