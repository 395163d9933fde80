//! A wish that threads wait for: that they end, or that one of them has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A wish, not there at first; once there it stays.
#[derive(Default)]
pub struct Signal {
    wanted: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Signal {
    /// Whether it is there.
    pub fn is_set(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Wishes it; who waits goes on.
    pub fn set(&self) {
        self.wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Lets who waits go on without the wish.
    pub fn wake(&self) {
        let _held = self.lock.lock();
        self.changed.notify_all();
    }

    /// Waits for the wish or a nudge, at most so long.
    pub fn wait(&self, longest: Duration) {
        let mut held = self.lock.lock();
        if !self.is_set() {
            self.changed.wait_for(&mut held, longest);
        }
    }
}
