//! Pull queries by key on the table of a query in this process: their latency, their rate, and what they cost the query that
//! writes the table meanwhile.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{AsArray, BinaryArray};
use arrow::datatypes::Int64Type;
use clap::Args;
use futures::TryStreamExt as _;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Sink, SinkOptions, Transport};
use headwater_engine::answer::Answer;
use headwater_engine::{Engine, Session};
use headwater_formats::record::OutBatch;
use headwater_language::config::Settings;
use headwater_tests::scratch::Scratch;
use tokio::runtime::Runtime;

use crate::process;
use crate::table::{Table, Target};

/// Records of one write.
const BATCH: usize = 10_000;
const FLUSH_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// A factor without a common divisor with any number of keys: it visits all of them in an order that looks random.
const STRIDE: u64 = 2_654_435_761;

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT; without it, the topics are in memory
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// Number of keys of the table
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Number of partitions of the topic
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Look-ups per second while the query writes
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Sessions that look up at the same time while the query writes
    #[arg(long, default_value_t = 8)]
    sessions: u64,
    /// Records that the query processes, once alone and once during look-ups
    #[arg(long, default_value_t = 4_000_000)]
    records: u64,
}

/// Measures, and prints the table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let scratch = arguments.bootstrap_server.as_ref().map(|server| Scratch::new(server, "bench"));
    let service = scratch.as_ref().map_or("bench", Scratch::name).to_owned();
    let topic = scratch.as_ref().map_or_else(|| "s".to_owned(), |scratch| scratch.topic("in"));
    let to = scratch.as_ref().map_or_else(|| "t".to_owned(), |scratch| scratch.topic("out"));
    let transport: Arc<dyn Transport> = match &arguments.bootstrap_server {
        Some(server) => Arc::new(KafkaTransport::connect([("bootstrap.servers".to_owned(), server.clone())].into())?),
        None => Arc::new(MemoryTransport::new()),
    };
    let mut settings = Settings::default();
    settings.set("service.id", &service).map_err(|error| error.message)?;
    let engine = Arc::new(Engine::new(transport.clone(), &settings));
    let pulls = Pulls { engine: engine.clone(), settings, keys: arguments.keys };
    let measured = runtime.block_on(async {
        let feed = Feed { transport, topic: topic.clone(), partitions: arguments.partitions, keys: arguments.keys };
        define(&pulls, &topic, &to, arguments.partitions).await?;
        feed.write(arguments.keys)?;
        engine.work();
        pulls.await_count(arguments.keys).await?;
        measure(&pulls, &feed, arguments).await
    });
    let stopped = runtime.block_on(runtime.spawn_blocking(move || engine.stop_queries()));
    println!("{} keys\n{}", arguments.keys, measured?);
    Ok(stopped?)
}

async fn define(pulls: &Pulls, topic: &str, to: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    let source = format!(
        "CREATE STREAM s (k BIGINT KEY, v BIGINT) WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', \
         VALUE_FORMAT = 'JSON', PARTITIONS = {partitions});"
    );
    let table = format!(
        "CREATE TABLE t WITH (KAFKA_TOPIC = '{to}') AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;"
    );
    let mut session = pulls.session();
    for statement in [source, table] {
        pulls.engine.ask(&mut session, &statement).await.map_err(|errors| errors[0].message.clone())?;
    }
    Ok(())
}

async fn measure(pulls: &Pulls, feed: &Feed, arguments: &Arguments) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::default();
    let span = Duration::from_secs(arguments.seconds);
    pulls.in_turn(span / 5, None).await?;
    let before = process::cpu_seconds(std::process::id())?;
    let quiet = pulls.in_turn(span, None).await?;
    let spent = process::cpu_seconds(std::process::id())? - before;
    table.add("look-up alone, CPU of the process, µs", 0, vec![spent * 1e6 / quiet.micros.len() as f64], None);
    table.add("look-up alone, p50, µs", 0, vec![quiet.percentile(50)], Some(Target::Below(1_000.0)));
    table.add("look-up alone, p99, µs", 0, vec![quiet.percentile(99)], None);
    table.add("look-ups alone in turn, per s", 0, vec![quiet.rate()], None);
    let mut written = arguments.keys;
    let mut drains = Vec::new();
    for with_pulls in [false, true] {
        feed.write(arguments.records)?;
        written += arguments.records;
        let (begun, is_over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let sessions = if with_pulls { arguments.sessions } else { 0 };
        let look = |_| tokio::spawn(pulls.clone().at_rate(arguments.rate / sessions, is_over.clone()));
        let looking: Vec<_> = (0..sessions).map(look).collect();
        pulls.await_count(written).await?;
        drains.push(begun.elapsed().as_secs_f64());
        is_over.store(true, Ordering::Relaxed);
        let mut found = Latencies::new();
        for looking in looking {
            found.join(looking.await??);
        }
        if with_pulls {
            table.add("look-ups while the query writes, per s", 0, vec![found.rate()], None);
            table.add("look-up while the query writes, p50, µs", 0, vec![found.percentile(50)], None);
            table.add("look-up while the query writes, p99, µs", 0, vec![found.percentile(99)], None);
        }
    }
    let rates: Vec<f64> = drains.iter().map(|seconds| arguments.records as f64 / seconds).collect();
    table.add("query, records/s", 0, vec![rates[0]], None);
    table.add("query with look-ups, records/s", 0, vec![rates[1]], None);
    table.add("query with look-ups, ratio", 2, vec![rates[1] / rates[0]], Some(Target::AtLeast(0.9)));
    Ok(table)
}

/// The key of a record, and of a look-up, with this number.
fn key(number: u64, keys: u64) -> u64 {
    number.wrapping_mul(STRIDE) % keys
}

/// Writes records for the keys.
struct Feed {
    transport: Arc<dyn Transport>,
    topic: String,
    partitions: i32,
    keys: u64,
}

impl Feed {
    fn write(&self, records: u64) -> Result<(), Box<dyn Error>> {
        let mut sink: Box<dyn Sink> = self.transport.open_sink(SinkOptions::default())?;
        let numbers: Vec<u64> = (0..records).collect();
        for numbers in numbers.chunks(BATCH) {
            sink.write(&self.batch(numbers))?;
        }
        Ok(sink.flush(FLUSH_MAX)?)
    }

    fn batch(&self, numbers: &[u64]) -> OutBatch {
        let key = |number: &u64| key(*number, self.keys);
        OutBatch {
            topic: self.topic.as_str().into(),
            partitions: Some(numbers.iter().map(|n| (key(n) % self.partitions as u64) as i32).collect()),
            keys: BinaryArray::from_iter_values(numbers.iter().map(|number| key(number).to_be_bytes())),
            values: BinaryArray::from_iter_values(
                numbers.iter().map(|number| format!(r#"{{"V":{}}}"#, number % 1_000)),
            ),
            timestamps_ms: None,
            headers: None,
        }
    }
}

/// Pull queries, and where they are asked.
#[derive(Clone)]
struct Pulls {
    engine: Arc<Engine>,
    settings: Settings,
    keys: u64,
}

impl Pulls {
    fn session(&self) -> Session {
        Session::new(self.settings.clone())
    }

    /// Waits until the table has counted this many records.
    async fn await_count(&self, records: u64) -> Result<(), Box<dyn Error>> {
        let mut session = self.session();
        loop {
            let counted = self.number(&mut session, "SELECT SUM(n) AS counted FROM t;").await?;
            if counted.is_some_and(|counted| u64::try_from(counted).is_ok_and(|counted| counted >= records)) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The number in the first column of the only row of a query; `None` if it is null or there is no row.
    async fn number(&self, session: &mut Session, query: &str) -> Result<Option<i64>, Box<dyn Error>> {
        let answer = self.engine.ask(session, query).await.map_err(|errors| errors[0].message.clone())?;
        let Answer::Rows(rows) = answer else { return Err("no rows".into()) };
        let batches: Vec<_> = rows.stream.try_collect().await?;
        let column = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0).clone());
        Ok(column.and_then(|column| column.as_primitive::<Int64Type>().iter().next().flatten()))
    }

    /// Looks one key up. Fails if it is not there.
    async fn look(&self, session: &mut Session, number: u64) -> Result<(), Box<dyn Error>> {
        let key = key(number, self.keys);
        let found = self.number(session, &format!("SELECT n, total FROM t WHERE k = {key};")).await?;
        if found.is_some_and(|n| n > 0) { Ok(()) } else { Err(format!("key {key} is not there").into()) }
    }

    /// Looks keys up one after the other, at most at a rate.
    async fn in_turn(&self, span: Duration, is_over: Option<&AtomicBool>) -> Result<Latencies, Box<dyn Error>> {
        let (mut session, mut latencies) = (self.session(), Latencies::new());
        while latencies.begun.elapsed() < span && !is_over.is_some_and(|is_over| is_over.load(Ordering::Relaxed)) {
            let begun = Instant::now();
            self.look(&mut session, latencies.micros.len() as u64).await?;
            latencies.add(begun.elapsed());
        }
        Ok(latencies.ended())
    }

    /// Looks keys up at a rate until it is over. Each is counted from the time when it is due.
    async fn at_rate(self, rate: u64, is_over: Arc<AtomicBool>) -> Result<Latencies, String> {
        let (mut session, mut latencies) = (self.session(), Latencies::new());
        while !is_over.load(Ordering::Relaxed) {
            let number = latencies.micros.len() as u64;
            let due = latencies.begun + Duration::from_micros(number * 1_000_000 / rate);
            let early = due.saturating_duration_since(Instant::now());
            if early > Duration::from_millis(1) {
                tokio::time::sleep(early).await;
            }
            let begun = Instant::now();
            self.look(&mut session, number).await.map_err(|error| error.to_string())?;
            latencies.add(begun.elapsed());
        }
        Ok(latencies.ended())
    }
}

/// How long look-ups took.
struct Latencies {
    begun: Instant,
    seconds: f64,
    micros: Vec<f64>,
}

impl Latencies {
    fn new() -> Self {
        Self { begun: Instant::now(), seconds: 0.0, micros: Vec::new() }
    }

    fn add(&mut self, latency: Duration) {
        self.micros.push(latency.as_secs_f64() * 1e6);
    }

    fn ended(mut self) -> Self {
        self.seconds = self.begun.elapsed().as_secs_f64();
        self.micros.sort_by(f64::total_cmp);
        self
    }

    /// Adds those of another session that looked up at the same time.
    fn join(&mut self, other: Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.micros.extend(other.micros);
        self.micros.sort_by(f64::total_cmp);
    }

    fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.seconds
    }

    fn percentile(&self, percent: usize) -> f64 {
        self.micros.get(self.micros.len() * percent / 100).copied().unwrap_or(f64::NAN)
    }
}
