//! Pull queries by key on the table of a query in this process: their latency, their rate, and what they cost the query that
//! writes the table meanwhile.

pub mod feed;
mod latencies;
mod pulls;
mod threads;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use headwater_connectors::transport::Transport;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_engine::Engine;
use headwater_language::config::Settings;
use headwater_tests::scratch::Scratch;

use self::feed::Feed;
use self::latencies::Latencies;
use self::pulls::Pulls;
use self::threads::LOOK_UPS;
use crate::table::{Table, Target};

/// How often it is checked what the query has committed.
const POLL: Duration = Duration::from_millis(50);
/// Maximum time without a commit of the query.
const SILENCE_MAX: Duration = Duration::from_secs(60);

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
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Records per second that are written, once without and once with look-ups; 0: as many seconds of 200,000, at once
    #[arg(long, default_value_t = RATE)]
    rate: u64,
    /// Sessions that look up at the same time while the query writes
    #[arg(long, default_value_t = 8)]
    lookups: u64,
    /// Look-ups per second of all these sessions
    #[arg(long, default_value_t = 10_000)]
    lookup_rate: u64,
}

const RATE: u64 = 200_000;

/// Measures, and prints the table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name(LOOK_UPS).enable_all().build()?;
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
        define(&pulls, &topic, &to, arguments.partitions).await?;
        let (feed, group) = (Feed::new(transport, &topic, arguments), pulls.group().await?);
        let mut bench = Bench { arguments, pulls, feed, group, table: Table::default() };
        bench.measure().await.map(|()| bench.table)
    });
    let stopped = runtime.block_on(runtime.spawn_blocking(move || engine.stop_queries()));
    println!("{} keys\n{}", arguments.keys, measured?);
    Ok(stopped?)
}

/// The statements for the records of a topic, and a table of their keys in another one.
pub fn statements(topic: &str, to: &str, partitions: i32) -> [String; 2] {
    let source = format!(
        "CREATE STREAM s (k BIGINT KEY, v BIGINT) WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', \
         VALUE_FORMAT = 'JSON', PARTITIONS = {partitions});"
    );
    let table = format!(
        "CREATE TABLE t WITH (KAFKA_TOPIC = '{to}') AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;"
    );
    [source, table]
}

async fn define(pulls: &Pulls, topic: &str, to: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    let mut session = pulls.session();
    for statement in statements(topic, to, partitions) {
        pulls.engine.ask(&mut session, &statement).await.map_err(|errors| errors[0].message.clone())?;
    }
    Ok(())
}

/// A measurement in progress.
struct Bench<'a> {
    arguments: &'a Arguments,
    pulls: Pulls,
    feed: Feed,
    /// The consumer group of the query.
    group: String,
    table: Table,
}

/// What the query did while records were written.
struct Written {
    /// Records per second that it committed.
    rate: f64,
    /// CPU time of the process for a million of them, without look-ups and without the writer.
    cpu_seconds: f64,
    /// The look-ups meanwhile.
    found: Latencies,
}

impl Bench<'_> {
    async fn measure(&mut self) -> Result<(), Box<dyn Error>> {
        self.feed.write(self.arguments.keys, None)?;
        self.pulls.engine.work();
        self.commits(self.feed.written()).await?;
        self.alone().await?;
        let without = self.written(0).await?;
        let with = self.written(self.arguments.lookups).await?;
        let target = (self.arguments.lookup_rate as f64).min(10_000.0) * 0.99;
        self.table.add(
            "look-ups while the query writes, per s",
            0,
            vec![with.found.rate()],
            Some(Target::AtLeast(target)),
        );
        self.table.add(
            "look-up while the query writes, p50, µs",
            0,
            vec![with.found.percentile(50)],
            Some(Target::Below(1_000.0)),
        );
        self.table.add("look-up while the query writes, p99, µs", 0, vec![with.found.percentile(99)], None);
        self.table.add("CPU of a look-up while the query writes, µs", 0, vec![with.found.cpu_micros()], None);
        self.table.add("query, records/s", 0, vec![without.rate], None);
        self.table.add("query with look-ups, records/s", 0, vec![with.rate], None);
        self.table.add("query with look-ups, ratio", 2, vec![with.rate / without.rate], Some(Target::AtLeast(0.9)));
        self.table.add("query, CPU-s/M", 2, vec![without.cpu_seconds], None);
        self.table.add("query with look-ups, CPU-s/M", 2, vec![with.cpu_seconds], None);
        Ok(())
    }

    /// Looks up while nothing is written.
    async fn alone(&mut self) -> Result<(), Box<dyn Error>> {
        let span = Duration::from_secs(self.arguments.seconds);
        self.pulls.in_turn(span / 5).await?;
        let before = threads::cpu_seconds()?;
        let quiet = self.pulls.in_turn(span).await?;
        let spent = threads::cpu_seconds()?.process - before.process;
        self.table.add("look-up alone, CPU of the process, µs", 0, vec![spent * 1e6 / quiet.count() as f64], None);
        self.table.add("look-up alone, p50, µs", 0, vec![quiet.percentile(50)], Some(Target::Below(1_000.0)));
        self.table.add("look-up alone, p99, µs", 0, vec![quiet.percentile(99)], None);
        self.table.add("look-ups alone in turn, per s", 0, vec![quiet.rate()], None);
        Ok(())
    }

    /// Writes records at the rate, and lets sessions look up until the query has committed them.
    async fn written(&mut self, sessions: u64) -> Result<Written, Box<dyn Error>> {
        let Arguments { seconds, rate, lookup_rate, .. } = *self.arguments;
        let records = if rate == 0 { RATE } else { rate } * seconds;
        let (before, is_over) = (threads::cpu_seconds()?, Arc::new(AtomicBool::new(false)));
        if rate == 0 {
            self.feed.write(records, None)?;
        }
        let look = |_| tokio::spawn(self.pulls.clone().at_rate(lookup_rate / sessions, is_over.clone()));
        let looking: Vec<_> = (0..sessions).map(look).collect();
        let to = self.feed.written() + if rate == 0 { 0 } else { records };
        let writing = (rate > 0).then(|| self.feed.start(records, rate)).transpose()?;
        let committed = self.commits(to).await?;
        is_over.store(true, Ordering::Relaxed);
        let mut found = Latencies::new();
        for looking in looking {
            found.join(looking.await??);
        }
        if let Some(writing) = writing {
            self.feed.stop(writing)?;
        }
        let spent = threads::cpu_seconds()?.since(&before);
        found.cost(spent.look_ups);
        let rest = spent.process - spent.look_ups - spent.feed;
        Ok(Written { rate: committed, cpu_seconds: rest * 1e6 / records as f64, found })
    }

    /// Waits until the query has committed this many records, and returns how many it committed per second, between the first
    /// and the last commit meanwhile.
    async fn commits(&self, records: u64) -> Result<f64, Box<dyn Error>> {
        let mut seen: Vec<(Instant, u64)> = Vec::new();
        let (mut last, mut at) = (self.feed.committed(&self.group)?, Instant::now());
        while last < records {
            tokio::time::sleep(POLL).await;
            let now = self.feed.committed(&self.group)?;
            if now > last {
                (last, at) = (now, Instant::now());
                seen.push((at, now));
            } else if at.elapsed() > SILENCE_MAX {
                return Err(
                    format!("{last} of {records} records are committed, and no more for {SILENCE_MAX:?}").into()
                );
            }
        }
        let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Ok(f64::NAN) };
        Ok((last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64())
    }
}
