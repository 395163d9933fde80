//! The threads on which requests wait for the disk: so many and no more, however many requests there are.
//!
//! Separate from the threads of the program around the broker, of which a burst of requests would leave hundreds, each with its own
//! memory.

use std::future::pending;
use std::io;
use std::panic::resume_unwind;

use tokio::runtime::{Builder, Runtime};

use crate::config::DISK_WORK_MAX;

/// At most [`DISK_WORK_MAX`] threads; further work waits for its turn.
#[derive(Debug)]
pub(crate) struct DiskThreads(Option<Runtime>);

impl DiskThreads {
    /// Starts no thread yet: each is started when it is needed, and ends after a while without work.
    pub(crate) fn new() -> io::Result<Self> {
        let threads =
            Builder::new_current_thread().max_blocking_threads(DISK_WORK_MAX).thread_name("broker-disk").build();
        threads.map(|threads| Self(Some(threads)))
    }

    /// Does work that may block. It is done even if nobody waits for it any more. A panic in it is one of the caller.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // The threads end only with the broker.
        let Some(threads) = &self.0 else { return pending().await };
        match threads.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The broker is shutting down, and this task with it.
                Err(_) => pending().await,
            },
        }
    }
}

impl Drop for DiskThreads {
    /// Does not wait: what waits for the disk then belongs to nobody.
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Goal: a burst is worked off by so many threads. Method: many more pieces of work than threads, each of which takes a
    /// moment, note where they run.
    #[tokio::test]
    async fn a_burst_has_so_many_threads() {
        let threads = Arc::new(DiskThreads::new().expect("threads can be started"));
        let work = || {
            thread::sleep(Duration::from_millis(2));
            thread::current().id()
        };
        let pieces: Vec<_> = (0..DISK_WORK_MAX * 20)
            .map(|_| {
                let threads = Arc::clone(&threads);
                tokio::spawn(async move { threads.run(work).await })
            })
            .collect();
        let mut used = HashSet::new();
        for piece in pieces {
            used.insert(piece.await.expect("it is done"));
        }
        assert!(used.len() <= DISK_WORK_MAX, "{}", used.len());
    }
}
