//! The status of a running query, for everyone to read: counters, its partitions, its latest errors.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use headwater_connectors::transport::Lost;
use headwater_dataflow::Complaint;
use headwater_formats::record::TopicPartition;
use headwater_language::diagnostic::Diagnostic;
use parking_lot::Mutex;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    records_read: u64,
    bytes_read: u64,
    records_written: u64,
    complaints: u64,
}

impl Tally {
    /// Counts records that were read, and the bytes of their keys and values.
    pub fn read(&mut self, records: u64, bytes: u64) {
        self.records_read += records;
        self.bytes_read += bytes;
    }

    /// Counts records that were written.
    pub fn wrote(&mut self, records: u64) {
        self.records_written += records;
    }

    /// Counts a complaint.
    pub fn complained(&mut self) {
        self.complaints += 1;
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
    /// It has made progress since it was last looked at, and when that was seen, in ms since the epoch.
    has_stirred: AtomicBool,
    stirred_ms: AtomicI64,
    changing: Mutex<Changing>,
}

#[derive(Debug)]
struct Changing {
    state: State,
    /// Attempts that failed since the last commit.
    attempts: u64,
    share: Vec<i32>,
    errors: VecDeque<String>,
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
}

/// Shortest time over which a rate is measured, in ms.
const RATE_MS_MIN: i64 = 5_000;

impl Default for QueryStatus {
    fn default() -> Self {
        let changing = Changing {
            state: State::Starting,
            attempts: 0,
            share: Vec::new(),
            errors: VecDeque::new(),
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
            has_stirred: AtomicBool::new(false),
            stirred_ms: AtomicI64::new(i64::MIN),
            changing: Mutex::new(changing),
        }
    }
}

impl QueryStatus {
    /// Records that the driver is alive.
    pub fn beat(&self, now_ms: i64) {
        self.beat_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Records that the driver makes progress within a step, which has no clock.
    pub fn stir(&self) {
        self.has_stirred.store(true, Ordering::Relaxed);
    }

    /// Ms since the last [`beat`](Self::beat); `None` before the first.
    pub fn silent_ms(&self, now_ms: i64) -> Option<i64> {
        let beat_ms = self.beat_ms.load(Ordering::Relaxed);
        (beat_ms != i64::MAX).then(|| now_ms - beat_ms)
    }

    /// Ms without a beat and without progress, as far as this was called before; `None` before the first beat.
    pub fn stuck_ms(&self, now_ms: i64) -> Option<i64> {
        if self.has_stirred.swap(false, Ordering::Relaxed) {
            self.stirred_ms.store(now_ms, Ordering::Relaxed);
        }
        let stirred_ms = self.stirred_ms.load(Ordering::Relaxed);
        self.silent_ms(now_ms).map(|silent_ms| silent_ms.min(now_ms.saturating_sub(stirred_ms)))
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
        changing.state = state;
    }

    fn keep_error(&self, error: String) {
        let mut changing = self.changing.lock();
        if changing.errors.len() >= ERRORS_KEPT_MAX {
            changing.errors.pop_front();
        }
        changing.errors.push_back(error);
    }

    /// The status now.
    pub fn snapshot(&self) -> StatusSnapshot {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let changing = self.changing.lock();
        let [(from_ms, from), (to_ms, to)] = changing.rate;
        let seconds = (to_ms - from_ms) as f64 / 1000.0;
        StatusSnapshot {
            state: changing.state.clone(),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a step that takes long is not mistaken for one that is stuck, and one that is stuck is noticed.
    #[test]
    fn progress_within_a_step_breaks_the_silence() {
        let status = QueryStatus::default();
        status.stir();
        assert_eq!(status.stuck_ms(5), None, "it has not begun");
        status.beat(10);
        assert_eq!([status.stuck_ms(110), status.silent_ms(110)], [Some(100); 2]);
        status.stir();
        assert_eq!([status.stuck_ms(200), status.stuck_ms(290)], [Some(0), Some(90)]);
        assert_eq!(status.silent_ms(290), Some(280), "it has not asked its group since");
    }
}
