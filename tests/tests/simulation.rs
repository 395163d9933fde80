//! Goal: whatever fails and whoever dies, each row is written once and in order. Method: simulations of the whole engine
//! on a cluster in memory from a few seeds; `simulate` runs a thousand.

use headwater_tests::simulation::{self, Guarantee};

/// Seeds of every run of the tests.
const SEEDS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_few_seeds() {
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        if let Err(error) = simulation::run(seed, Guarantee::ExactlyOnce).await {
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    let replay = "cargo run --release -p headwater-tests --bin simulate -- --seed SEED";
    assert!(failures.is_empty(), "{}\nreplay with {replay}", failures.join("\n"));
}

/// Without transactions the same faults double rows, and lose none: what looks for doubled rows finds them.
#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_doubles_and_is_seen() {
    let mut doubled = 0;
    for seed in 0..SEEDS {
        if let Err(error) = simulation::run(seed, Guarantee::AtLeastOnce).await {
            assert!(error.contains(": 0 rows lost,"), "seed {seed}: {error}");
            doubled += 1;
        }
    }
    assert!(doubled > 0, "no seed doubled a row");
}
