//! Goal: every file of `queries/**/*.test` gives what it says, however its persistent queries are driven. Method: what
//! `headwater test --judge` does (`headwater_repl::check`): the statements run in the real engine on the memory
//! transport, in every mode, and at the end each stream that a query made must hold what the bounded query gives.
//!
//! `ACCEPT=1 cargo test --release --workspace --test queries` writes what they answer into the files; read the diff.

use headwater_repl::check::{Reporter, Rules, check};
use headwater_tests::binary::workspace;

#[tokio::test(flavor = "multi_thread")]
async fn every_file_gives_what_it_says() {
    let rules = Rules { judge: true, accept: std::env::var_os("ACCEPT").is_some(), ..Rules::default() };
    let mut told = Vec::new();
    let mut reporter = Reporter { out: &mut told, colored: false };
    let tally = check(&[workspace().join("queries")], &rules, &mut reporter).await.expect("readable files");
    let told = String::from_utf8_lossy(&told);
    assert_eq!(tally.failed, 0, "{told}\nACCEPT=1 accepts the new output");
}
