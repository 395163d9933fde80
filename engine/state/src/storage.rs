//! The memory that the stores of a process share, and the disk to which they move what exceeds it.
//!
//! Whoever needs memory takes it until the total exceeds the limit. From then on each store keeps only its share, which is as large a
//! part of the limit as its memory is of the total. One that has less than an equal part may grow: those that have more yield.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cold::{Cold, ColdError, Disk};

/// The part of its share that a store keeps when it moves state to disk, in percent: so that it does so seldom.
const KEPT_PERCENT: usize = 90;
/// The part of the limit by which the total may exceed it, until those that have more than an equal part have yielded.
const BEYOND_PART: usize = 4;
/// The part of the limit by which the total may exceed it because of state that is being written to disk: as much as a store hands
/// over at once.
const LEAVING_PART: usize = 4;

/// The memory and the disk of the stores of a process. A clone is the same memory and disk; the default is memory without limit.
#[derive(Clone, Debug, Default)]
pub struct Storage(Option<Arc<Limited>>);

#[derive(Debug)]
struct Limited {
    bytes_max: usize,
    /// The memory of all stores, as they reported it last, without what is leaving it.
    bytes: AtomicUsize,
    /// The memory of what was handed over to the disk and is not written yet.
    leaving: AtomicUsize,
    /// The number of stores.
    stores: AtomicUsize,
    disk: Box<dyn Disk>,
}

impl Storage {
    /// Memory of at most `bytes_max`, beyond which stores move state to a disk.
    pub fn new(bytes_max: usize, disk: impl Disk + 'static) -> Self {
        let (bytes, leaving, stores) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Some(Arc::new(Limited { bytes_max, bytes, leaving, stores, disk: Box::new(disk) })))
    }

    /// Whether there is a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// The memory of all stores in bytes, as they reported it last; 0 without limit.
    pub fn bytes(&self) -> usize {
        let all = |limited: &Arc<Limited>| {
            limited.bytes.load(Ordering::Relaxed).saturating_add(limited.leaving.load(Ordering::Relaxed))
        };
        self.0.as_ref().map_or(0, all)
    }

    /// Takes note that some bytes were handed over to the disk. A store does not report them as its own any more.
    pub(crate) fn leaving(&self, bytes: usize) {
        if let Some(limited) = &self.0 {
            limited.leaving.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes note that bytes which were handed over have left.
    pub(crate) fn left(&self, bytes: usize) {
        if let Some(limited) = &self.0 {
            limited.leaving.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Whether so much is being written to disk that whoever has handed it over must wait.
    pub(crate) fn must_wait(&self) -> bool {
        let limit = |limited: &Arc<Limited>| limited.bytes_max.saturating_add(limited.bytes_max / LEAVING_PART);
        self.0.as_ref().is_some_and(|limited| self.bytes() > limit(limited))
    }

    /// Takes note of one more store.
    pub(crate) fn enter(&self) {
        if let Some(limited) = &self.0 {
            limited.stores.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes note of one store less, which has reported that it has no memory.
    pub(crate) fn leave(&self) {
        if let Some(limited) = &self.0 {
            limited.stores.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes note that a store has `now` bytes and had `before`.
    pub(crate) fn report(&self, before: usize, now: usize) {
        let Some(limited) = &self.0 else { return };
        match now.checked_sub(before) {
            Some(more) => limited.bytes.fetch_add(more, Ordering::Relaxed),
            None => limited.bytes.fetch_sub(before - now, Ordering::Relaxed),
        };
    }

    /// Bytes that a store with `own` bytes may have, of which it has reported `reported`.
    pub(crate) fn share(&self, reported: usize, own: usize) -> usize {
        let Some(Limited { bytes_max, bytes, stores, .. }) = self.0.as_deref() else { return usize::MAX };
        let total = bytes.load(Ordering::Relaxed).saturating_sub(reported) + own;
        match bytes_max.checked_sub(total) {
            Some(left) => own + left,
            None => {
                let in_proportion = (own as u128 * *bytes_max as u128 / total.max(1) as u128) as usize;
                let equal = bytes_max / stores.load(Ordering::Relaxed).max(1);
                if total - bytes_max > bytes_max / BEYOND_PART {
                    in_proportion
                } else {
                    in_proportion.max(equal.min(own))
                }
            }
        }
    }

    /// The bytes that a store with `own` bytes is to move, of which it has reported all; 0 if everything fits.
    pub(crate) fn excess(&self, own: usize) -> usize {
        let share = self.share(own, own);
        if share >= own { 0 } else { own - share / 100 * KEPT_PERCENT }
    }

    /// A place on disk for one store. Only for storage with a limit.
    pub(crate) fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        let limited = self.0.as_ref().ok_or_else(|| ColdError::new("there is no disk"))?;
        limited.disk.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn whoever_needs_memory_gets_it_until_it_is_scarce() {
        let storage = Storage::new(1_000, MemoryDisk);
        (0..4).for_each(|_| storage.enter());
        storage.report(0, 900);
        assert_eq!((storage.share(900, 900), storage.excess(900)), (1_000, 0), "nobody else needs it");
        storage.report(0, 300);
        assert_eq!((storage.share(300, 300), storage.share(900, 900)), (250, 750), "in proportion");
        assert_eq!(storage.excess(300), 300 - 180, "and a bit less, so that it lasts");
        assert_eq!((storage.excess(200), storage.excess(250)), (0, 0), "no more than an equal part");
        storage.report(0, 60);
        assert!(storage.excess(200) > 0, "that is too much");
        storage.report(960, 100);
        assert_eq!((storage.excess(300), storage.bytes()), (0, 400));
        assert_eq!(Storage::default().excess(usize::MAX), 0);
        storage.leaving(850);
        assert_eq!((storage.bytes(), storage.must_wait(), storage.excess(300)), (1_250, false, 0), "it is leaving");
        storage.leaving(1);
        assert!(storage.must_wait());
        storage.left(851);
        assert_eq!((storage.bytes(), storage.must_wait()), (400, false));
    }
}
