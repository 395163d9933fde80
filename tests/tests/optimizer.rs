//! Goal: no rule of the optimizer changes the answer of a query. Method: random queries over random tables, from a
//! seed, return the same rows with all rules, in two partitions and in one, and without rules; and queries that are
//! equal by the meaning of SQL return equal rows.
//!
//! `HEADWATER_FUZZ=N` tries the tables of N seeds, and `HEADWATER_FUZZ_SEED=S` starts with seed S. A failure names the
//! rules without which the query would be correct.

use headwater_tests::optimizer::{QUERIES, run};
use headwater_tests::seeds::each_seed;

/// Number of seeds in every test run.
const SEEDS: u64 = 25;

#[test]
fn rules_change_nothing() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (first, seeds) = (given("HEADWATER_FUZZ_SEED").unwrap_or(1), given("HEADWATER_FUZZ").unwrap_or(SEEDS));
    let (mut checked, mut refused, mut failures) = (0, 0, Vec::new());
    for (tally, wrong) in each_seed(first..first + seeds, |seed| run(seed, QUERIES)) {
        checked += tally.checked;
        refused += tally.refused;
        failures.extend(wrong);
    }
    println!("{checked} laws checked, {refused} not applicable, {} broken", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(refused < checked, "most queries are rejected: {refused} of {}", checked + refused);
}
