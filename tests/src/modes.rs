//! The ways in which persistent queries are driven by tests: whatever the cut and whoever dies, they
//! write the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Transport, TransportError};
use headwater_engine::catalog::QueryDef;
use headwater_engine::{Driver, Engine, Step};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::twisted::{Call, Fault, Plan, Twisted};

/// How queries are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One record at a time.
    RowAtATime,
    /// All that is there at once.
    OneBatch,
    /// Batches cut by chance, from a seed.
    RandomCuts(u64),
    /// The process dies before each commit, and after it before it hears of it.
    CrashAtEveryCommit,
    /// Two processes share the partitions.
    TwoInstances,
}

impl Mode {
    /// All of them, with one seed.
    pub const ALL: [Self; 5] =
        [Self::OneBatch, Self::RowAtATime, Self::RandomCuts(7), Self::CrashAtEveryCommit, Self::TwoInstances];

    fn instances(self) -> usize {
        if self == Self::TwoInstances { 2 } else { 1 }
    }
}

impl Plan for ModePlan {
    fn fault(&self, call: Call) -> Option<Fault> {
        if self.mode != Mode::CrashAtEveryCommit || call != Call::Commit {
            return None;
        }
        let fault = if self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            Fault::Refused
        } else {
            Fault::ReplyLost
        };
        Some(fault)
    }

    fn cut(&self, records: usize) -> usize {
        match self.mode {
            Mode::RowAtATime => 1,
            Mode::RandomCuts(_) => self.chance.lock().random_range(1..=records),
            _ => records,
        }
    }
}

struct ModePlan {
    mode: Mode,
    commits: AtomicU64,
    chance: Mutex<StdRng>,
}

/// Drives the persistent queries of an engine in one mode.
pub struct Drive {
    transports: Vec<Arc<dyn Transport>>,
    drivers: BTreeMap<String, (Arc<QueryDef>, Vec<Option<Driver>>)>,
    now_ms: i64,
}

/// Steps without an end mean that a query never comes to rest.
const STEPS_MAX: usize = 1_000_000;
/// Virtual time that a step takes, in ms.
const STEP_MS: i64 = 100;

impl Drive {
    /// Drives queries on a cluster in memory.
    pub fn new(cluster: &MemoryTransport, mode: Mode) -> Self {
        let seed = if let Mode::RandomCuts(seed) = mode { seed } else { 0 };
        let transport = |instance: usize| {
            let chance = Mutex::new(StdRng::seed_from_u64(seed));
            let plan = Arc::new(ModePlan { mode, commits: AtomicU64::new(0), chance });
            let process = cluster.process(&format!("process {instance}"));
            Arc::new(Twisted::new(Arc::new(process), plan)) as Arc<dyn Transport>
        };
        Self { transports: (0..mode.instances()).map(transport).collect(), drivers: BTreeMap::new(), now_ms: 0 }
    }

    /// Starts and stops drivers as the catalog says, and drives all until nothing is left to do.
    pub async fn to_rest(&mut self, engine: &Engine) {
        let catalog = engine.catalog().await.expect("a catalog");
        self.drivers.retain(|id, (query, _)| catalog.query(id).is_some_and(|q| q == query && !q.paused));
        for query in catalog.queries().filter(|q| !q.paused) {
            let none = || self.transports.iter().map(|_| None).collect();
            self.drivers.entry(query.id.clone()).or_insert_with(|| (query.clone(), none()));
        }
        let mut quiet = 0;
        for _ in 0..STEPS_MAX {
            quiet = if self.round(engine).await { quiet + 1 } else { 0 };
            // Time for every open epoch to end, and for what it wrote to be read by others.
            if quiet > 20 {
                return;
            }
        }
        panic!("queries do not come to rest");
    }

    /// One step of every driver. True when none did anything.
    async fn round(&mut self, engine: &Engine) -> bool {
        let mut quiet = true;
        let ids: Vec<String> = self.drivers.keys().cloned().collect();
        for id in ids {
            for instance in 0..self.transports.len() {
                self.now_ms += STEP_MS;
                quiet &= self.step(engine, &id, instance).await;
            }
        }
        quiet
    }

    async fn step(&mut self, engine: &Engine, id: &str, instance: usize) -> bool {
        let (_, drivers) = self.drivers.get_mut(id).expect("a query that is driven");
        let Some(driver) = &mut drivers[instance] else {
            let made = engine.driver(id, self.transports[instance].clone()).await;
            drivers[instance] = Some(made.unwrap_or_else(|errors| panic!("query {id}: {errors:?}")));
            return false;
        };
        match driver.step(self.now_ms, Duration::ZERO) {
            Ok(Step::Idle) => driver.is_settled(),
            Ok(_) => false,
            Err(error) => {
                assert!(is_planned(&error), "query {id}: {error}");
                drivers[instance] = None;
                false
            }
        }
    }
}

fn is_planned(error: &TransportError) -> bool {
    error.message.ends_with("as planned")
}
