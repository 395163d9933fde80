//! A wish that threads wait for: that they end, or that one of them has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A wish, not there at first; once there it stays.
#[derive(Default)]
pub struct Stop {
    wanted: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Whether it is there.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Wishes it; who waits goes on.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Release);
        self.nudge();
    }

    /// Lets who waits go on without the wish.
    pub fn nudge(&self) {
        let _held = self.lock.lock();
        self.changed.notify_all();
    }

    /// Waits for the wish or a nudge, at most so long.
    pub fn wait(&self, longest: Duration) {
        let mut held = self.lock.lock();
        if !self.is_wanted() {
            self.changed.wait_for(&mut held, longest);
        }
    }
}
