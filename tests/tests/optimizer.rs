//! Goal: no rule of the optimizer changes what a query answers. Method: random queries over random tables, from a seed, give the
//! same rows with all rules, in two parts and in one, and without; and what must be equal by the meaning of SQL is.
//!
//! `HEADWATER_FUZZ=N` tries the tables of so many seeds, and `HEADWATER_FUZZ_SEED=S` begins with another one. A failure names
//! the rules without which the query would be right.

use headwater_tests::optimizer::{QUERIES, run};

/// Seeds of every run of the tests.
const SEEDS: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_nothing() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (first, seeds) = (given("HEADWATER_FUZZ_SEED").unwrap_or(1), given("HEADWATER_FUZZ").unwrap_or(SEEDS));
    let (mut checked, mut refused, mut failures) = (0, 0, Vec::new());
    for seed in first..first + seeds {
        let (tally, wrong) = run(seed, QUERIES).await;
        checked += tally.checked;
        refused += tally.refused;
        failures.extend(wrong);
    }
    println!("{checked} laws checked, {refused} said nothing, {} broken", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(refused < checked, "most queries are refused: {refused} of {}", checked + refused);
}
