//! The latency of a record through q0: from its producer's clock to a read_committed consumer of the output.
//!
//! Both are other clients (librdkafka) in one process, so there is only one clock. The producer's linger of 5 ms and
//! the wait for the next commit are included.

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::load;
use headwater_tests::scratch::Scratch;
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::feed::{Feed, now_us};
use crate::query::{Query, define_bids};
use crate::reader;
use crate::running::Running;

const PARTITIONS: i32 = 4;
const START_WAIT_MAX: Duration = Duration::from_secs(60);
/// Time from the first record of the output until records are measured.
const WARM_UP: Duration = Duration::from_secs(5);
/// Maximum time to wait for the last records after the feed has ended.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(30);
/// Duplicates would arrive within this time.
const DOUBLED_WAIT: Duration = Duration::from_secs(1);
const POLL_WAIT: Duration = Duration::from_millis(100);

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// Records per second, evenly paced
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Duration of the measurement
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Headwater's commit interval; readers see a record only after its commit
    #[arg(long, default_value_t = 100)]
    commit_interval_ms: u64,
}

/// Measures, and prints p50, p99 and the maximum. Fails when a record is missing or duplicated.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { bootstrap_server, rate, seconds, commit_interval_ms } = arguments;
    let scratch = Scratch::new(bootstrap_server, "bench");
    let (from, to) = (scratch.topic("in"), scratch.topic("out"));
    load::create_topic(bootstrap_server, &from, PARTITIONS)?;
    let statements = format!("{}\n{}\n", define_bids(&from), Query::Q0.statement("q0", &to));
    let setting = format!("commit.interval.ms={commit_interval_ms}");
    let mut headwater = Running::start(bootstrap_server, scratch.name(), &statements, &[&setting])?;
    let consumer = reader::consumer(bootstrap_server, "bench-latency")?;
    headwater.until("the output topic exists", START_WAIT_MAX, || Ok(reader::partitions_of(&consumer, &to).is_ok()))?;
    reader::assign_from_start(&consumer, &to, reader::partitions_of(&consumer, &to)?)?;
    let feed = Feed::start(bootstrap_server, &from, *rate)?;
    let latencies_us = measure(&consumer, &mut headwater, feed, Duration::from_secs(*seconds))?;
    headwater.stop()?;
    println!("{}", summary(latencies_us, *commit_interval_ms)?);
    Ok(())
}

/// Reads the output until it contains everything that was written.
fn measure(
    consumer: &BaseConsumer,
    headwater: &mut Running,
    feed: Feed,
    length: Duration,
) -> Result<Vec<i64>, Box<dyn Error>> {
    let mut output = Output { consumer, read: 0, latencies_us: Vec::new() };
    headwater.until("the output has a record", START_WAIT_MAX, || Ok(output.poll(None)? > 0))?;
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP {
        output.poll(None)?;
    }
    let from_us = now_us();
    let window = from_us..from_us + i64::try_from(length.as_micros())?;
    while now_us() < window.end {
        output.poll(Some(&window))?;
    }
    feed.check()?;
    let written = feed.stop()?;
    let end = Instant::now();
    while output.read < written && end.elapsed() < DRAIN_WAIT_MAX {
        output.poll(Some(&window))?;
    }
    let complete = Instant::now();
    while complete.elapsed() < DOUBLED_WAIT {
        output.poll(Some(&window))?;
    }
    headwater.check()?;
    match output.read {
        read if read == written => Ok(output.latencies_us),
        read => Err(format!("{read} records in the output, {written} were written").into()),
    }
}

struct Output<'a> {
    consumer: &'a BaseConsumer,
    read: u64,
    latencies_us: Vec<i64>,
}

impl Output<'_> {
    /// Takes the next record, if one arrives soon; its latency counts if it was created within the window.
    fn poll(&mut self, window: Option<&std::ops::Range<i64>>) -> Result<u64, Box<dyn Error>> {
        let message = match self.consumer.poll(POLL_WAIT) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => return Ok(0),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition))) => return Ok(0),
            Some(message) => message?,
        };
        let now_us = now_us();
        self.read += 1;
        let made_us = made_us(message.payload().unwrap_or_default())?;
        if window.is_some_and(|window| window.contains(&made_us)) {
            self.latencies_us.push(now_us - made_us);
        }
        Ok(1)
    }
}

/// When the record was created. The name is upper case unless the statement quotes it.
fn made_us(value: &[u8]) -> Result<i64, Box<dyn Error>> {
    let row: serde_json::Value = serde_json::from_slice(value)?;
    row["DATETIME"].as_i64().ok_or_else(|| format!("no number \"DATETIME\" in the row {row}").into())
}

fn summary(mut latencies_us: Vec<i64>, commit_interval_ms: u64) -> Result<String, Box<dyn Error>> {
    latencies_us.sort_unstable();
    let last = latencies_us.len().checked_sub(1).ok_or("no record was measured")?;
    let at = |percent: usize| latencies_us[last * percent / 100] as f64 / 1e3;
    let (p50, p99, max) = (at(50), at(99), at(100));
    let records = latencies_us.len();
    Ok(format!(
        "{records} records, commits every {commit_interval_ms} ms: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latencies_us = (0..=100).rev().map(|ms| ms * 1_000).collect();
        let expected = "101 records, commits every 100 ms: p50 50.0 ms, p99 99.0 ms, max 100.0 ms";
        assert_eq!(summary(latencies_us, 100).unwrap(), expected);
        assert!(summary(Vec::new(), 100).is_err());
    }

    #[test]
    fn time_is_read_from_the_row() {
        assert_eq!(made_us(br#"{"AUCTION":1,"DATETIME":17}"#).unwrap(), 17);
        assert!(made_us(b"{}").is_err());
    }
}
