//! Who waits for a partition to grow.
//!
//! Apart because the order matters: a reader registers first and looks at the log then, so nothing that
//! is appended in between is missed. A reader of many partitions registers one wake-up with all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The readers that wait at one partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next_id: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// A reader's place among the waiting; dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    id: u64,
}

impl Waiters {
    /// From now on `wake_up` is notified of every change; one that nobody waits for yet is remembered.
    pub(crate) fn register(&self, wake_up: &Arc<Notify>) -> Waiting<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(id, Arc::clone(wake_up));
        Waiting { waiters: self, id }
    }

    /// Wakes everyone who waits.
    pub(crate) fn wake_all(&self) {
        for wake_up in self.waiting.lock().values() {
            wake_up.notify_one();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.waiting.lock().remove(&self.id);
    }
}
