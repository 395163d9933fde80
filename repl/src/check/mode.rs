//! The modes in which tests drive persistent queries: however input is divided and whatever crashes, the output must be
//! the same. Time is virtual and randomness has a seed, so a run can be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Transport, TransportError};
use headwater_engine::catalog::QueryDef;
use headwater_engine::diagnostic::Diagnostic;
use headwater_engine::{Driver, Engine, StepOutcome};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// How queries are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One record at a time. All state is moved to disk (which is in memory) at each commit.
    RowAtATime,
    /// All available records at once.
    OneBatch,
    /// Batches of random size, from a seed.
    RandomCuts(u64),
    /// The process crashes before each commit, and after each commit before it receives the reply. All state is moved to disk
    /// (which is in memory) at each commit.
    CrashAtEveryCommit,
    /// Two processes share the partitions.
    TwoInstances,
    /// Each record is read and committed alone, by a process that crashes before its commit, and by another one that crashes after it.
    /// No state is left but that of the changelogs.
    RestartAfterEachRow,
}

/// Marks a file whose answers depend on which rows one commit has.
pub(super) const NOT_RESTARTED: &str = "-- not restarted after each row:";

impl Mode {
    /// All modes, with one seed.
    pub const ALL: [Self; 6] = [
        Self::OneBatch,
        Self::RowAtATime,
        Self::RandomCuts(7),
        Self::CrashAtEveryCommit,
        Self::TwoInstances,
        Self::RestartAfterEachRow,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneBatch => "one-batch",
            Self::RowAtATime => "row-at-a-time",
            Self::RandomCuts(_) => "random-cuts",
            Self::CrashAtEveryCommit => "crash-at-every-commit",
            Self::TwoInstances => "two-instances",
            Self::RestartAfterEachRow => "restart-after-each-row",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::OneBatch => "All available records at once",
            Self::RowAtATime => "One record at a time",
            Self::RandomCuts(_) => "Batches of random size, the same each time",
            Self::CrashAtEveryCommit => {
                "The process crashes before each commit, and after each commit before it receives the reply"
            }
            Self::TwoInstances => "Two processes share the partitions",
            Self::RestartAfterEachRow => {
                "Each record is committed alone, by a process that crashes before the commit, and by one that crashes after it"
            }
        }
    }

    /// Whether no state stays in memory after a commit.
    pub fn moves_state(self) -> bool {
        matches!(self, Self::RowAtATime | Self::CrashAtEveryCommit)
    }

    fn crashes(self) -> bool {
        matches!(self, Self::CrashAtEveryCommit | Self::RestartAfterEachRow)
    }

    /// The virtual time that a step takes, in ms.
    fn step_ms(self) -> i64 {
        if self == Self::RestartAfterEachRow { COMMIT_MS } else { STEP_MS }
    }

    fn instances(self) -> usize {
        if self == Self::TwoInstances { 2 } else { 1 }
    }
}

impl ValueEnum for Mode {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}

impl Plan for ModePlan {
    fn fault(&self, call: Call) -> Option<Fault> {
        if !self.mode.crashes() || !matches!(call, Call::Commit | Call::CommitOffsets) {
            return None;
        }
        let is_refused = match self.mode {
            // Queries that take turns and commit at each step would always meet the same fault.
            Mode::RestartAfterEachRow => self.chance.lock().random_bool(0.5),
            _ => self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(2),
        };
        Some(if is_refused { Fault::Refused } else { Fault::ReplyLost })
    }

    fn cut(&self, records: usize) -> usize {
        match self.mode {
            Mode::RowAtATime | Mode::RestartAfterEachRow => 1,
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
    step_ms: i64,
    has_driven: bool,
}

/// Maximum number of steps, after which a query counts as never idle.
const STEPS_MAX: usize = 1_000_000;
/// Virtual time that a step takes, in ms.
const STEP_MS: i64 = 100;
/// More virtual time than there is between two commits, in ms.
const COMMIT_MS: i64 = 4_000;

impl Drive {
    /// Drives queries on a cluster in memory.
    pub fn new(cluster: &MemoryTransport, mode: Mode) -> Self {
        let seed = if let Mode::RandomCuts(seed) = mode { seed } else { 0 };
        let transport = |instance: usize| {
            let chance = Mutex::new(StdRng::seed_from_u64(seed));
            let plan = Arc::new(ModePlan { mode, commits: AtomicU64::new(0), chance });
            let process = cluster.process(&format!("process {instance}"));
            Arc::new(FaultyTransport::new(Arc::new(process), plan)) as Arc<dyn Transport>
        };
        let transports = (0..mode.instances()).map(transport).collect();
        Self { transports, drivers: BTreeMap::new(), now_ms: 0, step_ms: mode.step_ms(), has_driven: false }
    }

    /// Whether there was a persistent query: without one, all modes are the same.
    pub fn has_driven(&self) -> bool {
        self.has_driven
    }

    /// Starts and stops drivers according to the catalog, and drives all of them until nothing is left to do. Fails,
    /// with the reason, when a query fails or never becomes idle.
    pub async fn until_idle(&mut self, engine: &Engine) -> Result<(), String> {
        let catalog = engine.catalog().await.map_err(|errors| messages(&errors))?;
        self.drivers.retain(|id, (query, _)| catalog.query(id).is_some_and(|q| q == query && !q.paused));
        for query in catalog.queries().filter(|q| !q.paused) {
            let none = || self.transports.iter().map(|_| None).collect();
            self.drivers.entry(query.id.clone()).or_insert_with(|| (query.clone(), none()));
        }
        self.has_driven |= !self.drivers.is_empty();
        let mut quiet = 0;
        for _ in 0..STEPS_MAX {
            quiet = if self.round(engine).await? { quiet + 1 } else { 0 };
            // Time for every open epoch to end, and for other queries to read its output.
            if quiet > 20 {
                return Ok(());
            }
        }
        Err("the persistent queries never become idle: their topics may form a cycle".to_owned())
    }

    /// Runs one step of every driver. True if none did anything.
    async fn round(&mut self, engine: &Engine) -> Result<bool, String> {
        let mut quiet = true;
        for (id, (_, drivers)) in &mut self.drivers {
            for (transport, driver) in self.transports.iter().zip(drivers) {
                self.now_ms += self.step_ms;
                quiet &= step(engine, id, transport, driver, self.now_ms).await?;
            }
        }
        Ok(quiet)
    }
}

/// Runs one step of one query in one process. True if there was nothing to do.
async fn step(
    engine: &Engine,
    id: &str,
    transport: &Arc<dyn Transport>,
    slot: &mut Option<Driver>,
    now_ms: i64,
) -> Result<bool, String> {
    let Some(driver) = slot else {
        let made = engine.driver(id, transport.clone()).await;
        *slot = Some(made.map_err(|errors| format!("query {id} cannot start: {}", messages(&errors)))?);
        return Ok(false);
    };
    match driver.step(now_ms, Duration::ZERO) {
        Ok(StepOutcome::Idle) => Ok(driver.is_settled()),
        Ok(_) => Ok(false),
        Err(error) => {
            // A driver that failed is discarded, as the supervisor does.
            *slot = None;
            if is_planned(&error) { Ok(false) } else { Err(format!("query {id} failed: {}", error.message)) }
        }
    }
}

fn messages(errors: &[Diagnostic]) -> String {
    errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn is_planned(error: &TransportError) -> bool {
    error.message.ends_with("as planned")
}
