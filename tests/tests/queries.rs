//! Goal: every file of `queries/**/*.test` gives the expected answers, in every mode. Method: the same as `headwater
//! test --judge` (`headwater_repl::check`): the statements run in the real engine on the memory transport, in every
//! mode, and at the end each stream written by a query must contain the result of the bounded query.
//!
//! `ACCEPT=1 cargo test --workspace --test queries` writes the actual answers to the files; review the diff.

use headwater_repl::check::{Reporter, Rules, check};
use headwater_tests::binary::workspace;

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gives_what_it_says() {
    let accept = std::env::var_os("ACCEPT").is_some();
    // Users' files run in one partition, so that plans are stable; these contain no plans and also test parallel execution.
    let session = vec!["SET 'query.partitions' = '2';".to_owned()];
    let rules = Rules { judge: true, accept, session, ..Rules::default() };
    let mut printed = Vec::new();
    let mut reporter = Reporter { out: &mut printed, colored: false };
    let tally = check(&[workspace().join("queries")], &rules, &mut reporter).await.expect("readable files");
    let printed = String::from_utf8_lossy(&printed);
    let wrong: Vec<&str> = printed.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(tally.failed, 0, "{}\nACCEPT=1 accepts the new output", wrong.join("\n"));
}
