//! Kills one process of a service (kill -9): every other time the only one, otherwise one of two. Half of the victims lose their
//! local state, too. The others write snapshots of it before, and the next process there goes on from these.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use crate::instance::{Instance, Place};
use crate::trial::Trial;

/// One in this many kills does not wait until the processes work.
const EARLY_ONE_IN: usize = 5;
/// Maximum time before a kill, from the first commit or else from the start.
const BEFORE_MAX: Duration = Duration::from_secs(4);
/// Maximum time that a second process works before the first commit is waited for: it takes over some partitions.
const SHARE_MAX: Duration = Duration::from_secs(6);
/// Maximum time until a process writes a snapshot by itself, which it does every minute.
const SNAPSHOT_MAX: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// What a process says about a snapshot, at the level of its output.
const WRITTEN: &str = "snapshot written";
const LOADED: &str = "snapshot loaded";

/// The process at work, its place, and the one for a second process.
struct Turns {
    instance: Instance,
    own: Place,
    other: Place,
}

/// Kills a process `runs` times; returns the one that is running at the end.
pub fn strike(trial: &mut Trial, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let (own, other) = (trial.service.place("state-1"), trial.service.place("state-2"));
    let instance = trial.service.start_at(&own)?;
    let mut turns = Turns { instance, own, other };
    trial.await_commits(&mut turns.instance)?;
    for run in 0..runs {
        // Alone and kept, one of two and wiped, alone and wiped, one of two and kept.
        let (is_alone, is_kept) = (run % 2 == 0, matches!(run % 4, 0 | 3));
        let before = if is_kept { turns.settle(trial)? } else { "its state wiped".to_owned() };
        let what = if is_alone { turns.replace(trial, is_kept)? } else { turns.halve(trial, is_kept)? };
        trial.report(&format!("{what}; {before}"))?;
    }
    let waited = trial.await_commits(&mut turns.instance)?.as_secs_f64();
    let (written, loaded) = (trial.service.lines_with(WRITTEN)?, trial.service.lines_with(LOADED)?);
    println!("after the last kill, commits resumed after {waited:.1} s; {written} snapshots written, {loaded} loaded");
    Ok(turns.instance)
}

impl Turns {
    /// Has the process write snapshots: because it is stopped and started again, or by itself. Describes what happened.
    fn settle(&mut self, trial: &mut Trial) -> Result<String, Box<dyn Error>> {
        if trial.once_in(2) {
            // A process that has just been started may not listen to signals yet, and has nothing to write.
            trial.await_commits(&mut self.instance)?;
            self.instance.stop()?;
            self.instance = trial.service.start_at(&self.own)?;
            trial.await_commits(&mut self.instance)?;
            return Ok("its state kept, with snapshots of a clean stop".to_owned());
        }
        let (begun, before) = (Instant::now(), self.instance.lines_with(WRITTEN)?);
        while self.instance.lines_with(WRITTEN)? == before {
            self.instance.check()?;
            if begun.elapsed() > SNAPSHOT_MAX {
                return Err(self.instance.said(&format!("no snapshot was written for {SNAPSHOT_MAX:?}")));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok("its state kept, with snapshots that it wrote by itself".to_owned())
    }

    /// Kills the only process and starts another one in its place.
    fn replace(&mut self, trial: &mut Trial, is_kept: bool) -> Result<String, Box<dyn Error>> {
        let waited = wait(trial, &mut self.instance)?;
        self.instance.kill()?;
        let open = trial.outlook.has_open_transaction().unwrap_or(false);
        let left = if open { ", leaving a transaction open" } else { "" };
        if !is_kept {
            self.own.wipe()?;
        }
        self.instance = trial.service.start_at(&self.own)?;
        Ok(format!("the only process killed {waited}{left}"))
    }

    /// Starts a second process in the other place and kills one of the two.
    fn halve(&mut self, trial: &mut Trial, is_kept: bool) -> Result<String, Box<dyn Error>> {
        let mut second = trial.service.start_at(&self.other)?;
        trial.pause(SHARE_MAX);
        let waited = wait(trial, &mut self.instance)?;
        second.check()?;
        let members = trial.outlook.members()?;
        let which = if trial.once_in(2) {
            std::mem::swap(&mut self.instance, &mut second);
            std::mem::swap(&mut self.own, &mut self.other);
            "older"
        } else {
            "newer"
        };
        second.kill()?;
        if !is_kept {
            self.other.wipe()?;
        }
        Ok(format!("the {which} of two processes killed {waited}, members of the groups {members:?}"))
    }
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
