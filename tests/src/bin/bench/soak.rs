//! Whether memory stays constant: a steady load through q0 for minutes, with the resident size of the process every
//! five seconds.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::load;
use headwater_tests::scratch::Scratch;

use crate::feed::Feed;
use crate::process;
use crate::query::{Query, define_bids};
use crate::reader::count;
use crate::running::Running;
use crate::table::{Table, Target};

const PARTITIONS: i32 = 4;
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum time until the output is complete after the feed has ended, and pause between two checks.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(60);
const DRAIN_LOOK: Duration = Duration::from_secs(2);
/// Maximum ratio of the median of the second half to that of the first.
const GROWTH_MAX: f64 = 1.05;
const MEGABYTE: f64 = 1_048_576.0;

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// Duration in minutes; ten minutes at the default rate need 7 GB of disk for the topics
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Records per second, evenly paced
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
}

/// Measures, and prints the memory of both halves. Fails when the output is incomplete.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { bootstrap_server, minutes, rate } = arguments;
    let scratch = Scratch::new(bootstrap_server, "bench");
    let (from, to) = (scratch.topic("in"), scratch.topic("out"));
    load::create_topic(bootstrap_server, &from, PARTITIONS)?;
    let statements = format!("{}\n{}\n", define_bids(&from), Query::Q0.statement("q0", &to));
    let mut headwater = Running::start(bootstrap_server, scratch.name(), &statements, &[])?;
    let feed = Feed::start(bootstrap_server, &from, *rate)?;
    let sizes = sample(&mut headwater, &feed, Duration::from_secs(minutes * 60))?;
    let cpu_seconds = process::cpu_seconds(headwater.pid())?;
    let written = feed.stop()?;
    drain(&mut headwater, bootstrap_server, &to, written)?;
    headwater.stop()?;
    let table = report(&sizes, cpu_seconds / (written as f64 / 1e6));
    println!("{written} records in {minutes} minutes\n{table}");
    println!("{}", if table.missed().is_empty() { "memory is constant" } else { "memory is not constant" });
    Ok(())
}

/// Resident sizes in MB, the first one interval after the start.
fn sample(headwater: &mut Running, feed: &Feed, length: Duration) -> Result<Vec<f64>, Box<dyn Error>> {
    let begun = Instant::now();
    let mut sizes = Vec::new();
    while begun.elapsed() < length {
        thread::sleep(SAMPLE_INTERVAL);
        headwater.check()?;
        feed.check()?;
        sizes.push(process::status(headwater.pid())?.resident_bytes / MEGABYTE);
    }
    Ok(sizes)
}

/// Waits until the output contains every record, and fails when it contains more.
fn drain(headwater: &mut Running, bootstrap: &str, to: &str, written: u64) -> Result<(), Box<dyn Error>> {
    let mut found = 0;
    headwater.until("the output has every record", DRAIN_WAIT_MAX, || {
        thread::sleep(DRAIN_LOOK);
        found = count(bootstrap, to, |_| true)?;
        Ok(found >= written)
    })?;
    if found == written { Ok(()) } else { Err(format!("the output has {found} records instead of {written}").into()) }
}

fn report(sizes: &[f64], cpu_per_million: f64) -> Table {
    let (first, second) = sizes.split_at(sizes.len() / 2);
    let (first, second) = if first.is_empty() { (second, second) } else { (first, second) };
    let mut table = Table::default();
    table.add("resident memory, first half, MB", 0, first.to_vec(), None);
    table.add("resident memory, second half, MB", 0, second.to_vec(), None);
    let growth = median(second) / median(first);
    table.add("second half to first, medians", 3, vec![growth], Some(Target::Below(GROWTH_MAX)));
    table.add("CPU s/M", 2, vec![cpu_per_million], None);
    table
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_of_the_second_half_is_reported() {
        assert!(report(&[100.0, 101.0, 99.0, 102.0], 1.0).missed().is_empty());
        assert_eq!(report(&[100.0, 100.0, 120.0, 120.0], 1.0).missed(), ["second half to first, medians"]);
    }
}
