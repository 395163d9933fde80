//! The state that all requests share: topics, groups, transactions and the journal.
//!
//! Separate because it only holds them together; each has its own lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::now_ms;
use crate::config::{ANSWER_BYTES_MAX, Config, FETCH_BYTES_MAX, FETCH_BYTES_MIN, PRODUCER_IDLE_MS_MAX};
use crate::disk_threads::DiskThreads;
use crate::group::Groups;
use crate::lock::FolderLock;
use crate::meta::Journal;
use crate::topics::Topics;
use crate::txn::Transactions;

/// The id of the only broker.
pub(crate) const BROKER_ID: i32 = 1;

/// Everything that a request may need.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) cluster_id: String,
    pub(crate) journal: Arc<Journal>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) answers: Answers,
    pub(crate) disk: DiskThreads,
    /// Notified when the next deadline may have moved closer.
    pub(crate) timer: Arc<Notify>,
    pub(crate) lock: Mutex<Option<FolderLock>>,
}

/// Counts the response bytes that clients have not read yet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bytes: AtomicUsize,
}

/// A response that is being written.
#[derive(Debug)]
pub(crate) struct HeldAnswer<'a> {
    answers: &'a Answers,
    bytes: usize,
}

impl Answers {
    /// Counts a response until the returned guard is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> HeldAnswer<'_> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        HeldAnswer { answers: self, bytes }
    }

    /// The maximum size of the records in the next fetch response: the more bytes are unread, the less.
    pub(crate) fn fetch_bytes_max(&self) -> usize {
        let room = ANSWER_BYTES_MAX.saturating_sub(self.bytes.load(Ordering::Relaxed));
        (room / 4).clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX)
    }
}

impl Drop for HeldAnswer<'_> {
    fn drop(&mut self) {
        self.answers.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Core {
    /// The host and port advertised to a client that connected to `local`.
    pub(crate) fn advertised(&self, local: SocketAddr) -> (String, i32) {
        match &self.config.advertised {
            Some((host, port)) => (host.clone(), i32::from(*port)),
            None => (local.ip().to_string(), i32::from(local.port())),
        }
    }

    /// Handles everything that is due and returns the next deadline, in ms since the Unix epoch.
    pub(crate) fn handle_timeouts(&self, now_ms: i64) -> Option<i64> {
        self.groups.handle_timeouts(now_ms);
        self.transactions.handle_timeouts(&self.topics, &self.groups, now_ms);
        let deadlines = [self.groups.poll_timeout(), self.transactions.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// Removes the state of idle producers.
    pub(crate) fn handle_idle_producers(&self) {
        let before_ms = now_ms() - PRODUCER_IDLE_MS_MAX;
        for log in self.topics.all().iter().flat_map(|topic| topic.logs()) {
            log.forget_idle_producers(before_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_get_less_the_more_answers_are_not_taken() {
        let answers = Answers::default();
        assert_eq!(answers.fetch_bytes_max(), FETCH_BYTES_MAX);
        let held: Vec<_> = (0..100).map(|_| answers.hold(answers.fetch_bytes_max())).collect();
        let sum: usize = held.iter().map(|held| held.bytes).sum();
        assert!(sum <= ANSWER_BYTES_MAX + 100 * FETCH_BYTES_MIN, "{sum}");
        drop(held);
        assert_eq!(answers.fetch_bytes_max(), FETCH_BYTES_MAX);
    }
}
