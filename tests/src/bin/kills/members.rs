//! Other processes of the same service come and go while the first works: they take over some of its partitions, and it
//! takes them back when they leave or are killed.

use std::error::Error;
use std::time::Duration;

use crate::instance::Instance;
use crate::trial::Trial;

/// In one of this many runs, two processes join.
const TWO_ONE_IN: usize = 3;
/// Maximum time that they stay, and maximum pause afterwards.
const STAY_MAX: Duration = Duration::from_secs(9);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Runs the trial; returns the process that is running at the end.
pub fn strike(trial: &mut Trial, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let mut first = trial.service.start()?;
    trial.await_commits(&mut first)?;
    for _ in 0..runs {
        let visit = visit(trial)?;
        let commits = trial.await_commits(&mut first)?.as_secs_f64();
        trial.report(&format!("{visit}, commits of both queries within {commits:.1} s"))?;
        trial.pause(PAUSE_MAX);
    }
    Ok(first)
}

/// Starts one or two other processes and ends them; returns a description.
fn visit(trial: &mut Trial) -> Result<String, Box<dyn Error>> {
    let mut others = vec![trial.service.start()?];
    if trial.once_in(TWO_ONE_IN) {
        trial.pause(STAY_MAX / 3);
        others.push(trial.service.start()?);
    }
    let stay = trial.pause(STAY_MAX).as_secs_f64();
    let members = trial.outlook.members()?;
    let mut ends = Vec::new();
    for other in others {
        ends.push(end(trial, other)?);
    }
    Ok(format!("after {stay:.1} s, members of the groups {members:?}, {}", ends.join(" and ")))
}

/// Ends a process in one way or the other.
fn end(trial: &mut Trial, mut instance: Instance) -> Result<&'static str, Box<dyn Error>> {
    if trial.once_in(2) {
        instance.kill()?;
        Ok("killed")
    } else {
        instance.stop()?;
        Ok("stopped by SIGTERM")
    }
}
