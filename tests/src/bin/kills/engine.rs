//! Repeatedly kills (kill -9) the only process.
//!
//! Most kills happen while it works; some while it starts, before partitions are assigned to it.

use std::error::Error;
use std::time::Duration;

use crate::instance::Instance;
use crate::trial::Trial;

/// One in this many kills does not wait for the process to work.
const EARLY_ONE_IN: usize = 5;
/// Maximum time before an early kill: meanwhile a process waits until the group removes its predecessor.
const EARLY_MAX: Duration = Duration::from_secs(7);
/// Maximum time before other kills, from the first commit.
const WORKING_MAX: Duration = Duration::from_secs(4);

/// Kills the process `runs` times; returns the process that is running at the end.
pub fn strike(trial: &mut Trial, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let (mut instance, mut left_open) = (trial.service.start()?, 0);
    for _ in 0..runs {
        let waited = wait(trial, &mut instance)?;
        instance.kill()?;
        let open = trial.outlook.has_open_transaction().unwrap_or(false);
        left_open += u32::from(open);
        instance = trial.service.start()?;
        trial.report(&format!("killed {waited}{}", if open { ", leaving a transaction open" } else { "" }))?;
    }
    let waited = trial.await_commits(&mut instance)?.as_secs_f64();
    println!(
        "{left_open} of {runs} kills left a transaction open; after the last one, commits resumed after {waited:.1} s"
    );
    Ok(instance)
}

/// Waits until the moment of the kill and describes it.
fn wait(trial: &mut Trial, instance: &mut Instance) -> Result<String, Box<dyn Error>> {
    if trial.once_in(EARLY_ONE_IN) {
        return Ok(format!("{:.1} s after its start", trial.pause(EARLY_MAX).as_secs_f64()));
    }
    let commits = trial.await_commits(instance)?.as_secs_f64();
    let pause = trial.pause(WORKING_MAX).as_secs_f64();
    Ok(format!("{pause:.1} s after its first commits, {commits:.1} s after its start"))
}
