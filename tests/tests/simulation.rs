//! Goal: whatever fails and whoever dies, each row is written once and in order. Method: simulations of the whole engine
//! on a cluster in memory from a few seeds; `simulate` runs a thousand.

use headwater_tests::simulation;

/// Seeds of every run of the tests.
const SEEDS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_few_seeds() {
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        if let Err(error) = simulation::run(seed).await {
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    let replay = "cargo run --release -p headwater-tests --bin simulate -- --seed SEED";
    assert!(failures.is_empty(), "{}\nreplay with {replay}", failures.join("\n"));
}
