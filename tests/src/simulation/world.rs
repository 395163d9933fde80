//! The processes of a simulation, and the events that affect them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_connectors::transport::Transport;
use headwater_connectors::transport::faults::FaultyTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::config::Settings;
use headwater_engine::{Driver, Engine, MemoryDisk, MemoryFolder, Session, StepOutcome, Storage};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::chaos::{Chaos, Notes};
use super::input::Input;
use super::trace::Trace;
use super::user::Wish;
use super::{Guarantee, Simulation, Threads, judge};

/// Maximum number of rounds without faults until queries are idle.
const ROUNDS_MAX: usize = 20_000;
/// Number of rounds without work after which everything is idle: longer than a query waits before checking for new
/// partitions.
const QUIET_ROUNDS: usize = 50;
/// Shortest time between two local snapshots of a query in a process, in ms.
const SNAPSHOT_MS: i64 = 500;
/// How long a step waits for threads.
const THREAD_WAIT: Duration = Duration::from_millis(1);
/// Maximum time for threads to finish their work.
const THREADS_DONE_MAX: Duration = Duration::from_secs(30);

const SETUP: [&str; 8] = [
    "CREATE STREAM s (k STRING KEY, n BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 3, VALUE_FORMAT = 'JSON');",
    "CREATE STREAM first AS SELECT k, n, ROWPARTITION AS p, ROWOFFSET AS o FROM s WHERE n % 5 <> 0;",
    "CREATE STREAM second AS SELECT n % 4 AS r, k, n * 2 AS twice, p, o FROM first PARTITION BY n % 4;",
    "CREATE TABLE counts WITH (PARTITIONS = 2) AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k
       EMIT CHANGES;",
    "CREATE TABLE totals WITH (PARTITIONS = 2) AS SELECT k, SUM(n) AS total FROM s GROUP BY k EMIT CHANGES;",
    "CREATE TABLE rests AS SELECT CAST(total % 5 AS STRING) AS k, SUM(total) AS n, COUNT(*) AS c FROM totals WHERE total > 50
       GROUP BY CAST(total % 5 AS STRING) HAVING COUNT(*) > 0 EMIT CHANGES;",
    "CREATE STREAM pairs AS SELECT s.n AS n, s.k AS k, f.p AS p, f.o AS o FROM s JOIN first f WITHIN 1 SECOND ON s.n = f.n;",
    "CREATE STREAM own AS SELECT a.n AS n, a.k AS k, b.ROWPARTITION AS p, b.ROWOFFSET AS o FROM s a JOIN s b WITHIN 1 SECOND
       ON a.n = b.n + 1;",
];

/// One process of the service.
struct Process {
    cluster: MemoryTransport,
    transport: Arc<dyn Transport>,
    engine: Engine,
    /// Its local snapshots, which the process that replaces it finds.
    folder: MemoryFolder,
    drivers: BTreeMap<String, Driver>,
    /// Not scheduled before this time, in ms.
    silent_until_ms: i64,
}

/// The state of a simulation.
pub(super) struct World {
    simulation: Simulation,
    chance: StdRng,
    cluster: MemoryTransport,
    /// An engine without faults.
    engine: Engine,
    queries: Vec<String>,
    processes: Vec<Process>,
    input: Input,
    now_ms: i64,
    faults: Arc<AtomicBool>,
    notes: Arc<Notes>,
    started: usize,
}

impl World {
    pub(super) async fn new(simulation: Simulation) -> Result<Self, String> {
        let mut chance = StdRng::seed_from_u64(simulation.seed);
        let cluster = MemoryTransport::default();
        let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        let weaker = simulation.guarantee == Guarantee::AtLeastOnce;
        let promise = weaker.then_some("SET 'processing.guarantee' = 'at_least_once';");
        for statement in promise.into_iter().chain(SETUP) {
            engine.ask(&mut session, statement).await.map_err(|errors| format!("{errors:?}"))?;
        }
        let catalog = engine.catalog().await.map_err(|errors| format!("{errors:?}"))?;
        let count = chance.random_range(1..=3);
        let mut world = Self {
            simulation,
            chance,
            engine,
            queries: catalog.queries().map(|q| q.id.clone()).collect(),
            processes: Vec::new(),
            input: Input::new(&cluster, simulation.threads == Threads::Own),
            cluster,
            now_ms: 1_000,
            faults: Arc::new(AtomicBool::new(true)),
            notes: Arc::default(),
            started: 0,
        };
        (0..count).for_each(|_| world.start(MemoryFolder::default()));
        Ok(world)
    }

    /// Runs random events, then lets everything finish without faults, and checks the result.
    pub(super) async fn live(&mut self, actions: usize) -> Result<(), String> {
        for _ in 0..actions {
            self.act().await?;
        }
        self.heal();
        let begun = Instant::now();
        loop {
            self.rest().await?;
            match self.check().await {
                // A thread may have had work left.
                Err(_) if self.has_threads() && begun.elapsed() < THREADS_DONE_MAX => {}
                checked => return checked,
            }
        }
    }

    /// Returns what happened.
    pub(super) fn end(self) -> (Trace, BTreeMap<String, u64>) {
        drop(self.processes);
        (Trace::of(&self.notes, &self.cluster), self.notes.threads())
    }

    fn has_threads(&self) -> bool {
        self.simulation.threads == Threads::Own
    }

    /// Starts a new process, with a name that was not used before, and with the snapshots in this folder.
    fn start(&mut self, folder: MemoryFolder) {
        let cluster = self.cluster.process(&format!("process {}", self.started));
        let (faults, notes) = (self.faults.clone(), self.notes.clone());
        let plan = Arc::new(Chaos::new(self.started, self.simulation.seed, faults, notes, self.has_threads()));
        let transport: Arc<dyn Transport> = Arc::new(FaultyTransport::new(Arc::new(cluster.clone()), plan));
        let engine = Engine::driven(transport.clone(), &Settings::default());
        // With an odd seed no state stays in memory after a commit.
        if self.simulation.seed % 2 == 1 {
            engine.store_in(Storage::new(1, MemoryDisk));
        }
        engine.keep_state(Arc::new(folder.clone()), SNAPSHOT_MS);
        let drivers = BTreeMap::new();
        self.processes.push(Process { cluster, transport, engine, folder, drivers, silent_until_ms: 0 });
        self.started += 1;
    }

    async fn act(&mut self) -> Result<(), String> {
        self.now_ms += self.chance.random_range(0..200);
        match self.chance.random_range(0..100) {
            0..20 => self.input.produce(&mut self.chance, self.now_ms),
            20..23 => self.crash(),
            23..25 => self.fall_silent(),
            25..26 if self.processes.len() < 4 => self.start(MemoryFolder::default()),
            26..27 if self.processes.len() > 1 => self.leave(),
            27..28 if self.input.grow() => {}
            // Long enough for queries without input to close their clients.
            28..30 => self.now_ms += 11_000,
            30..36 => self.ask().await?,
            _ => {
                let process = self.chance.random_range(0..self.processes.len());
                let query = self.chance.random_range(0..self.queries.len());
                self.step(process, query).await?;
            }
        }
        Ok(())
    }

    /// A user runs a statement on one of the processes.
    async fn ask(&mut self) -> Result<(), String> {
        let process = self.chance.random_range(0..self.processes.len());
        let wish = Wish::draw(&mut self.chance, self.now_ms);
        wish.ask(&self.processes[process].engine, &self.engine).await
    }

    /// Like kill -9: nothing is committed, and the session times out. Another process starts.
    fn crash(&mut self) {
        let process = self.chance.random_range(0..self.processes.len());
        let dead = self.processes.swap_remove(process);
        dead.cluster.expire_members();
        let folder = dead.folder.clone();
        drop(dead);
        self.start(folder);
    }

    /// A process is removed from its groups without noticing, and wakes up later.
    fn fall_silent(&mut self) {
        let until = self.now_ms + self.chance.random_range(100..3_000);
        let process = self.chance.random_range(0..self.processes.len());
        let process = &mut self.processes[process];
        process.cluster.expire_members();
        process.silent_until_ms = until;
    }

    /// Like SIGTERM: completed work is committed, unless that fails.
    fn leave(&mut self) {
        let process = self.chance.random_range(0..self.processes.len());
        let leaving = self.processes.swap_remove(process);
        for mut driver in leaving.drivers.into_values() {
            // A failed commit counts as a crash.
            let _ = driver.finish(self.now_ms);
        }
    }

    /// One step of one query in one process. True if there was nothing to do.
    async fn step(&mut self, process: usize, query: usize) -> Result<bool, String> {
        let (id, now_ms, has_threads) = (self.queries[query].clone(), self.now_ms, self.has_threads());
        let process = &mut self.processes[process];
        if process.silent_until_ms > now_ms {
            return Ok(false);
        }
        let Some(driver) = process.drivers.get_mut(&id) else {
            match process.engine.driver(&id, process.transport.clone()).await {
                Ok(driver) => drop(process.drivers.insert(id, if has_threads { driver.in_threads() } else { driver })),
                Err(errors) if errors.iter().all(|e| e.message.ends_with("as planned")) => {}
                Err(errors) => return Err(format!("query {id} could not start: {errors:?}")),
            }
            return Ok(false);
        };
        match driver.step(now_ms, if has_threads { THREAD_WAIT } else { Duration::ZERO }) {
            Ok(step) => Ok(step == StepOutcome::Idle && driver.is_settled()),
            // A driver that failed is discarded, as the supervisor does.
            Err(_) => {
                process.drivers.remove(&id);
                Ok(false)
            }
        }
    }

    fn heal(&mut self) {
        self.faults.store(false, Ordering::Relaxed);
        self.input.end();
        self.processes.iter_mut().for_each(|process| process.silent_until_ms = 0);
    }

    async fn rest(&mut self) -> Result<(), String> {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            self.now_ms += 100;
            let mut all = true;
            for process in 0..self.processes.len() {
                for query in 0..self.queries.len() {
                    all &= self.step(process, query).await?;
                }
            }
            quiet = if all { quiet + 1 } else { 0 };
            if quiet > QUIET_ROUNDS {
                return Ok(());
            }
        }
        Err("the queries never become idle".to_owned())
    }

    async fn check(&self) -> Result<(), String> {
        let first = "SELECT k AS key, n AS value, ROWPARTITION AS p, ROWOFFSET AS o FROM s WHERE n % 5 <> 0";
        judge::check(&self.engine, "s", "FIRST", first).await?;
        judge::check(&self.engine, "first", "SECOND", "SELECT k AS key, n * 2 AS value, p, o FROM first").await?;
        let counted = "SELECT k AS key, COUNT(*) AS value, CAST(0 AS INT) AS p, ROWTIME / 1000 * 1000 AS o FROM s \
            GROUP BY k, ROWTIME / 1000 * 1000";
        judge::check(&self.engine, "s", "COUNTS", counted).await?;
        // Each row meets the one that it was made from, which another partition may have.
        judge::check(&self.engine, "first", "PAIRS", "SELECT k AS key, n AS value, p, o FROM first").await?;
        let own = "SELECT a.k AS key, a.n AS value, b.ROWPARTITION AS p, b.ROWOFFSET AS o FROM s a \
            JOIN s b WITHIN 1 SECOND ON a.n = b.n + 1";
        judge::check(&self.engine, "s", "OWN", own).await?;
        // Its input is read as a table, so it is not wrong if a total is written twice.
        let rests = "SELECT CAST(total % 5 AS STRING) AS key, SUM(total) AS value, CAST(COUNT(*) AS INT) AS p, \
            CAST(0 AS BIGINT) AS o FROM totals WHERE total > 50 GROUP BY CAST(total % 5 AS STRING)";
        judge::check(&self.engine, "totals", "RESTS", rests).await
    }
}
