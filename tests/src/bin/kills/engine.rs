//! kill -9 of the only process, again and again.
//!
//! Most blows fall while it works; some fall while it starts, before it has a share of the input.

use std::error::Error;
use std::time::Duration;

use crate::instance::Instance;
use crate::trial::Trial;

/// Of so many blows one falls without waiting for the process to work.
const EARLY_ONE_IN: usize = 5;
/// Longest wait for an early blow: within it a process waits for the group to give up on the one before.
const EARLY_MAX: Duration = Duration::from_secs(7);
/// Longest wait for the others, from the first commit.
const WORKING_MAX: Duration = Duration::from_secs(4);

/// The blows; gives the process that works at the end.
pub fn strike(trial: &mut Trial, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let (mut instance, mut left_open) = (trial.service.start()?, 0);
    for _ in 0..runs {
        let waited = wait(trial, &mut instance)?;
        instance.kill()?;
        let open = trial.outlook.has_open_transaction().unwrap_or(false);
        left_open += u32::from(open);
        instance = trial.service.start()?;
        trial.report(&format!("killed {waited}{}", if open { ", a transaction left open" } else { "" }))?;
    }
    let waited = trial.await_commits(&mut instance)?.as_secs_f64();
    println!(
        "{left_open} of {runs} blows left a transaction open; after the last one commits came after {waited:.1} s"
    );
    Ok(instance)
}

/// Waits for the moment of the blow and gives it in words.
fn wait(trial: &mut Trial, instance: &mut Instance) -> Result<String, Box<dyn Error>> {
    if trial.once_in(EARLY_ONE_IN) {
        return Ok(format!("{:.1} s after its start", trial.pause(EARLY_MAX).as_secs_f64()));
    }
    let commits = trial.await_commits(instance)?.as_secs_f64();
    let pause = trial.pause(WORKING_MAX).as_secs_f64();
    Ok(format!("{pause:.1} s after its first commits, {commits:.1} s after its start"))
}
