//! Tracks a lasting failure, such as a full disk, so that it is logged when it starts, when its cause changes and when
//! it is over.
//!
//! Separate because it is needed wherever clients retry: one log line for each failed attempt would flood the log.

use std::io;

/// How long after the last failure a smaller write also counts as recovery, in ms.
const QUIET_MS: i64 = 1_000;

/// Whether an operation is currently failing, and how many attempts have failed.
#[derive(Debug, Default)]
pub(crate) struct FailureTracker {
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    cause: String,
    failures: u64,
    /// The size of the largest failed write: a smaller one that succeeds does not prove that the failure is over.
    bytes: u64,
    last_ms: i64,
}

impl FailureTracker {
    /// Records a failure. Returns true if it should be logged: it is the first, or its cause is new.
    pub(crate) fn failed(&mut self, error: &io::Error, bytes: u64, now_ms: i64) -> bool {
        let cause = error.to_string();
        match &mut self.current {
            Some(current) if current.cause == cause => {
                current.failures += 1;
                current.bytes = current.bytes.max(bytes);
                current.last_ms = now_ms;
                false
            }
            current => {
                *current = Some(Current { cause, failures: 1, bytes, last_ms: now_ms });
                true
            }
        }
    }

    /// Records a success. Returns the number of failed attempts if the failure is now over.
    pub(crate) fn succeeded(&mut self, bytes: u64, now_ms: i64) -> Option<u64> {
        let over = |current: &mut Current| bytes >= current.bytes || now_ms - current.last_ms >= QUIET_MS;
        self.current.take_if(over).map(|current| current.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_reported_when_it_begins_changes_and_ends() {
        let (full, broken) = (|| io::Error::from_raw_os_error(28), || io::Error::from_raw_os_error(5));
        let mut tracker = FailureTracker::default();
        assert_eq!(tracker.succeeded(10, 0), None);
        let reported: Vec<bool> = (0..100).map(|at| tracker.failed(&full(), 10, at)).collect();
        assert_eq!(reported.iter().filter(|reported| **reported).count(), 1);
        assert!(reported[0] && tracker.failed(&broken(), 10, 100));
        assert_eq!(tracker.succeeded(10, 101), Some(1));
        assert_eq!(tracker.succeeded(10, 102), None);
    }

    #[test]
    fn a_smaller_success_ends_it_only_when_nothing_failed_for_a_while() {
        let mut tracker = FailureTracker::default();
        assert!(tracker.failed(&io::Error::from_raw_os_error(28), 1_000, 0));
        assert_eq!(tracker.succeeded(10, 500), None);
        assert!(!tracker.failed(&io::Error::from_raw_os_error(28), 500, 600));
        assert_eq!(tracker.succeeded(10, 600 + QUIET_MS), Some(2));
    }
}
