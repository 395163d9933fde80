//! Goal: every file of `queries/**/*.test` gives what it says, however its persistent queries are driven. Method: what
//! `headwater test --judge` does (`headwater_repl::check`): the statements run in the real engine on the memory
//! transport, in every mode, and at the end each stream that a query made must hold what the bounded query gives.
//!
//! `ACCEPT=1 cargo test --release --workspace --test queries` writes what they answer into the files; read the diff.

use headwater_repl::check::{Reporter, Rules, check};
use headwater_tests::binary::workspace;

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gives_what_it_says() {
    let accept = std::env::var_os("ACCEPT").is_some();
    // Users' files run in one part, so that their plans are stable; ours have no plans and meet what runs side by side.
    let session = vec!["SET 'query.partitions' = '2';".to_owned()];
    let rules = Rules { judge: true, accept, session, ..Rules::default() };
    let mut told = Vec::new();
    let mut reporter = Reporter { out: &mut told, colored: false };
    let tally = check(&[workspace().join("queries")], &rules, &mut reporter).await.expect("readable files");
    let told = String::from_utf8_lossy(&told);
    let wrong: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(tally.failed, 0, "{}\nACCEPT=1 accepts the new output", wrong.join("\n"));
}
