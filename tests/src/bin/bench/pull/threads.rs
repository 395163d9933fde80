//! The CPU time of this process, and that of its threads which look up and write.

use std::error::Error;
use std::fs;

use crate::process;

/// The name of the threads that look up.
pub const LOOK_UPS: &str = "look-ups";
/// The name of the thread that writes.
pub const FEED: &str = "feed";

/// CPU seconds.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Those of the process.
    pub process: f64,
    /// Those of the threads that look up.
    pub look_ups: f64,
    /// Those of the thread that writes.
    pub feed: f64,
}

impl Spent {
    /// What was spent since an earlier time.
    pub fn since(self, before: &Self) -> Self {
        Self {
            process: self.process - before.process,
            look_ups: self.look_ups - before.look_ups,
            feed: self.feed - before.feed,
        }
    }
}

/// What was spent so far, without threads that have ended.
pub fn cpu_seconds() -> Result<Spent, Box<dyn Error>> {
    let pid = std::process::id();
    let mut spent = Spent { process: process::cpu_seconds(pid)?, look_ups: 0.0, feed: 0.0 };
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = task?.path();
        // A thread may end at any time.
        let Ok(name) = fs::read_to_string(folder.join("comm")) else { continue };
        let seconds = || process::cpu_seconds_in(&folder).unwrap_or_default();
        match name.trim() {
            LOOK_UPS => spent.look_ups += seconds(),
            FEED => spent.feed += seconds(),
            _ => {}
        }
    }
    Ok(spent)
}
