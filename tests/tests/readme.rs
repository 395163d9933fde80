//! Goal: the commands in README.md work, and print what the page shows. Method: every marked block of the page is run
//! from top to bottom with the built program; see `headwater_tests::readme` for the marks.

use std::fs;
use std::process::Command;

use headwater_tests::binary::{headwater, workspace};
use headwater_tests::readme::stage::Stage;
use headwater_tests::readme::{Kind, blocks, script_commands};

fn page() -> String {
    fs::read_to_string(workspace().join("README.md")).expect("README.md can be read")
}

#[test]
fn every_command_does_what_the_page_says() {
    let mut stage = Stage::new(workspace(), headwater()).expect("a folder to run in");
    let failures: Vec<String> = blocks(&page())
        .iter()
        .filter_map(|block| stage.run(block).err().map(|why| format!("README.md:{}: {why}", block.line)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// CI must run what a newcomer runs: the second command of the page itself, not a copy of it.
#[test]
fn second_command_is_the_one_that_ci_runs() {
    let page = page();
    let found = blocks(&page);
    let (command, kind) = script_commands(&found)[1];
    assert_eq!(kind, Kind::CiScript, "mark the block of {command:?} with ```sh ci");
    let said = Command::new(workspace().join(".ci/run")).arg("--print-test-command").output().expect(".ci/run starts");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), command);
}
