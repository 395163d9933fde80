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
        let start = |_| {
            let name = thread::current().name().map_or_else(|| "task".to_owned(), |name| format!("{name}+"));
            // What a thread that cannot be started would have done is done by the others.
            thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn_scoped(scope, work).ok()
        };
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let own = work();
        let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.fold(own, Result::and)
    });
    done.map_err(fault)
}
