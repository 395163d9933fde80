//! The threads that write to the trees of a process what stores have handed over: each tree in order, several side by side.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::available_parallelism;

use headwater_state::{ColdError, Run};
use parking_lot::{Condvar, Mutex};

use super::tree::Tree;

/// Most threads: there is one for every two processors.
const THREADS_MAX: usize = 4;

/// What is to be done for a tree.
pub(super) enum Task {
    /// Write keys.
    Write(Run),
    /// Nobody asks for these keys any more, which were written before.
    Forget(Range<[u8; 8]>),
}

/// What waits for the threads, of one tree.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// Whether a thread has the tree, or will have it.
    is_taken: bool,
    /// The runs that are written.
    written: u64,
    /// Why something could not be done. Nothing is done any more.
    failure: Option<ColdError>,
}

/// The threads, which end when this is dropped.
pub(super) struct Writers(Sender<Weak<Tree>>);

impl Queue {
    /// Adds something to do. Returns whether a thread must be told.
    fn push(&self, task: Task) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.tasks.push_back(task);
        !std::mem::replace(&mut waiting.is_taken, true)
    }

    /// The next thing to do; `None` if the tree is left.
    fn next(&self) -> Option<Task> {
        let mut waiting = self.waiting.lock();
        if waiting.failure.is_some() {
            waiting.tasks.clear();
        }
        let next = waiting.tasks.pop_front();
        waiting.is_taken = next.is_some();
        next
    }

    fn wrote(&self) {
        self.waiting.lock().written += 1;
        self.changed.notify_all();
    }

    /// Records that the tree is not usable any more.
    pub(super) fn fail(&self, error: ColdError) {
        self.waiting.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Fails if something could not be done.
    pub(super) fn check(&self) -> Result<(), ColdError> {
        self.waiting.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Waits until at least this many runs are written, and returns how many are. Fails if something could not be done.
    pub(super) fn written(&self, least: u64) -> Result<u64, ColdError> {
        let mut waiting = self.waiting.lock();
        loop {
            match &waiting.failure {
                Some(error) => return Err(error.clone()),
                None if waiting.written >= least => return Ok(waiting.written),
                None => self.changed.wait(&mut waiting),
            }
        }
    }
}

impl Writers {
    /// Starts the threads. Fails if the system has no more threads.
    pub(super) fn start() -> io::Result<Self> {
        let (trees, received) = channel();
        let received = Arc::new(Mutex::new(received));
        let threads = available_parallelism().map_or(1, |processors| processors.get() / 2).clamp(1, THREADS_MAX);
        for _ in 0..threads {
            let received = received.clone();
            std::thread::Builder::new().name("state writer".to_owned()).spawn(move || work(&received))?;
        }
        Ok(Self(trees))
    }

    /// Has something done for a tree, after everything else that was to be done for it.
    pub(super) fn put(&self, tree: &Arc<Tree>, task: Task) {
        if tree.queue.push(task) && self.0.send(Arc::downgrade(tree)).is_err() {
            tree.queue.fail(ColdError::new("internal error: the threads that write state have ended"));
        }
    }
}

fn work(trees: &Mutex<Receiver<Weak<Tree>>>) {
    loop {
        let Ok(tree) = trees.lock().recv() else { return };
        let Some(tree) = tree.upgrade() else { continue };
        while let Some(task) = tree.queue.next() {
            match catch_unwind(AssertUnwindSafe(|| perform(&tree, task))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tree.queue.fail(error),
                Err(_) => tree.queue.fail(ColdError::new("internal error: the thread that writes state panicked")),
            }
        }
    }
}

fn perform(tree: &Arc<Tree>, task: Task) -> Result<(), ColdError> {
    match task {
        Task::Write(run) => {
            tree.write(run)?;
            tree.queue.wrote();
            tree.merge_soon();
        }
        Task::Forget(keys) => tree.forget_soon(keys),
    }
    Ok(())
}
