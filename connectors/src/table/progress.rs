//! Progress of a bounded query, the records it could not decode, and the expressions it could not compute: counters
//! that its threads write and that anyone may read at any time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_formats::record::Reject;
use parking_lot::Mutex;

use crate::transport::Lost;

/// Maximum number of rejects that are kept with their reason; further ones are only counted.
pub const REJECTS_KEPT_MAX: usize = 1_000;

/// Counters of one bounded query, shared by all its scans.
#[derive(Debug, Default)]
pub struct Progress {
    records_read: AtomicU64,
    bytes_read: AtomicU64,
    offsets_done: AtomicU64,
    offsets_total: AtomicU64,
    rejects: AtomicU64,
    valueless: AtomicU64,
    keyless: AtomicU64,
    failures: AtomicU64,
    first_failure: OnceLock<String>,
    kept: Mutex<Vec<Reject>>,
    lost: Mutex<Vec<Lost>>,
    waits_for: Mutex<Option<String>>,
}

/// The counters of a [`Progress`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Records read so far.
    pub records_read: u64,
    /// Bytes of keys and values of these records.
    pub bytes_read: u64,
    /// Offsets already read, including gaps.
    pub offsets_done: u64,
    /// Offsets to read in total, including gaps.
    pub offsets_total: u64,
    /// Records that could not be decoded.
    pub rejects: u64,
    /// Records of streams that are not rows because they have no value.
    pub valueless: u64,
    /// Records of tables that are not rows because they have no key.
    pub keyless: u64,
    /// Values that are NULL because an expression could not be computed.
    pub failures: u64,
}

impl Progress {
    /// Adds offsets to the total.
    pub fn add_total(&self, offsets: u64) {
        self.offsets_total.fetch_add(offsets, Ordering::Relaxed);
    }

    /// Adds records that were read, with their size and the offsets they cover.
    pub fn add_read(&self, records: u64, bytes: u64, offsets: u64) {
        self.records_read.fetch_add(records, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.offsets_done.fetch_add(offsets, Ordering::Relaxed);
    }

    /// Adds a record that could not be decoded; the first [`REJECTS_KEPT_MAX`] are kept.
    pub fn add_reject(&self, reject: Reject) {
        self.rejects.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        if kept.len() < REJECTS_KEPT_MAX {
            kept.push(reject);
        }
    }

    /// Adds records of a stream that have no value.
    pub fn add_valueless(&self, records: u64) {
        self.valueless.fetch_add(records, Ordering::Relaxed);
    }

    /// Adds records of a table that have no key.
    pub fn add_keyless(&self, records: u64) {
        self.keyless.fetch_add(records, Ordering::Relaxed);
    }

    /// Adds values that could not be computed; the reason of the first one is kept, as text for the user.
    pub fn add_failures(&self, count: u64, reason: impl FnOnce() -> String) {
        self.failures.fetch_add(count, Ordering::Relaxed);
        self.first_failure.get_or_init(reason);
    }

    /// Adds offsets that were deleted before they were read.
    pub fn add_lost(&self, lost: Lost) {
        let mut all = self.lost.lock();
        if !all.contains(&lost) {
            all.push(lost);
        }
    }

    /// Says what the query waits for, or that it goes on.
    pub fn wait_for(&self, what: Option<String>) {
        *self.waits_for.lock() = what;
    }

    /// What the query waits for, as text for the user.
    pub fn waits_for(&self) -> Option<String> {
        self.waits_for.lock().clone()
    }

    /// The lost offsets, in the order in which they were noticed.
    pub fn lost(&self) -> Vec<Lost> {
        self.lost.lock().clone()
    }

    /// Why the first value that could not be computed failed.
    pub fn first_failure(&self) -> Option<&str> {
        self.first_failure.get().map(String::as_str)
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            records_read: read(&self.records_read),
            bytes_read: read(&self.bytes_read),
            offsets_done: read(&self.offsets_done),
            offsets_total: read(&self.offsets_total),
            rejects: read(&self.rejects),
            valueless: read(&self.valueless),
            keyless: read(&self.keyless),
            failures: read(&self.failures),
        }
    }

    /// The rejects kept so far, in the order in which they were found.
    pub fn rejects(&self) -> Vec<Reject> {
        self.kept.lock().clone()
    }
}
