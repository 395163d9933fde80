//! Kills one process of a service (kill -9): every other time the only one, otherwise one of two.

use std::error::Error;
use std::time::Duration;

use crate::instance::Instance;
use crate::trial::Trial;

/// One in this many kills does not wait until the processes work.
const EARLY_ONE_IN: usize = 5;
/// Maximum time before a kill, from the first commit or else from the start.
const BEFORE_MAX: Duration = Duration::from_secs(4);
/// Maximum time that a second process works before the first commit is waited for: it takes over some partitions.
const SHARE_MAX: Duration = Duration::from_secs(6);

/// Kills a process `runs` times; returns the one that is running at the end.
pub fn strike(trial: &mut Trial, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let mut instance = trial.service.start()?;
    trial.await_commits(&mut instance)?;
    for run in 0..runs {
        let what;
        (instance, what) = if run % 2 == 0 { replace(trial, instance)? } else { halve(trial, instance)? };
        trial.report(&what)?;
    }
    let waited = trial.await_commits(&mut instance)?.as_secs_f64();
    println!("after the last kill, commits resumed after {waited:.1} s");
    Ok(instance)
}

/// Kills the only process and starts another one.
fn replace(trial: &mut Trial, mut instance: Instance) -> Result<(Instance, String), Box<dyn Error>> {
    let waited = wait(trial, &mut instance)?;
    instance.kill()?;
    let open = trial.outlook.has_open_transaction().unwrap_or(false);
    let left = if open { ", leaving a transaction open" } else { "" };
    Ok((trial.service.start()?, format!("the only process killed {waited}{left}")))
}

/// Starts a second process and kills one of the two.
fn halve(trial: &mut Trial, mut first: Instance) -> Result<(Instance, String), Box<dyn Error>> {
    let mut second = trial.service.start()?;
    trial.pause(SHARE_MAX);
    let waited = wait(trial, &mut first)?;
    second.check()?;
    let members = trial.outlook.members()?;
    let (which, victim, left) = match trial.once_in(2) {
        true => ("older", first, second),
        false => ("newer", second, first),
    };
    victim.kill()?;
    Ok((left, format!("the {which} of two processes killed {waited}, members of the groups {members:?}")))
}

/// Waits until the moment of the kill and describes it.
fn wait(trial: &mut Trial, instance: &mut Instance) -> Result<String, Box<dyn Error>> {
    if trial.once_in(EARLY_ONE_IN) {
        return Ok(format!("{:.1} s later, without waiting for commits", trial.pause(BEFORE_MAX).as_secs_f64()));
    }
    let commits = trial.await_commits(instance)?.as_secs_f64();
    let pause = trial.pause(BEFORE_MAX).as_secs_f64();
    Ok(format!("{pause:.1} s after commits of all queries, which took {commits:.1} s"))
}
