//! The thread that merges the tables of all stores of a process, and deletes those of windows that are gone.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, Sender, channel};

use headwater_state::ColdError;

use super::tree::Tree;

/// Something to do for a tree, unless it was dropped.
pub(super) enum Job {
    /// Tables were added.
    Merge(Weak<Tree>),
    /// Nobody asks for these keys any more.
    Forget(Weak<Tree>, Range<[u8; 8]>),
}

/// The thread, which ends when this is dropped.
pub(super) struct Merger(Sender<Job>);

impl Merger {
    /// Starts the thread. Fails if the system has no more threads.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, received) = channel();
        std::thread::Builder::new().name("state merger".to_owned()).spawn(move || work(&received))?;
        Ok(Self(jobs))
    }

    /// Has something done. There are few jobs: at most two for each commit.
    pub(super) fn put(&self, job: Job) {
        drop(self.0.send(job));
    }
}

fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        let (Job::Merge(tree) | Job::Forget(tree, _)) = &job;
        let Some(tree) = tree.upgrade() else { continue };
        let done = catch_unwind(AssertUnwindSafe(|| match &job {
            Job::Merge(_) => merge_all(&tree),
            Job::Forget(_, keys) => tree.forget(keys.clone()),
        }));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tree.queue.fail(tree.failed("merge state in", &error)),
            Err(_) => tree.queue.fail(ColdError::new("internal error: the merge of state on disk panicked")),
        }
    }
}

/// Merges until nothing is due.
fn merge_all(tree: &Tree) -> Result<(), lsm_tree::Error> {
    while tree.merge()? {}
    Ok(())
}
