//! Goal: whatever fails or crashes, each row is written once and in order. Method: simulations of the whole engine on a
//! cluster in memory from a few seeds; the program `simulate` runs more. The simulations themselves are tested too:
//! every call fails in every way, a seed determines the run, and duplicated rows are detected.

use std::collections::BTreeMap;

use headwater_connectors::transport::faults::{Call, Fault};
use headwater_tests::seeds::each_seed;
use headwater_tests::simulation::{Guarantee, Outcome, Simulation, Threads};

/// Number of seeds in every test run.
const SEEDS: u64 = 60;
/// Numbers of seeds that are run twice, and of seeds that are run with threads.
const SEEDS_TWICE: u64 = 5;
const SEEDS_IN_THREADS: u64 = 10;

/// Calls that these runs hardly make: no query ends in them, and records of exchanges are deleted every 30 s. The engine's
/// tests of `belongings` and `purge` let them fail.
const UNUSED: [Call; 3] = [Call::Groups, Call::DeleteGroup, Call::DeleteRecords];

/// The outcomes of some seeds, from 0 on.
fn run(seeds: u64, guarantee: Guarantee, threads: Threads) -> Vec<Outcome> {
    each_seed(0..seeds, |seed| Simulation { seed, guarantee, threads }.run())
}

/// Runs some seeds, none of which may fail.
fn run_well(seeds: u64, threads: Threads) -> Vec<Outcome> {
    let outcomes = run(seeds, Guarantee::ExactlyOnce, threads);
    let failure = |(seed, outcome): (usize, &Outcome)| Some(format!("seed {seed}: {}", outcome.result.as_ref().err()?));
    let failures: Vec<_> = outcomes.iter().enumerate().filter_map(failure).collect();
    let more = if threads == Threads::Own { " --threads" } else { "" };
    let replay = format!("cargo run --release -p headwater-tests --bin simulate -- --seed SEED{more}");
    assert!(failures.is_empty(), "{}\nreplay with {replay}", failures.join("\n"));
    outcomes
}

#[test]
fn a_few_seeds_write_each_row_once_and_every_call_fails_in_them() {
    let mut faults: BTreeMap<_, u64> = BTreeMap::new();
    for outcome in run_well(SEEDS, Threads::Stepped) {
        outcome.trace.faults().into_iter().for_each(|(fault, count)| *faults.entry(fault).or_default() += count);
    }
    let is_unused = |(call, _): &(Call, Fault)| UNUSED.contains(call);
    let never = faults.iter().filter(|(fault, count)| **count == 0 && !is_unused(fault));
    let never: Vec<_> = never.map(|(fault, _)| fault).collect();
    assert!(never.is_empty(), "these never failed in this way: {never:?}\nof {faults:?}");
}

#[test]
fn a_few_seeds_with_threads_write_each_row_once() {
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in run_well(SEEDS_IN_THREADS, Threads::Own) {
        outcome.calls_by_thread.into_iter().for_each(|(thread, count)| *calls.entry(thread).or_default() += count);
    }
    for thread in ["reader", "writer"] {
        assert!(calls.get(thread).is_some_and(|count| *count > 0), "no call by {thread}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..SEEDS_TWICE {
        let simulation = Simulation::stepped(seed, Guarantee::ExactlyOnce);
        let (first, second) = (simulation.run().await.trace, simulation.run().await.trace);
        assert!(!first.notes.is_empty() && !first.records.is_empty(), "seed {seed}: nothing happened");
        let difference = first.difference(&second);
        assert_eq!(difference, None, "seed {seed}");
    }
}

/// Without transactions the same faults duplicate rows and lose none: the checks detect duplicates.
#[test]
fn at_least_once_doubles_and_is_seen() {
    let mut doubled = 0;
    for (seed, outcome) in run(SEEDS, Guarantee::AtLeastOnce, Threads::Stepped).into_iter().enumerate() {
        if let Err(error) = outcome.result {
            assert!(error.contains(": 0 rows lost,"), "seed {seed}: {error}");
            doubled += 1;
        }
    }
    assert!(doubled > 0, "no seed duplicated a row");
}
