//! How long a query with many keys takes to have its state again after a restart: from local snapshots, and from its changelog,
//! compared with a bare read of that.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::load::{self, Load};
use headwater_tests::scratch::Scratch;
use rdkafka::consumer::Consumer;

use crate::pull::feed::key;
use crate::pull::statements;
use crate::running::Running;
use crate::table::{Table, Target};
use crate::{process, reader};

/// The longest time for any step.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How long nothing may be written any more until the query counts as done.
const QUIET: Duration = Duration::from_secs(3);
/// What the program logs once it has its state.
const RESTORED: &str = "state restored";
const CLUSTER_WAIT_MAX: Duration = Duration::from_secs(10);
const MEGABYTE: f64 = 1_048_576.0;

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// Number of keys
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Number of partitions of the topic, and so of the state
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// The memory for state: query.state.memory.max
    #[arg(long, default_value = "1GB")]
    memory: String,
}

/// A restart.
struct Restart {
    /// From the start of the process until it had its state.
    seconds: f64,
    /// Of these, the time of the restore itself.
    restore_seconds: f64,
    records: f64,
    cpu_seconds: f64,
    resident_bytes: f64,
}

/// Measures, and prints the table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new(&arguments.bootstrap_server, "bench");
    let bench = Bench { arguments, scratch: &scratch, from: scratch.topic("in"), to: scratch.topic("out") };
    let data = tempfile::tempdir()?;
    bench.fill()?;
    bench.process(data.path())?;
    let kept = bench.restart(data.path())?;
    fs::remove_dir_all(data.path())?;
    let wiped = bench.restart(data.path())?;
    println!("{} keys\n{}", arguments.keys, table(&kept, &wiped, bench.bare()?));
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    scratch: &'a Scratch,
    from: String,
    to: String,
}

impl Bench<'_> {
    fn fill(&self) -> Result<(), Box<dyn Error>> {
        let Arguments { bootstrap_server, keys, partitions, .. } = self.arguments;
        load::create_topic(bootstrap_server, &self.from, *partitions)?;
        let mut load = Load::open(bootstrap_server, &self.from, "none")?;
        for number in 0..*keys {
            load.write(
                &key(number, *keys).to_be_bytes(),
                format!(r#"{{"V":{}}}"#, number % 1_000).as_bytes(),
                number as i64,
            )?;
        }
        load.finish()?;
        Ok(())
    }

    fn start(&self, data: &Path) -> Result<Running, Box<dyn Error>> {
        let Arguments { bootstrap_server, memory, partitions, .. } = self.arguments;
        let statements = statements(&self.from, &self.to, *partitions).join("\n");
        let memory = format!("query.state.memory.max={memory}");
        let settings = [&memory, "auto.offset.reset=earliest"];
        Running::start_in(data, bootstrap_server, self.scratch.name(), &statements, &settings)
    }

    /// Has the query process all records, and stops it.
    fn process(&self, data: &Path) -> Result<(), Box<dyn Error>> {
        let mut headwater = self.start(data)?;
        let consumer = reader::consumer(&self.arguments.bootstrap_server, "bench-restore")?;
        let mut seen = (0, Instant::now());
        headwater.until("all keys are in the output", WAIT_MAX, || {
            let now = reader::stable_offsets(&consumer, &self.to)?;
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            Ok(now >= self.arguments.keys && seen.1.elapsed() >= QUIET)
        })?;
        headwater.stop()
    }

    /// Starts it again until it has its state.
    fn restart(&self, data: &Path) -> Result<Restart, Box<dyn Error>> {
        let begun = Instant::now();
        let mut headwater = self.start(data)?;
        let line = headwater.await_line(RESTORED, WAIT_MAX)?;
        let seconds = begun.elapsed().as_secs_f64();
        let (cpu_seconds, status) = (process::cpu_seconds(headwater.pid())?, process::status(headwater.pid())?);
        headwater.stop()?;
        let number = |name: &str| number(&line, name).ok_or_else(|| format!("no {name} in: {line}"));
        let (records, restore_seconds) = (number("records=")?, number(" ms=")? / 1e3);
        Ok(Restart { seconds, restore_seconds, records, cpu_seconds, resident_bytes: status.resident_bytes })
    }

    /// The records of the changelog that a bare reader reads in a second.
    fn bare(&self) -> Result<f64, Box<dyn Error>> {
        let bootstrap = &self.arguments.bootstrap_server;
        let consumer = reader::consumer(bootstrap, "bench-restore")?;
        let metadata = consumer.fetch_metadata(None, CLUSTER_WAIT_MAX)?;
        let is_changelog = |name: &&str| name.contains(self.scratch.name()) && name.ends_with("-changelog");
        let changelog = metadata.topics().iter().map(|topic| topic.name()).find(is_changelog);
        let changelog = changelog.ok_or("the query has no changelog")?;
        let begun = Instant::now();
        let records = reader::count(bootstrap, changelog, |_| true)?;
        Ok(records as f64 / begun.elapsed().as_secs_f64())
    }
}

fn table(kept: &Restart, wiped: &Restart, bare: f64) -> Table {
    let mut table = Table::default();
    let mut add = |name: &str, digits, value, target| table.add(name, digits, vec![value], target);
    add("from snapshots, s from the start of the process", 1, kept.seconds, Some(Target::Below(10.0)));
    add("from snapshots, CPU s", 1, kept.cpu_seconds, None);
    add("from the changelog, s from the start of the process", 1, wiped.seconds, None);
    add("from the changelog, CPU s", 1, wiped.cpu_seconds, None);
    let rate = wiped.records / wiped.restore_seconds;
    add("from the changelog, records/s", 0, rate, None);
    add("bare read of the changelog, records/s", 0, bare, None);
    add("from the changelog, records/s, ratio to the bare read", 2, rate / bare, Some(Target::AtLeast(0.5)));
    add("resident memory with its state, MB", 0, wiped.resident_bytes / MEGABYTE, None);
    table
}

/// The number after a name in a line.
fn number(line: &str, name: &str) -> Option<f64> {
    let (_, after) = line.split_once(name)?;
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let line = r#"INFO state restored query_id="CTAS_T_2" records=1000 from_snapshots=7 ms=2500"#;
        assert_eq!(
            ["records=", "from_snapshots=", " ms=", "x="].map(|name| number(line, name)),
            [Some(1_000.0), Some(7.0), Some(2_500.0), None]
        );
    }
}
