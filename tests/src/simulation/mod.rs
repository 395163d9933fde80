//! The whole engine on a cluster in memory, with virtual time and faults, all from one seed.
//!
//! Several processes run two queries in a chain while records arrive, some of them in foreign
//! transactions that commit, abort or hang. Processes die, fall silent and come back as zombies, calls
//! fail and replies are lost. Then faults end, everything is driven to rest, and what the queries wrote
//! must be what a bounded query over their input gives: each row once, in the order of its key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, BinaryArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use headwater_connectors::record::OutBatch;
use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Membership, Sink, SinkOptions, Transport};
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::{Driver, Engine, Session, Step};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Partitions of the input at first, and at most.
const PARTITIONS: i32 = 3;
const PARTITIONS_MAX: i32 = 5;
/// Different keys.
const KEYS: u32 = 7;
/// Things that happen in one simulation before the faults end.
const ACTIONS: usize = 400;
/// Rounds without a fault after which a query must be at rest.
const ROUNDS_MAX: usize = 20_000;

const SETUP: [&str; 3] = [
    "CREATE STREAM s (k STRING KEY, n BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 3, VALUE_FORMAT = 'JSON');",
    "CREATE STREAM first AS SELECT k, n, ROWPARTITION AS p, ROWOFFSET AS o FROM s WHERE n % 5 <> 0;",
    "CREATE STREAM second AS SELECT n % 4 AS r, k, n * 2 AS twice, p, o FROM first PARTITION BY n % 4;",
];

/// Faults by chance, until they are switched off.
struct Chaos {
    chance: Mutex<StdRng>,
    on: Arc<AtomicBool>,
}

impl Plan for Chaos {
    fn fault(&self, call: Call) -> Option<Fault> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let one_in = match call {
            Call::Commit => 12,
            Call::PollMember | Call::Poll => 200,
            _ => 50,
        };
        let mut chance = self.chance.lock();
        if chance.random_range(0..one_in) > 0 {
            return None;
        }
        Some(if chance.random_bool(0.5) { Fault::Refused } else { Fault::ReplyLost })
    }

    fn cut(&self, records: usize) -> usize {
        self.chance.lock().random_range(1..=records)
    }
}

/// One process of the service.
struct Process {
    cluster: MemoryTransport,
    transport: Arc<dyn Transport>,
    drivers: BTreeMap<String, Driver>,
    /// It is not scheduled until then, in ms.
    silent_until_ms: i64,
}

struct World {
    chance: StdRng,
    cluster: MemoryTransport,
    engine: Engine,
    queries: Vec<String>,
    processes: Vec<Process>,
    foreign: Option<Box<dyn Sink>>,
    /// Partitions of the input.
    partitions: i32,
    next: i64,
    now_ms: i64,
    faults: Arc<AtomicBool>,
    started: usize,
    seed: u64,
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

/// Runs one simulation. Fails with what went wrong.
pub async fn run(seed: u64, guarantee: Guarantee) -> Result<(), String> {
    let mut world = World::new(seed, guarantee).await?;
    for _ in 0..ACTIONS {
        world.act().await?;
    }
    world.heal();
    world.rest().await?;
    world
        .check("s", "FIRST", "SELECT k AS key, n AS value, ROWPARTITION AS p, ROWOFFSET AS o FROM s WHERE n % 5 <> 0")
        .await?;
    world.check("first", "SECOND", "SELECT k AS key, n * 2 AS value, p, o FROM first").await
}

impl World {
    async fn new(seed: u64, guarantee: Guarantee) -> Result<Self, String> {
        let mut chance = StdRng::seed_from_u64(seed);
        let cluster = MemoryTransport::default();
        let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        let promise = (guarantee == Guarantee::AtLeastOnce).then_some("SET 'processing.guarantee' = 'at_least_once';");
        for statement in promise.into_iter().chain(SETUP) {
            engine.ask(&mut session, statement).await.map_err(|errors| format!("{errors:?}"))?;
        }
        let catalog = engine.catalog().await.map_err(|errors| format!("{errors:?}"))?;
        let queries = catalog.queries().map(|q| q.id.clone()).collect();
        let faults = Arc::new(AtomicBool::new(true));
        let count = chance.random_range(1..=3);
        let mut world = Self {
            chance,
            cluster,
            engine,
            queries,
            processes: Vec::new(),
            foreign: None,
            partitions: PARTITIONS,
            next: 1,
            now_ms: 1_000,
            faults,
            started: 0,
            seed,
        };
        (0..count).for_each(|_| world.start());
        Ok(world)
    }

    /// A new process, under a name that none had before.
    fn start(&mut self) {
        let cluster = self.cluster.process(&format!("process {}", self.started));
        let chance = Mutex::new(StdRng::seed_from_u64(self.seed ^ (self.started as u64 + 1).wrapping_mul(0x9e37_79b9)));
        let plan = Arc::new(Chaos { chance, on: self.faults.clone() });
        let transport = Arc::new(FaultyTransport::new(Arc::new(cluster.clone()), plan));
        self.processes.push(Process { cluster, transport, drivers: BTreeMap::new(), silent_until_ms: 0 });
        self.started += 1;
    }

    async fn act(&mut self) -> Result<(), String> {
        self.now_ms += self.chance.random_range(0..200);
        match self.chance.random_range(0..100) {
            0..20 => self.produce(),
            20..23 => self.crash(),
            23..25 => self.fall_silent(),
            25..26 if self.processes.len() < 4 => self.start(),
            26..27 if self.processes.len() > 1 => self.leave(),
            27..28 if self.partitions < PARTITIONS_MAX => self.grow(),
            // Long enough for queries that find nothing then to let go of what they hold.
            28..30 => self.now_ms += 11_000,
            _ => {
                let process = self.chance.random_range(0..self.processes.len());
                let query = self.chance.random_range(0..self.queries.len());
                self.step(process, query).await?;
            }
        }
        Ok(())
    }

    /// Some records, by themselves or inside a foreign transaction that goes on, ends or fails.
    fn produce(&mut self) {
        let records = self.chance.random_range(1..=6);
        let rows: Vec<(i32, String, String)> = (0..records)
            .map(|_| {
                let key = format!("k{}", self.chance.random_range(0..KEYS));
                let value = format!("{{\"n\": {}}}", self.next);
                self.next += 1;
                (partition_of(&key, self.partitions), key, value)
            })
            .collect();
        let batch = OutBatch {
            topic: Arc::from("s"),
            partitions: Some(rows.iter().map(|(p, ..)| *p).collect::<Vec<_>>().into()),
            keys: BinaryArray::from_iter_values(rows.iter().map(|(_, k, _)| k)),
            values: BinaryArray::from_iter_values(rows.iter().map(|(.., v)| v)),
            timestamps_ms: Some(vec![self.now_ms; rows.len()].into()),
            headers: None,
        };
        if self.chance.random_bool(0.3) {
            return self.produce_in_transaction(&batch);
        }
        let mut sink = self.cluster.open_sink(SinkOptions::default()).expect("a sink");
        sink.write(&batch).expect("a write");
    }

    fn produce_in_transaction(&mut self, batch: &OutBatch) {
        let limit = Duration::ZERO;
        if let Some(mut open) = self.foreign.take() {
            let ended = match self.chance.random_bool(0.5) {
                true => open.commit(&Membership::outside("nobody"), &BTreeMap::new(), limit),
                false => open.abort(limit),
            };
            ended.expect("the end of a foreign transaction");
            return;
        }
        let options = SinkOptions { transactional_id: Some("foreign".to_owned()), ..SinkOptions::default() };
        let mut sink = self.cluster.open_sink(options).expect("a sink");
        sink.begin().expect("a transaction");
        sink.write(batch).expect("a write");
        self.foreign = Some(sink);
    }

    /// The input gets one more partition. Records of a key go on in another one then, so their order is one of each partition.
    fn grow(&mut self) {
        self.partitions += 1;
        self.cluster.add_partitions("s", self.partitions).expect("a topic that is there");
    }

    /// Kill -9: nothing is said to anybody, and the session ends by itself. Another process begins.
    fn crash(&mut self) {
        let process = self.chance.random_range(0..self.processes.len());
        let dead = self.processes.swap_remove(process);
        dead.cluster.expire_members();
        drop(dead);
        self.start();
    }

    /// A process is put out of its groups while it believes to be in them, and wakes up later.
    fn fall_silent(&mut self) {
        let until = self.now_ms + self.chance.random_range(100..3_000);
        let process = self.chance.random_range(0..self.processes.len());
        let process = &mut self.processes[process];
        process.cluster.expire_members();
        process.silent_until_ms = until;
    }

    /// SIGTERM: what is done is committed, unless that fails.
    fn leave(&mut self) {
        let process = self.chance.random_range(0..self.processes.len());
        let leaving = self.processes.swap_remove(process);
        for mut driver in leaving.drivers.into_values() {
            // A commit that fails is a crash.
            let _ = driver.finish(self.now_ms);
        }
    }

    /// One step of one query in one process. True when there was nothing to do.
    async fn step(&mut self, process: usize, query: usize) -> Result<bool, String> {
        let (id, now_ms) = (self.queries[query].clone(), self.now_ms);
        let process = &mut self.processes[process];
        if process.silent_until_ms > now_ms {
            return Ok(false);
        }
        let Some(driver) = process.drivers.get_mut(&id) else {
            match self.engine.driver(&id, process.transport.clone()).await {
                Ok(driver) => drop(process.drivers.insert(id, driver)),
                Err(errors) if errors.iter().all(|e| e.message.ends_with("as planned")) => {}
                Err(errors) => return Err(format!("query {id} could not start: {errors:?}")),
            }
            return Ok(false);
        };
        match driver.step(now_ms, Duration::ZERO) {
            Ok(step) => Ok(step == Step::Idle && driver.is_settled()),
            // Whatever it was, the driver is thrown away, as the supervisor does.
            Err(_) => {
                process.drivers.remove(&id);
                Ok(false)
            }
        }
    }

    fn heal(&mut self) {
        self.faults.store(false, Ordering::Relaxed);
        if let Some(mut open) = self.foreign.take() {
            open.abort(Duration::ZERO).expect("the end of a foreign transaction");
        }
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
            // Longer than a query takes to look for new partitions.
            if quiet > 50 {
                return Ok(());
            }
        }
        Err("the queries do not come to rest".to_owned())
    }

    /// The rows of a stream that a query made are those of the bounded query, and those of one key and
    /// one partition of the input are in the order of their offsets.
    async fn check(&mut self, source: &str, sink: &str, wanted: &str) -> Result<(), String> {
        let value = if sink == "FIRST" { "n" } else { "twice" };
        let found = self
            .rows(&format!("SELECT k AS key, {value} AS value, p, o FROM {sink} ORDER BY ROWPARTITION, ROWOFFSET;"))
            .await?;
        let wanted = self.rows(&format!("{wanted};")).await?;
        if wanted.is_empty() {
            return Err(format!("nothing arrived in {source}: the simulation shows nothing"));
        }
        let sorted = |rows: &[Row]| {
            let mut rows = rows.to_vec();
            rows.sort();
            rows
        };
        if sorted(&found) != sorted(&wanted) {
            return Err(difference(sink, &sorted(&found), &sorted(&wanted)));
        }
        if sink != "FIRST" {
            return Ok(());
        }
        let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
        for row in &found {
            if let Some(before) = last.insert((&row.key, row.partition), row.offset)
                && before > row.offset
            {
                return Err(format!("{sink}: key {} has offset {} after {before}", row.key, row.offset));
            }
        }
        Ok(())
    }

    async fn rows(&self, statement: &str) -> Result<Vec<Row>, String> {
        let mut session = Session::new(Settings::default());
        let answer = self.engine.ask(&mut session, statement).await.map_err(|errors| format!("{errors:?}"))?;
        let Answer::Rows(rows) = answer else { return Err(format!("{statement} gave no rows")) };
        let batches: Vec<RecordBatch> = rows.stream.try_collect().await.map_err(|error| error.to_string())?;
        Ok(batches.iter().flat_map(rows_of).collect())
    }
}

/// A row of a result and the record that it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    partition: i32,
    offset: i64,
    key: String,
    value: i64,
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let keys = batch.column(0).as_string::<i32>();
    let values = batch.column(1).as_primitive::<Int64Type>();
    let partitions = batch.column(2).as_primitive::<Int32Type>();
    let offsets = batch.column(3).as_primitive::<Int64Type>();
    let row = |at: usize| Row {
        partition: partitions.value(at),
        offset: offsets.value(at),
        key: keys.value(at).to_owned(),
        value: values.value(at),
    };
    (0..keys.len()).map(row).collect()
}

/// A key is always in one partition of so many, as a client would place it.
fn partition_of(key: &str, partitions: i32) -> i32 {
    headwater_connectors::transport::partitioner::partition_of(key.as_bytes(), partitions)
}

fn difference(sink: &str, found: &[Row], wanted: &[Row]) -> String {
    let counted = |rows: &[Row]| {
        let mut counts: BTreeMap<Row, i64> = BTreeMap::new();
        rows.iter().for_each(|row| *counts.entry(row.clone()).or_default() += 1);
        counts
    };
    let mut counts = counted(wanted);
    counted(found).into_iter().for_each(|(row, count)| *counts.entry(row).or_default() -= count);
    let lost = counts.iter().filter(|(_, count)| **count > 0).count();
    let doubled = counts.iter().filter(|(_, count)| **count < 0).count();
    let example = counts.iter().find(|(_, count)| **count != 0).map(|(row, _)| row);
    format!("{sink}: {lost} rows lost, {doubled} doubled or made up, of {}; such as {example:?}", wanted.len())
}
