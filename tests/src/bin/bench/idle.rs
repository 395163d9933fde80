//! The cost of many idle queries: CPU, memory, threads and open files of one process, and how quickly they become
//! active again.

use std::error::Error;
use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::load::{self, Load};
use headwater_tests::nexmark::Bids;
use headwater_tests::scratch::Scratch;
use rdkafka::consumer::BaseConsumer;

use crate::query::{Query, define_bids};
use crate::running::Running;
use crate::table::{Table, Target};
use crate::{process, reader};

/// Number of records that every query has processed before it is idle.
const RECORDS: u64 = 1_000;
const START_WAIT_MAX: Duration = Duration::from_secs(300);
/// Time from the last output until the process counts as idle: queries close their clients after 10 s.
const SETTLE: Duration = Duration::from_secs(20);
const SAMPLES: u32 = 6;
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
const MEGABYTE: f64 = 1_048_576.0;

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// Number of persistent queries, all over one topic
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Number of partitions of the topic, and so of each output
    #[arg(long, default_value_t = 4)]
    partitions: i32,
}

/// Measures for a minute, and prints the table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { bootstrap_server, queries, partitions } = arguments;
    let scratch = Scratch::new(bootstrap_server, "bench");
    let from = scratch.topic("in");
    fill(bootstrap_server, &from, *partitions)?;
    let outputs: Vec<String> = (0..*queries).map(|number| scratch.topic(&format!("out_{number}"))).collect();
    let begun = Instant::now();
    let mut headwater = Running::start(bootstrap_server, scratch.name(), &statements(&from, &outputs), &[])?;
    let consumer = reader::consumer(bootstrap_server, "bench-idle")?;
    let filled = outputs.iter().map(|output| (output.as_str(), RECORDS)).collect::<Vec<_>>();
    await_offsets(&mut headwater, &consumer, &filled)?;
    let started = begun.elapsed().as_secs_f64();
    thread::sleep(SETTLE);
    let table = sample(&mut headwater)?;
    let next = |output| Ok((output, reader::stable_offsets(&consumer, output)? + 1));
    let next = outputs.iter().map(String::as_str).map(next).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let begun = Instant::now();
    write(bootstrap_server, &from, 1)?;
    await_offsets(&mut headwater, &consumer, &next)?;
    let woke = begun.elapsed().as_secs_f64();
    headwater.stop()?;
    println!(
        "{queries} queries of {partitions} partitions, started in {started:.1} s, processed one more record in {woke:.1} s"
    );
    println!("{table}");
    Ok(())
}

/// Waits until committed readers can read past the given number of offsets of each output.
fn await_offsets(
    headwater: &mut Running,
    consumer: &BaseConsumer,
    outputs: &[(&str, u64)],
) -> Result<(), Box<dyn Error>> {
    for (output, offsets) in outputs {
        let reached = || Ok(reader::stable_offsets(consumer, output)? >= *offsets);
        headwater.until(&format!("{output} has its records"), START_WAIT_MAX, reached)?;
    }
    Ok(())
}

fn fill(bootstrap: &str, topic: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    load::create_topic(bootstrap, topic, partitions)?;
    write(bootstrap, topic, RECORDS)
}

fn write(bootstrap: &str, topic: &str, records: u64) -> Result<(), Box<dyn Error>> {
    let (mut load, mut json) = (Load::open(bootstrap, topic, "none")?, Vec::new());
    for bid in Bids::new(1).take(usize::try_from(records)?) {
        json.clear();
        bid.write_json(&mut json);
        load.write(bid.auction.to_string().as_bytes(), &json, bid.date_time_ms)?;
    }
    load.finish()?;
    Ok(())
}

fn statements(from: &str, outputs: &[String]) -> String {
    let mut text = define_bids(from);
    for (number, output) in outputs.iter().enumerate() {
        let statement = Query::Q0.statement(&format!("q{number}"), output);
        writeln!(text, "{statement}").expect("a String takes every write");
    }
    text
}

fn sample(headwater: &mut Running) -> Result<Table, Box<dyn Error>> {
    let (mut percents, mut sizes, mut threads, mut files) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let (before, begun) = (process::cpu_seconds(headwater.pid())?, Instant::now());
        thread::sleep(SAMPLE_INTERVAL);
        headwater.check()?;
        let spent = process::cpu_seconds(headwater.pid())? - before;
        percents.push(100.0 * spent / begun.elapsed().as_secs_f64());
        let status = process::status(headwater.pid())?;
        sizes.push(status.resident_bytes / MEGABYTE);
        threads.push(status.threads);
        files.push(status.open_files);
    }
    let mut table = Table::default();
    table.add("idle CPU, % of a core", 1, percents, Some(Target::Below(5.0)));
    table.add("resident memory, MB", 0, sizes, Some(Target::Below(1_024.0)));
    table.add("threads", 0, threads, None);
    table.add("open files", 0, files, None);
    Ok(table)
}
