//! A one-shot signal between threads: that one should end, or that one has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A signal that threads can wait for. Initially unset; once set, it stays set.
#[derive(Default)]
pub struct Signal {
    wanted: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Signal {
    /// Whether the signal is set.
    pub fn is_set(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Sets the signal and wakes everyone who waits for it.
    pub fn set(&self) {
        self.wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes everyone who waits, without setting the signal.
    pub fn wake(&self) {
        let _held = self.lock.lock();
        self.changed.notify_all();
    }

    /// Waits until the signal is set or [`wake`](Self::wake) is called, for at most `longest`.
    pub fn wait(&self, longest: Duration) {
        let mut held = self.lock.lock();
        if !self.is_set() {
            self.changed.wait_for(&mut held, longest);
        }
    }
}
