//! Waiting for new records in a log without reading it.

use std::time::Duration;

/// Rings when a record or a transaction marker arrives at one of the offsets it was opened for, and when the log no
/// longer reaches that offset. Deleted topics are reported by the group instead.
///
/// For readers that have read everything and expect nothing soon: a source needs a client with its connections and
/// threads, while all doorbells of a transport share one client. To read what arrived, open a source at the same
/// offsets.
pub trait Doorbell: Send {
    /// Waits at most `timeout` and returns whether it rang; after it has rung once, it always returns true. It may ring
    /// although nothing arrived. It never misses an arrival, but shortly after it was opened it may ring up to two
    /// seconds late.
    fn wait(&mut self, timeout: Duration) -> bool;
}
