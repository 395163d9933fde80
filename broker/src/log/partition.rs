//! The log of one partition: appending, ending transactions, and moving its start.
//!
//! Apart as the one place where the segments, the producers and the transactions of a partition change
//! together, under one lock that no other partition knows. Reading is in `read`, starting in `recovery`.

use std::io;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, MutexGuard};

use super::batch::{self, BatchHeader};
use super::codec;
use super::extent::{ExtentTracker, LostRange};
use super::medium::Flush;
use super::produced::check_produced;
use super::producer::Producer;
use super::producers::{ProducerActivity, Producers, Verdict};
use super::segment::Segment;
use super::store::SegmentStore;
use super::transactions::PartitionTransactions;
use super::waiters::{Waiters, Waiting};
use crate::failure::FailureTracker;
use crate::topic_partition::TopicPartition;

/// One broker leads every partition for ever, so there is one epoch.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// A partition's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) store: SegmentStore,
    pub(super) state: Mutex<State>,
    waiters: Waiters,
    pub(super) read_failures: Mutex<FailureTracker>,
    /// Whether `read_failures` has something to say: looked at by every read.
    pub(super) reads_fail: AtomicBool,
}

/// What changes together.
#[derive(Debug)]
pub(super) struct State {
    pub(super) topic_partition: TopicPartition,
    pub(super) extent: ExtentTracker,
    /// Ascending; the last one grows. Never empty.
    pub(super) segments: Vec<Segment>,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) producers: Producers,
    pub(super) transactions: PartitionTransactions,
    /// Offsets whose records are gone, ascending.
    pub(super) lost: Vec<LostRange>,
    pub(super) write_failures: FailureTracker,
    /// Why nothing can be appended any more.
    pub(super) closed: Option<ResponseError>,
}

/// How a topic wants its records.
#[derive(Clone, Debug)]
pub(crate) struct AppendRules {
    pub(crate) batch_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) index_interval_bytes: u64,
    /// The broker's time replaces the producer's.
    pub(crate) append_time: bool,
    /// How far a record's time may lie ahead of the broker's, in ms.
    pub(crate) ahead_ms_max: i64,
    /// How far it may lie behind, in ms.
    pub(crate) behind_ms_max: i64,
    /// Records without a key are refused (compacted topics).
    pub(crate) keys_required: bool,
    pub(crate) flush: Flush,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The broker's time when it replaced the producer's, else -1.
    pub(crate) append_time_ms: i64,
    pub(crate) start_offset: i64,
}

/// The ends of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) start: i64,
    /// The first record that is not decided yet; the end when all are.
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

    /// Appends one batch as a client sent it. A repeat of an idempotent producer appends nothing and is told
    /// where the first one went.
    pub(crate) fn append(&self, bytes: &Bytes, rules: &AppendRules, now_ms: i64) -> Result<Appended, ResponseError> {
        let header = check_produced(bytes, rules.batch_bytes_max)?;
        check_records(bytes, &header, rules, now_ms)?;
        let appended = self.writable()?.append(&self.store, bytes, header, rules, now_ms)?;
        self.waiters.wake_all();
        Ok(appended)
    }

    /// Lets a producer write transactional records until [`Log::end_transaction`].
    pub(crate) fn announce(&self, producer: Producer) -> Result<(), ResponseError> {
        let mut state = self.writable()?;
        if state.producers.epoch(producer.id).is_some_and(|epoch| epoch > producer.epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        state.transactions.announce(producer);
        Ok(())
    }

    /// Writes the marker that ends a producer's transaction; nothing when none is open here, so that it can
    /// be tried again.
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

    /// Producers whose transactions are open.
    pub(crate) fn open_transactions(&self) -> Vec<Producer> {
        self.state.lock().transactions.open_producers()
    }

    /// Where a producer's open transaction begins, when records behind it are lost: its end may be among them.
    pub(crate) fn start_in_front_of_loss(&self, producer_id: i64) -> Option<i64> {
        let state = self.state.lock();
        let start = state.transactions.start_of(producer_id)?;
        let behind = state.lost.iter().any(|lost| lost.next_offset > start);
        behind.then_some(start)
    }

    /// What is remembered of the producers.
    pub(crate) fn activity(&self) -> Vec<ProducerActivity> {
        let state = self.state.lock();
        let start_of = |activity: &ProducerActivity| state.transactions.start_of(activity.producer.id);
        state.producers.activity().map(|one| ProducerActivity { transaction_start: start_of(&one), ..one }).collect()
    }

    /// Start, last stable offset and end.
    pub(crate) fn ends(&self) -> Ends {
        self.state.lock().ends()
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().segments.iter().map(|segment| segment.length).sum()
    }

    /// Moves the start up to `offset` (the end for -1) and removes the segments that lie in front of it as a
    /// whole. The new start must be kept by the caller: a restart does not know it.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<i64, ResponseError> {
        let removed = {
            let mut state = self.writable()?;
            let offset = if offset == -1 { state.end_offset } else { offset };
            if offset < 0 || offset > state.end_offset {
                return Err(ResponseError::OffsetOutOfRange);
            }
            state.move_start(offset)
        };
        for segment in removed {
            if let Err(error) = segment.medium.remove() {
                tracing::warn!(segment = segment.medium.name(), %error, "could not remove a segment");
            }
        }
        self.waiters.wake_all();
        Ok(self.ends().start)
    }

    /// Forgets producers that were idle since `before_ms`.
    pub(crate) fn forget_idle_producers(&self, before_ms: i64) {
        let mut state = self.state.lock();
        let State { producers, transactions, .. } = &mut *state;
        producers.forget_idle(before_ms, |id| transactions.is_open(id));
    }

    /// Ends the log's use: what was written is forced to the disk, and whoever comes later is told `reason`.
    pub(crate) fn close(&self, reason: ResponseError) -> io::Result<()> {
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

    /// Removes the log with everything in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.closed = Some(ResponseError::UnknownTopicOrPartition);
        drop(state);
        self.waiters.wake_all();
        self.store.remove()
    }

    /// Wakes the reader at every change from now on; register first, look then.
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

    /// Brings the memory up to date with a batch of the log; `commits` for markers.
    pub(super) fn apply(&mut self, header: &BatchHeader, commits: Option<bool>, now_ms: i64) {
        if let Some(commits) = commits {
            self.producers.ended(header.producer, now_ms);
            self.transactions.ended(header.producer, commits, header.base_offset);
        } else if !header.is_control() {
            self.producers.appended(header, now_ms);
            self.transactions.appended(header);
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

    /// Writes a batch; a full or broken disk is reported once, and told to the client as what it is.
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
        let TopicPartition { topic, partition } = &self.topic_partition;
        match &written {
            Err(error) if self.write_failures.failed(error, bytes, now_ms) => {
                tracing::error!(topic, partition, %error, "could not append to a log; failing until this is resolved");
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
        self.roll_when_full(store, batch.len() as u64, rules);
        let Some(segment) = self.segments.last_mut() else { return Err(io::Error::other("a log without segments")) };
        let sync = rules.flush == Flush::EveryAppend;
        let next_end = header.last_offset() + 1;
        if self.extent.must_reserve(segment.base_offset, next_end) {
            // The file comes first: a file that is saved_extent and missing was removed.
            segment.medium.make()?;
            if sync {
                segment.medium.sync_name()?;
            }
            self.extent.reserve(segment.base_offset, self.end_offset, next_end)?;
        }
        segment.append(header, batch, sync)
    }

    fn roll_when_full(&mut self, store: &SegmentStore, bytes: u64, rules: &AppendRules) {
        let full = |last: &Segment| last.length > 0 && last.length + bytes > rules.segment_bytes;
        if self.segments.last().is_some_and(full) {
            self.begin_segment(store, rules.index_interval_bytes);
        }
    }

    /// Goes on in a segment of its own.
    pub(super) fn begin_segment(&mut self, store: &SegmentStore, index_interval_bytes: u64) {
        let segment = Segment::new(self.end_offset, store.segment(self.end_offset), index_interval_bytes);
        self.segments.push(segment);
    }

    fn move_start(&mut self, offset: i64) -> Vec<Segment> {
        self.start_offset = self.start_offset.max(offset);
        self.transactions.forget_before(self.start_offset);
        self.lost.retain(|lost| lost.next_offset > self.start_offset);
        let whole = self.segments.partition_point(|segment| segment.base_offset <= self.start_offset);
        self.segments.drain(..whole.saturating_sub(1)).collect()
    }
}

fn check_records(bytes: &Bytes, header: &BatchHeader, rules: &AppendRules, now_ms: i64) -> Result<(), ResponseError> {
    let ahead_ms = header.max_timestamp_ms.saturating_sub(now_ms);
    let behind_ms = now_ms.saturating_sub(header.base_timestamp_ms);
    if !rules.append_time && (ahead_ms > rules.ahead_ms_max || behind_ms > rules.behind_ms_max) {
        return Err(ResponseError::InvalidTimestamp);
    }
    if rules.keys_required {
        let keyless = codec::find(bytes, |record| !record.has_key).map_err(|unreadable| match unreadable {
            codec::Unreadable::Damaged => ResponseError::CorruptMessage,
            codec::Unreadable::TooLarge => ResponseError::MessageTooLarge,
        })?;
        if keyless.is_some() {
            return Err(ResponseError::InvalidRecord);
        }
    }
    Ok(())
}
