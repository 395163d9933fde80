//! The whole engine on a cluster in memory, with virtual time and faults, all from one seed.
//!
//! Several processes run two queries in a chain while records arrive, some of them in foreign
//! transactions that commit, abort or hang, and while a user asks for this and that. Processes die, fall silent and come
//! back as zombies; every call of their transports may fail, or its reply may be lost. Then faults end, everything is
//! driven to rest, and what the queries wrote
//! must be what a bounded query over their input gives: each row once, in the order of its key.
//!
//! Stepped, all of it is one thread, and a seed gives the same run each time. With the threads that read ahead and write
//! in the product, the order of calls is the system's.

mod chaos;
mod input;
mod judge;
mod trace;
mod user;
mod world;

use std::collections::BTreeMap;

pub use self::chaos::Noted;
pub use self::trace::Trace;
use self::world::World;

/// Things that happen in one simulation before the faults end.
const ACTIONS: usize = 400;

/// One simulation.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    /// All chance comes of it.
    pub seed: u64,
    /// What its queries promise.
    pub guarantee: Guarantee,
    /// How its queries are driven.
    pub threads: Threads,
}

/// What the queries of a simulation promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Each row once.
    ExactlyOnce,
    /// Each row once or more often: with it a simulation is expected to fail for some seeds, which shows
    /// that its checks see what they look for.
    AtLeastOnce,
}

/// Which threads read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// None but the one that steps.
    Stepped,
    /// Those of the product.
    Own,
}

/// How a simulation went.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong, if something did.
    pub result: Result<(), String>,
    /// All that happened.
    pub trace: Trace,
    /// How many calls each thread made, by its name.
    pub calls_by_thread: BTreeMap<String, u64>,
}

impl Simulation {
    /// A seed, stepped.
    pub fn stepped(seed: u64, guarantee: Guarantee) -> Self {
        Self { seed, guarantee, threads: Threads::Stepped }
    }

    /// Runs it.
    pub async fn run(self) -> Outcome {
        let mut world = match World::new(self).await {
            Ok(world) => world,
            Err(error) => {
                return Outcome { result: Err(error), trace: Trace::default(), calls_by_thread: BTreeMap::new() };
            }
        };
        let result = world.live(ACTIONS).await;
        let (trace, calls_by_thread) = world.end();
        Outcome { result, trace, calls_by_thread }
    }
}
