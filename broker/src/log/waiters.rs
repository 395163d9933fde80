//! The readers that wait for a partition to grow.
//!
//! Separate because the order matters: a reader registers first and looks at the log afterwards, so it misses no append
//! in between. A reader of many partitions registers the same `Notify` with all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The readers that wait for one partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next_id: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// A registered reader; dropping it ends the registration.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    id: u64,
}

impl Waiters {
    /// Notifies `wake_up` of every change from now on; a notification that nobody waits for yet is kept.
    pub(crate) fn register(&self, wake_up: &Arc<Notify>) -> Waiting<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(id, Arc::clone(wake_up));
        Waiting { waiters: self, id }
    }

    /// Wakes all registered readers.
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
