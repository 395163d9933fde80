//! The same work for many things, by several threads.
//!
//! Separate because a start checks large files and a shutdown waits for the disk: one after the other, clients would have to
//! wait for the sum.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The number of threads that wait for the disk at the same time.
pub(crate) const WAITING_THREADS: usize = 16;

/// The number of threads for work that keeps a core busy.
pub(crate) fn busy_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does the work for each item, by at most so many threads, and returns the results in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work_on = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(work_on)).collect();
        let mut done = work_on();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1_000).collect();
        for threads in [0, 1, 3, 2_000] {
            assert_eq!(each(&items, threads, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
        assert!(each(&[0_u64; 0], 4, |item| *item).is_empty());
    }
}
