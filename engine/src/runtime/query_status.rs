//! The status of a running query, for everyone to read: counters, its partitions, its latest errors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use headwater_connectors::transport::{Lost, TransportError};
use headwater_dataflow::{Complaint, ComplaintKind};
use headwater_formats::record::TopicPartition;
use headwater_language::diagnostic::Diagnostic;
use parking_lot::Mutex;

use super::progress::Measured;
use crate::answer::{FaultCause, RecordFaults, RestoreProgress, StateFacts};

/// How many of the latest complaints and failures are kept.
const ERRORS_KEPT_MAX: usize = 10;

/// What a query of this process is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is joining its group and waiting for partitions.
    Starting,
    /// It is restoring its state from its changelog topics.
    Restoring,
    /// It is running.
    Running,
    /// It failed and will be retried at this time, in ms since the epoch.
    Retrying(Diagnostic, i64),
    /// It failed for good: until its definition changes or it is resumed.
    Failed(Diagnostic),
    /// It has ended.
    Ended,
}

/// What a query did between two commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    records_read: u64,
    bytes_read: u64,
    records_written: u64,
    complaints: u64,
    faults: Faults,
}

/// The number of complaints for each cause, and the address of the first record.
type Faults = BTreeMap<FaultCause, (u64, TopicPartition, i64)>;

impl Tally {
    /// Counts records that were read, and the bytes of their keys and values.
    pub fn read(&mut self, records: u64, bytes: u64) {
        self.records_read += records;
        self.bytes_read += bytes;
    }

    /// The number of records that were read.
    pub fn records_read(&self) -> usize {
        usize::try_from(self.records_read).unwrap_or(usize::MAX)
    }

    /// Counts records that were written.
    pub fn wrote(&mut self, records: u64) {
        self.records_written += records;
    }

    /// Counts a complaint.
    pub fn complained(&mut self, complaint: &Complaint) {
        self.complaints += 1;
        let first = || (0, complaint.origin.clone(), complaint.offset);
        self.faults.entry(cause(complaint)).or_insert_with(first).0 += 1;
    }
}

fn cause(complaint: &Complaint) -> FaultCause {
    match complaint.kind {
        _ if complaint.is_keyless() => FaultCause::Keyless,
        ComplaintKind::Late => FaultCause::Late,
        ComplaintKind::Deserialization => FaultCause::Undecoded,
        ComplaintKind::Processing => FaultCause::Failed,
        ComplaintKind::Serialization => FaultCause::Unwritten,
    }
}

/// The status of one query in this process.
#[derive(Debug)]
pub struct QueryStatus {
    records_read: AtomicU64,
    bytes_read: AtomicU64,
    records_written: AtomicU64,
    complaints: AtomicU64,
    unlogged: AtomicU64,
    commits: AtomicU64,
    /// Offsets that were deleted before they were read.
    lost: AtomicU64,
    /// It has committed a position in its input.
    has_position: AtomicBool,
    /// There is a warning that was not taken yet.
    has_news: AtomicBool,
    /// How often it has been resumed, as the catalog says.
    resumed: AtomicU64,
    /// When its driver last showed signs of life, in ms since the epoch.
    beat_ms: AtomicI64,
    /// Signs that it makes progress, also within one step of its driver.
    signs: AtomicU64,
    /// It was asked to end.
    ends: AtomicBool,
    /// It no longer exists.
    dropped: AtomicBool,
    changing: Mutex<Changing>,
}

#[derive(Debug)]
struct Changing {
    state: State,
    /// How far its restore is, while there is one.
    restore: Option<Measured>,
    /// Attempts that failed since the last commit.
    attempts: u64,
    share: Vec<i32>,
    errors: VecDeque<String>,
    faults: Faults,
    facts: StateFacts,
    /// Time in ms and records read at the last two commits that were some seconds apart.
    rate: [(i64, u64); 2],
    last_message_ms: Option<i64>,
    /// Rows were older than their topic keeps them.
    expiry: Option<String>,
}

/// A [`QueryStatus`] at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusSnapshot {
    /// What it is doing.
    pub state: State,
    /// How far it is while it restores its state.
    pub restore: Option<RestoreProgress>,
    /// Records read since it started here.
    pub records_read: u64,
    /// Bytes of their keys and values.
    pub bytes_read: u64,
    /// Records written since it started here.
    pub records_written: u64,
    /// Number of bad records.
    pub complaints: u64,
    /// Complaints that could not be written to the processing log.
    pub unlogged: u64,
    /// Commits since it started here.
    pub commits: u64,
    /// Attempts that failed since the last commit.
    pub attempts: u64,
    /// How often it has been resumed, as the catalog says.
    pub resumed: u64,
    /// Offsets of its partitions that were deleted before they were read, since it was created.
    pub lost: u64,
    /// Records read per second, over the last few seconds.
    pub records_per_second: f64,
    /// Time of the last commit with records, in ms since the epoch.
    pub last_message_ms: Option<i64>,
    /// Partitions of the input that this process has.
    pub share: Vec<i32>,
    /// The latest errors, newest last.
    pub errors: Vec<String>,
    /// Records that were skipped or processed only in part, by cause.
    pub faults: Vec<RecordFaults>,
    /// The state that it has here.
    pub facts: StateFacts,
}

/// Shortest time over which a rate is measured, in ms.
const RATE_MS_MIN: i64 = 5_000;

impl Default for QueryStatus {
    fn default() -> Self {
        let changing = Changing {
            state: State::Starting,
            restore: None,
            attempts: 0,
            share: Vec::new(),
            errors: VecDeque::new(),
            faults: Faults::new(),
            facts: StateFacts::default(),
            rate: [(0, 0); 2],
            last_message_ms: None,
            expiry: None,
        };
        Self {
            records_read: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            records_written: AtomicU64::new(0),
            complaints: AtomicU64::new(0),
            unlogged: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            has_position: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            resumed: AtomicU64::new(0),
            beat_ms: AtomicI64::new(i64::MAX),
            signs: AtomicU64::new(0),
            ends: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            changing: Mutex::new(changing),
        }
    }
}

impl QueryStatus {
    /// Records that the driver is alive.
    pub fn beat(&self, now_ms: i64) {
        self.beat_ms.store(now_ms, Ordering::Relaxed);
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Records progress within a long step, which is then not taken for a call that hangs.
    pub(super) fn stir(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Records progress within a long step. Fails if the query was asked to end.
    pub(super) fn go_on(&self) -> Result<(), TransportError> {
        self.stir();
        match self.ends.load(Ordering::Relaxed) {
            true => Err(TransportError::other("the query was asked to end")),
            false => Ok(()),
        }
    }

    /// Asks the query to end, also within a long step.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Records that the query no longer exists: nothing of it need be kept when it ends.
    pub(super) fn drop_query(&self) {
        self.dropped.store(true, Ordering::Relaxed);
    }

    /// Whether the query no longer exists.
    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A number that grows with each sign of progress.
    pub(super) fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// Ms since the last [`beat`](Self::beat); `None` before the first.
    pub fn silent_ms(&self, now_ms: i64) -> Option<i64> {
        let beat_ms = self.beat_ms.load(Ordering::Relaxed);
        (beat_ms != i64::MAX).then(|| now_ms - beat_ms)
    }

    /// Counts complaints that could not be written to the processing log.
    pub fn unlogged(&self, complaints: u64) {
        self.unlogged.fetch_add(complaints, Ordering::Relaxed);
    }

    /// Keeps a complaint among the latest errors.
    pub fn complained(&self, complaint: &Complaint) {
        let expr = complaint.expr.as_ref().map(|expr| format!("{expr}: ")).unwrap_or_default();
        let Complaint { origin, offset, .. } = complaint;
        self.keep_error(format!("{origin} offset {offset}: {expr}{}", complaint.text()));
    }

    /// Counts offsets that were deleted before they were read, and keeps the loss among the latest errors.
    pub fn lost(&self, lost: &Lost) {
        self.lost.fetch_add(lost.count(), Ordering::Relaxed);
        self.keep_error(lost.to_string());
    }

    /// Keeps a warning that rows are deleted soon after they were written among the latest errors, once since it started here.
    pub fn warn_of_expiry(&self, warning: String) {
        let mut changing = self.changing.lock();
        if changing.expiry.is_none() {
            changing.expiry = Some(warning.clone());
            self.has_news.store(true, Ordering::Relaxed);
            drop(changing);
            self.keep_error(warning);
        }
    }

    /// The warning that rows are deleted soon after they were written, once, for the log.
    pub fn take_news(&self) -> Option<String> {
        if !self.has_news.load(Ordering::Relaxed) || !self.has_news.swap(false, Ordering::Relaxed) {
            return None;
        }
        self.changing.lock().expiry.clone()
    }

    /// Sets how many offsets of the partitions here were lost earlier.
    pub fn set_lost(&self, lost: u64) {
        self.lost.store(lost, Ordering::Relaxed);
    }

    /// Records that a position in the input has been committed.
    pub fn found_position(&self) {
        self.has_position.store(true, Ordering::Relaxed);
    }

    /// Whether a position in the input has been committed, as far as is known here.
    pub fn has_position(&self) -> bool {
        self.has_position.load(Ordering::Relaxed)
    }

    /// Sets the partitions of the input that this process has now, and whether its state must be restored first.
    pub fn set_share<'p>(&self, partitions: impl Iterator<Item = &'p TopicPartition>, restoring: bool) {
        let mut changing = self.changing.lock();
        changing.share = partitions.map(|p| p.partition).collect();
        changing.state = if restoring { State::Restoring } else { State::Running };
        if !restoring {
            changing.restore = None;
        }
    }

    /// Records how far the restore of its state is: the number of records that are restored, and of all.
    pub(super) fn restoring(&self, (done, total): (u64, u64), now_ms: i64) {
        let mut changing = self.changing.lock();
        let begun = changing.restore.unwrap_or_else(|| Measured::begin(total, now_ms));
        changing.restore = Some(begun.advanced((done, total), now_ms));
    }

    /// Records a commit and counts what it contains: what is not committed never happened.
    pub fn committed(&self, tally: Tally, now_ms: i64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let count = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed);
        count(&self.records_read, tally.records_read);
        count(&self.bytes_read, tally.bytes_read);
        count(&self.records_written, tally.records_written);
        count(&self.complaints, tally.complaints);
        let read = self.records_read.load(Ordering::Relaxed);
        let mut changing = self.changing.lock();
        for (cause, (count, partition, offset)) in tally.faults {
            changing.faults.entry(cause).or_insert((0, partition, offset)).0 += count;
        }
        changing.last_message_ms = Some(now_ms);
        changing.attempts = 0;
        if changing.rate[1].0 == 0 {
            changing.rate = [(now_ms, 0), (now_ms, read)];
        }
        if now_ms - changing.rate[0].0 >= RATE_MS_MIN {
            changing.rate = [changing.rate[1], (now_ms, read)];
        } else {
            changing.rate[1] = (now_ms, read);
        }
    }

    /// Sets what state it has here.
    pub(super) fn set_facts(&self, facts: StateFacts) {
        self.changing.lock().facts = facts;
    }

    /// Sets how often it has been resumed.
    pub fn set_resumed(&self, times: u64) {
        self.resumed.store(times, Ordering::Relaxed);
    }

    /// Sets the state. A failure is kept among the latest errors.
    pub fn set_state(&self, state: State) {
        let failed = matches!(&state, State::Retrying(..) | State::Failed(_));
        if let State::Retrying(error, _) | State::Failed(error) = &state {
            self.keep_error(error.to_string());
        }
        let mut changing = self.changing.lock();
        changing.attempts += u64::from(failed);
        if state != State::Restoring {
            changing.restore = None;
        }
        changing.state = state;
    }

    fn keep_error(&self, error: String) {
        let mut changing = self.changing.lock();
        if changing.errors.len() >= ERRORS_KEPT_MAX {
            changing.errors.pop_front();
        }
        changing.errors.push_back(error);
    }

    /// The number of commits so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// What the query does.
    pub(super) fn state(&self) -> State {
        self.changing.lock().state.clone()
    }

    /// The status now.
    pub fn snapshot(&self) -> StatusSnapshot {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let changing = self.changing.lock();
        let [(from_ms, from), (to_ms, to)] = changing.rate;
        let seconds = (to_ms - from_ms) as f64 / 1000.0;
        StatusSnapshot {
            state: changing.state.clone(),
            restore: changing.restore.map(Measured::progress),
            attempts: changing.attempts,
            resumed: self.resumed.load(Ordering::Relaxed),
            records_read: count(&self.records_read),
            bytes_read: count(&self.bytes_read),
            records_written: count(&self.records_written),
            complaints: count(&self.complaints),
            unlogged: count(&self.unlogged),
            commits: count(&self.commits),
            lost: count(&self.lost),
            records_per_second: if seconds > 0.0 { to.saturating_sub(from) as f64 / seconds } else { 0.0 },
            last_message_ms: changing.last_message_ms,
            share: changing.share.clone(),
            errors: changing.errors.iter().cloned().collect(),
            faults: changing.faults.iter().map(faults).collect(),
            facts: changing.facts.clone(),
        }
    }
}

fn faults((cause, (count, partition, offset)): (&FaultCause, &(u64, TopicPartition, i64))) -> RecordFaults {
    let first = (partition.topic.to_string(), partition.partition, *offset);
    RecordFaults { cause: *cause, count: *count, first }
}
