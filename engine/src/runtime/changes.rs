//! Wakes the readers of states that wait for a commit.
//!
//! ```text
//! reader    seen() → look, nothing yet → wait(seen) → look again
//! writer    change → notify()
//! ```
//!
//! A change between the look and the wait is not missed: the reader says how many changes it has seen.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// The changes of all states of a process.
#[derive(Debug, Default)]
pub(super) struct Changes {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    /// The changes so far.
    changes: u64,
    /// The readers that wait.
    waiting: usize,
}

impl Changes {
    /// The number of changes so far. To be asked before the look at what may change.
    pub(super) fn seen(&self) -> u64 {
        self.counts.lock().changes
    }

    /// Something has changed: all who wait look again.
    pub(super) fn notify(&self) {
        let mut counts = self.counts.lock();
        counts.changes += 1;
        if counts.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until there are more changes than were seen. Returns false if there are none by then.
    pub(super) fn wait(&self, seen: u64, until: Instant) -> bool {
        let mut counts = self.counts.lock();
        counts.waiting += 1;
        while counts.changes == seen && !self.changed.wait_until(&mut counts, until).timed_out() {}
        counts.waiting -= 1;
        counts.changes != seen
    }

    /// The readers that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.counts.lock().waiting
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Goal: no change is missed, whether it comes before or during the wait. Method: one of each, with a limit that is never
    /// reached.
    #[test]
    fn a_change_wakes_those_who_wait() {
        let (changes, never) = (Changes::default(), Instant::now() + Duration::from_secs(3_600));
        let seen = changes.seen();
        changes.notify();
        assert!(changes.wait(seen, never), "it came before the wait");
        let seen = changes.seen();
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| scope.spawn(|| changes.wait(seen, never)));
            while changes.waiting() < readers.len() {
                std::thread::yield_now();
            }
            changes.notify();
            assert!(readers.into_iter().all(|reader| reader.join().expect("it ends")));
        });
        assert!(!changes.wait(changes.seen(), Instant::now()), "nothing has changed");
    }
}
