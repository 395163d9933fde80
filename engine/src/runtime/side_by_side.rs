//! Work on several things at the same time, each of them by one thread.

use std::panic::resume_unwind;
use std::thread;

use arrow::error::ArrowError;
use headwater_connectors::transport::TransportError;
use parking_lot::Mutex;

use super::share::fault;
use super::supervisor::STACK_BYTES;

/// Does `act` for each of `all`, by at most as many threads, of which this one is the first. Fails with the first error of a thread,
/// which then takes nothing more; the others go on.
pub(super) fn side_by_side<T: Send>(
    all: impl ExactSizeIterator<Item = T> + Send,
    threads: usize,
    act: impl Fn(T) -> Result<(), ArrowError> + Sync,
) -> Result<(), TransportError> {
    let threads = threads.min(all.len());
    let queue = Mutex::new(all);
    let work = || {
        loop {
            // The lock is not held while the thread works.
            let next = queue.lock().next();
            let Some(next) = next else { return Ok(()) };
            act(next)?;
        }
    };
    if threads <= 1 {
        return work().map_err(fault);
    }
    let done = thread::scope(|scope| {
        // What a thread that cannot be started would have done is done by the others.
        let start = |_| helper().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let own = work();
        let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.fold(own, Result::and)
    });
    done.map_err(fault)
}

/// Does `other` in a thread while this one does `own`, and returns the results of both.
pub(super) fn beside<T, U: Send>(own: impl FnOnce() -> T, other: impl FnOnce() -> U + Send) -> (T, U) {
    let other = Mutex::new(Some(other));
    let work = || other.lock().take().map(|other| other());
    thread::scope(|scope| {
        let started = helper().spawn_scoped(scope, work).ok();
        let own = own();
        let done = started.and_then(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        // A thread that could not be started leaves the work to this one.
        (own, done.or_else(work).expect("the work is done once"))
    })
}

/// A thread that is named after this one.
fn helper() -> thread::Builder {
    let name = thread::current().name().map_or_else(|| "task".to_owned(), |name| format!("{name}+"));
    thread::Builder::new().name(name).stack_size(STACK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_things_are_done_at_once() {
        let (to_other, from_own) = std::sync::mpsc::channel();
        let (to_own, from_other) = std::sync::mpsc::channel();
        // Each of them waits for the other one.
        let own = || {
            to_other.send(1).expect("the other one waits");
            from_other.recv()
        };
        let other = move || {
            to_own.send(2).expect("this one waits");
            from_own.recv()
        };
        assert_eq!(beside(own, other), (Ok(2), Ok(1)));
    }
}
