//! The whole engine on a cluster in memory, with virtual time and faults, all from one seed.
//!
//! Several processes run two queries in a chain, one that counts by window, one that groups the table of another, and one that joins
//! streams, while records arrive, some of them in transactions of other writers that commit, abort or hang, and while a user runs statements. Processes crash, fall silent and return as zombies;
//! every call of their transports may fail, or its reply may be lost. Then the faults end, the queries are driven until
//! they are idle, and their output must equal the result of a bounded query over their input: each row once, and in
//! order for each key.
//!
//! When stepped, everything runs on one thread, and a seed gives the same run each time. With the threads that read
//! ahead and write in the product, the system determines the order of calls.

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

/// Number of events in one simulation before the faults end.
const ACTIONS: usize = 400;

/// One simulation.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    /// The seed of all randomness.
    pub seed: u64,
    /// The guarantee of its queries.
    pub guarantee: Guarantee,
    /// How its queries are driven.
    pub threads: Threads,
}

/// The processing guarantee of the queries of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Each row once.
    ExactlyOnce,
    /// Each row at least once: with it, a simulation is expected to fail for some seeds, which shows that its checks
    /// work.
    AtLeastOnce,
}

/// Which threads read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Only the one that steps.
    Stepped,
    /// Those of the product.
    Own,
}

/// The result of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong, if anything.
    pub result: Result<(), String>,
    /// Everything that happened.
    pub trace: Trace,
    /// Number of calls of each thread, by thread name.
    pub calls_by_thread: BTreeMap<String, u64>,
}

impl Simulation {
    /// A stepped simulation with a seed.
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
