//! How far the clients of a run are: counters that they and the killer share.
//!
//! A client that fails ends the run: the others stop as soon as they look here.

use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An error that a thread hands to another one.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Maximum time without any progress.
const SILENCE_MAX: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The progress of a run.
#[derive(Debug, Default)]
pub struct Progress {
    records: usize,
    acknowledged: AtomicUsize,
    copied: AtomicUsize,
    /// Why the first part failed.
    failure: OnceLock<String>,
}

impl Progress {
    /// Nothing of this many records.
    pub fn new(records: usize) -> Self {
        Self { records, ..Self::default() }
    }

    /// Number of records of the run.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Number of records of the writer that are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Number of records whose copies are committed.
    pub fn copied(&self) -> usize {
        self.copied.load(Ordering::Relaxed)
    }

    /// Counts an acknowledged record.
    pub fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// The copier has committed this many records in total.
    pub fn set_copied(&self, copied: usize) {
        self.copied.store(copied, Ordering::Relaxed);
    }

    /// Runs a part of the run; when it fails, the others stop.
    pub fn guard<T>(&self, part: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        part().inspect_err(|error| drop(self.failure.set(error.to_string())))
    }

    /// Fails when a part has failed, with its error.
    pub fn check(&self) -> Result<(), Failure> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone().into()))
    }

    /// Waits until something is true. Fails when nothing progresses.
    pub fn wait_for(&self, mut is_true: impl FnMut(&Self) -> bool) -> Result<(), Failure> {
        let mut seen = (0, 0);
        let mut moved_at = Instant::now();
        while !is_true(self) {
            self.check()?;
            let now = (self.acknowledged(), self.copied());
            if now != seen {
                (seen, moved_at) = (now, Instant::now());
            }
            if moved_at.elapsed() > SILENCE_MAX {
                let (acknowledged, copied) = now;
                let so_far = format!("{acknowledged} records acknowledged and {copied} copied so far");
                return Err(format!("no progress for {SILENCE_MAX:?}: {so_far}").into());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }
}
