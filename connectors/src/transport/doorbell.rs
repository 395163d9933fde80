//! Waiting for a log to go on, without reading it.

use std::time::Duration;

/// Rings when a record or a transaction marker arrives at one of the offsets it was opened for, and
/// when the log no longer reaches that offset. A deleted topic is reported elsewhere, by the group.
///
/// For readers that have read everything and expect nothing soon: a source costs a client with its connections and threads,
/// while all doorbells of a transport share one. To read what arrived, open a source at the same offsets.
pub trait Doorbell: Send {
    /// Waits at most `timeout`, and returns whether it rang; once it has, it always does. It may ring for nothing. It never
    /// misses an arrival, but soon after it was opened it may ring up to two seconds late.
    fn wait(&mut self, timeout: Duration) -> bool;
}
