//! Runs of many seeds on all processors.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;
use tokio::runtime::Runtime;

/// Does the work of each seed, as many at a time as there are processors, each in a runtime of its own. Returns the results in
/// the order of the seeds. Blocks.
pub fn each_seed<T: Send, F: Future<Output = T>>(seeds: Range<u64>, work: impl Fn(u64) -> F + Sync) -> Vec<T> {
    let next = AtomicU64::new(seeds.start);
    let results = Mutex::new(Vec::new());
    let run = || {
        let runtime = Runtime::new().expect("a runtime");
        let claim = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
        while let Some(seed) = claim() {
            let result = runtime.block_on(work(seed));
            results.lock().push((seed, result));
        }
    };
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(run))));
    let mut results = results.into_inner();
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}
