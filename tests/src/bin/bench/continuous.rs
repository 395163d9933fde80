//! Continuous exactly-once queries, each measured next to the baseline copy in the same minute.
//!
//! Rates are based on the time that each program reports for its work: from opening its clients (and joining its group)
//! until all existing records of the topic are read, written and committed. CPU, memory and the broker's CPU are those
//! of whole processes, including their start. After every run another client counts what a read_committed consumer
//! sees, or compares it with totals of the input if the query has state; a wrong result ends the benchmark.

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::scratch::Scratch;
use headwater_tests::usage::{Run, measure};
use headwater_tests::{binary, load};

use crate::interop;
use crate::process::Cluster;
use crate::query::Query;
use crate::reader::{self, count};
use crate::report;
use crate::streams::{Peer, Summary, Tuning};
use crate::table::Table;
use crate::totals::Totals;

/// Maximum time of one measured command, after which it is stopped and the benchmark fails.
const COMMAND_SECONDS_MAX: &str = "900";
/// Pause between the end of a command and counting its output, which is repeated for at most the longer time.
const MARKERS_WAIT: Duration = Duration::from_millis(200);
const MARKERS_WAIT_MAX: Duration = Duration::from_secs(20);

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT. If tests/real/kafka started it, the broker's CPU is also reported
    #[arg(long)]
    bootstrap_server: String,
    /// A topic that was filled by the program bids
    #[arg(long, default_value = "bids")]
    topic: String,
    /// The topic of the auctions, for the join
    #[arg(long, default_value = "auctions")]
    auctions_topic: String,
    /// Number of runs of each measurement
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The queries, separated by commas
    #[arg(long = "queries", value_enum, value_delimiter = ',', default_value = "q0,q1,q2")]
    queries: Vec<Query>,
    /// Also run Kafka Streams, from the Maven project in this folder [default: tests/streams]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    streams: Option<Option<PathBuf>>,
    /// Number of stream threads of Kafka Streams
    #[arg(long, default_value_t = 2)]
    streams_threads: u32,
    /// Use Kafka Streams' default producer settings instead of linger 100 ms and batches of 256 KB
    #[arg(long)]
    streams_plain_producer: bool,
    /// Do not run Headwater, only the baselines and Kafka Streams
    #[arg(long)]
    only_yardsticks: bool,
}

/// Runs all measurements and prints the table. Fails when an output is wrong, but not when a target is missed.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let bench = Bench::new(arguments)?;
    let mut table = Table::default();
    for query in &arguments.queries {
        let expected = Expected::of(arguments, *query)?;
        let rounds: Result<Vec<_>, _> =
            (0..arguments.pairs).map(|number| bench.round(*query, number, &expected)).collect();
        report::add(&mut table, *query, &rounds?);
    }
    println!("{} runs of each\n{table}", arguments.pairs);
    match table.missed() {
        _ if arguments.only_yardsticks => {}
        missed if missed.is_empty() => println!("every target is met"),
        missed => println!("missed: {}", missed.join("; ")),
    }
    Ok(())
}

/// What the output of a query must be.
enum Expected {
    /// This many records.
    Records(u64),
    /// These totals.
    Totals(Totals),
}

impl Expected {
    fn of(arguments: &Arguments, query: Query) -> Result<Self, Box<dyn Error>> {
        let Arguments { bootstrap_server, topic, auctions_topic, .. } = arguments;
        match query.has_state() {
            true => Totals::expected(bootstrap_server, topic, query, auctions_topic).map(Self::Totals),
            false => count(bootstrap_server, topic, |record| query.keeps(record.key)).map(Self::Records),
        }
    }

    /// What is wrong with the committed records of a topic; `None` if nothing is.
    fn differences(&self, bootstrap: &str, topic: &str, query: Query) -> Result<Option<String>, Box<dyn Error>> {
        match self {
            Self::Records(expected) => {
                let found = count(bootstrap, topic, |_| true)?;
                Ok((found != *expected).then(|| format!("{found} committed records, not {expected}")))
            }
            Self::Totals(expected) => Ok(Totals::written(bootstrap, topic, query)?.differences(expected)),
        }
    }
}

/// One run, and the CPU time of the broker during it.
pub struct Cost {
    /// The run of the command.
    pub run: Run,
    /// The time that the program reports for its work.
    pub seconds: f64,
    /// CPU seconds of all nodes; `None` if their processes are not known.
    pub broker_seconds: Option<f64>,
}

/// Runs that took place within a minute of each other.
pub struct Round {
    /// Records in the input topic.
    pub records: f64,
    /// The baseline read, for queries that do not write every record.
    pub read: Option<Cost>,
    /// The baseline copy.
    pub copy: Cost,
    /// Headwater.
    pub ours: Option<Cost>,
    /// Kafka Streams, and the summary that it prints.
    pub peer: Option<(Cost, Summary)>,
}

struct Bench<'a> {
    arguments: &'a Arguments,
    cluster: Option<Cluster>,
    peer: Option<Peer>,
    partitions: i32,
    /// This program, for the baseline loops.
    own: String,
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Box<dyn Error>> {
        let cluster = Cluster::find(&arguments.bootstrap_server);
        if cluster.is_none() {
            eprintln!("no node of tests/real/kafka at {}; its CPU is not measured", arguments.bootstrap_server);
        }
        let project = |given: &Option<PathBuf>| given.clone().unwrap_or(binary::workspace().join("tests/streams"));
        let peer = arguments.streams.as_ref().map(|given| Peer::build(&project(given))).transpose()?;
        let consumer = reader::consumer(&arguments.bootstrap_server, "bench-look")?;
        let partitions = reader::partitions_of(&consumer, &arguments.topic)?;
        let own = std::env::current_exe()?.display().to_string();
        Ok(Self { arguments, cluster, peer, partitions, own })
    }

    fn round(&self, query: Query, number: usize, expected: &Expected) -> Result<Round, Box<dyn Error>> {
        let read = query.is_compared_with_read().then(|| self.read()).transpose()?;
        let (copy, records) = self.copy()?;
        let ours = (!self.arguments.only_yardsticks).then(|| self.ours(query, expected)).transpose()?;
        let peer = self.peer.as_ref().map(|peer| self.streams(peer, query, expected)).transpose()?;
        let round = Round { records, read, copy, ours, peer };
        eprintln!("{} {number}: {}", query.name(), report::walls(&round));
        Ok(round)
    }

    fn read(&self) -> Result<Cost, Box<dyn Error>> {
        let Arguments { bootstrap_server, topic, .. } = self.arguments;
        let cost = self.cost(&[&self.own, "bare", "--bootstrap-server", bootstrap_server, "--topic", topic])?;
        Ok(Cost { seconds: reported_seconds(&cost.run.stdout)?, ..cost })
    }

    /// The baseline copy, and the number of records that it reports.
    fn copy(&self) -> Result<(Cost, f64), Box<dyn Error>> {
        let Arguments { bootstrap_server, topic, .. } = self.arguments;
        let scratch = Scratch::new(bootstrap_server, "bench");
        let to = scratch.topic("copy");
        let places = ["--bootstrap-server", bootstrap_server, "--topic", topic, "--to", &to, "--keep-key"];
        let cost = self.cost(&[[self.own.as_str(), "copy"].as_slice(), &places].concat())?;
        let cost = Cost { seconds: reported_seconds(&cost.run.stdout)?, ..cost };
        let records: u64 = cost.run.stdout.split(' ').next().unwrap_or_default().parse()?;
        self.verify("the baseline copy", &to, Query::Q0, &Expected::Records(records))?;
        Ok((cost, records as f64))
    }

    fn ours(&self, query: Query, expected: &Expected) -> Result<Cost, Box<dyn Error>> {
        let Arguments { bootstrap_server, topic, auctions_topic, .. } = self.arguments;
        let scratch = Scratch::new(bootstrap_server, "bench");
        let to = scratch.topic(query.name());
        if query.has_state() {
            // The topic of a windowed table, created by its query, would lose the bids of the past after the retention.
            load::create_topic(bootstrap_server, &to, self.partitions)?;
        }
        let file = tempfile::Builder::new().suffix(".sql").tempfile()?;
        std::fs::write(
            file.path(),
            [query.sources(topic, auctions_topic), query.statement("measured", &to)].join("\n"),
        )?;
        let (program, file) = (binary::headwater().display().to_string(), file.path().display().to_string());
        let place = ["--bootstrap-server", bootstrap_server, "--service-id", scratch.name()];
        let cost = self.cost(&[[program.as_str(), "run", &file, "--until-idle"].as_slice(), &place].concat())?;
        let cost = Cost { seconds: reported_seconds(&cost.run.stderr)?, ..cost };
        self.verify("Headwater", &to, query, expected)?;
        if let (Some(peer), Expected::Totals(totals), true) = (&self.peer, expected, query.has_windows()) {
            interop::streams_reads(peer, bootstrap_server, &to, query, totals)?;
        }
        Ok(cost)
    }

    fn streams(&self, peer: &Peer, query: Query, expected: &Expected) -> Result<(Cost, Summary), Box<dyn Error>> {
        let Arguments { bootstrap_server, topic, auctions_topic, streams_threads, streams_plain_producer, .. } =
            self.arguments;
        let scratch = Scratch::new(bootstrap_server, "bench");
        let to = scratch.topic(query.name());
        load::create_topic(bootstrap_server, &to, self.partitions)?;
        let tuning = Tuning { threads: *streams_threads, plain_producer: *streams_plain_producer };
        let command = peer.command([bootstrap_server, topic, auctions_topic, &to], scratch.name(), query, tuning);
        let cost = self.cost(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.verify("Kafka Streams", &to, query, expected)?;
        if let (Expected::Totals(totals), true) = (expected, query.has_windows()) {
            interop::headwater_reads(bootstrap_server, &to, query, totals)?;
        }
        let summary = Summary::parse(&cost.run.stdout)?;
        Ok((Cost { seconds: summary.seconds, ..cost }, summary))
    }

    /// Runs a command with a time limit, and measures the broker's CPU before and after.
    fn cost(&self, command: &[&str]) -> Result<Cost, Box<dyn Error>> {
        let spent = || self.cluster.as_ref().map(Cluster::cpu_seconds).transpose();
        let limited = ["timeout", "--foreground", "--kill-after=10", COMMAND_SECONDS_MAX];
        let before = spent()?;
        let run = measure(self.own.as_ref(), &[&limited, command].concat())?;
        let broker_seconds = spent()?.zip(before).map(|(after, before)| after - before);
        Ok(Cost { seconds: run.wall.as_secs_f64(), run, broker_seconds })
    }

    /// The broker acknowledges a commit before it has written the markers of every partition, so missing records may
    /// become visible soon.
    fn verify(&self, who: &str, topic: &str, query: Query, expected: &Expected) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        loop {
            thread::sleep(MARKERS_WAIT);
            let found = expected.differences(&self.arguments.bootstrap_server, topic, query)?;
            let Some(found) = found else { return Ok(()) };
            if begun.elapsed() > MARKERS_WAIT_MAX {
                let ends = reader::stable_ends(&self.arguments.bootstrap_server, topic)?;
                return Err(format!("{who} wrote a wrong result to {topic}: {found}; {ends}").into());
            }
        }
    }
}

/// The seconds in the last line of a text like `5000000 records in 7.123 s`.
fn reported_seconds(text: &str) -> Result<f64, Box<dyn Error>> {
    let seconds = |line: &str| line.rsplit_once(" in ")?.1.strip_suffix(" s")?.parse().ok();
    text.lines().rev().find_map(seconds).ok_or_else(|| format!("no line with a time in: {text}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_from_the_last_line_that_has_them() {
        assert_eq!(
            reported_seconds("5 records in 7.1 s\nnote: CSAS_Q0_1: 5 records read, 5 written in 2.5 s\nend\n").unwrap(),
            2.5
        );
        assert!(reported_seconds("nothing in particular\n").is_err());
    }
}
