//! Goal: what continuous queries with state write depends on the records alone. Method: random queries over random records,
//! from a seed, give the same answers in every mode (one batch, a row at a time, random cuts, a crash at every commit, two
//! processes), from state and from topics, and what they write is what their bounded queries return.
//!
//! `HEADWATER_FUZZ=N` tries N seeds, and `HEADWATER_FUZZ_SEED=S` starts with seed S. A failure shows its seed;
//! `HEADWATER_FUZZ_KEEP=DIR` keeps the files, which `headwater test --judge` runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_tests::continuous::run;

/// Number of seeds in every test run.
const SEEDS: u64 = 60;

/// Panics, also those that the engine survives.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread")]
async fn results_depend_on_records_alone() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (first, seeds) = (given("HEADWATER_FUZZ_SEED").unwrap_or(1), given("HEADWATER_FUZZ").unwrap_or(SEEDS));
    let own = tempfile::tempdir().expect("a temporary folder");
    let folder = std::env::var_os("HEADWATER_FUZZ_KEEP").map_or_else(|| own.path().to_owned(), PathBuf::from);
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        show(panic);
    }));
    let (tally, wrong) = run(first..first + seeds, &folder).await.expect("files that can be read");
    println!("{} files, {} answers as in the first mode", tally.files, tally.passed);
    let panics = PANICS.load(Ordering::Relaxed);
    assert_eq!((tally.failed, panics), (0, 0), "{wrong}");
    assert!(tally.passed > 10 * tally.files, "every file has its sources, queries and answers");
}
