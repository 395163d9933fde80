//! Bounded SELECTs over a topic of bids, each measured next to the baseline reader in the same minute.
//!
//! Rates are those of whole processes, from start to end, for Headwater and for the baseline reader: a user waits for
//! both. Every answer is compared with the baseline's count before its time is used.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use headwater_tests::binary;
use headwater_tests::load::{self, Load};
use headwater_tests::nexmark::Bids;
use headwater_tests::usage::{Run, measure};

use crate::embedded::Embedded;
use crate::shell::{Shell, records_read, sum_of};
use crate::table::{Table, Target};

const DEFINE: &str = "CREATE OR REPLACE STREAM bids (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, \
    url STRING, dateTime BIGINT, extra STRING) WITH (KAFKA_TOPIC = '{topic}', VALUE_FORMAT = 'JSON');";
/// A query over the bids: one row a channel, in which N counts its bids.
pub const GROUP_BY: &str =
    "SELECT channel, COUNT(*) AS n, AVG(price) AS mean, MAX(price) AS highest FROM bids GROUP BY channel;";
const COUNT: &str = "SELECT COUNT(*) AS n FROM bids;";
const NEWEST: &str = "SELECT * FROM bids ORDER BY ROWTIME DESC LIMIT 10;";
const LIMIT: &str = "SELECT * FROM bids LIMIT 10;";

/// Number of records in the topic for the first row of the embedded broker.
const EMBEDDED_RECORDS: usize = 1_000;
const MEGABYTE: f64 = 1_048_576.0;

/// What to measure, and where.
#[derive(clap::Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// A topic that was filled by the program bids
    #[arg(long, default_value = "bids")]
    topic: String,
    /// Number of runs of each measurement
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Address of the embedded broker while it is filled
    #[arg(long, default_value = "127.0.0.1:29500")]
    embedded_listen: String,
}

/// Runs all measurements and prints the table. Fails when an answer is wrong, but not when a target is missed.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let shell = Shell::at_cluster(binary::headwater(), &arguments.bootstrap_server);
    shell.run(&define_bids(&arguments.topic))?;
    let mut table = Table::default();
    let grouped = pairs(arguments, &shell, GROUP_BY)?;
    add_pairs(&mut table, "GROUP BY", &grouped, 0.8);
    let counted = pairs(arguments, &shell, COUNT)?;
    add_pairs(&mut table, "COUNT(*)", &counted, 0.95);
    let records = grouped[0].records;
    add_few(&mut table, "newest 10", &repeat(arguments, &shell, NEWEST)?, records)?;
    add_few(&mut table, "LIMIT 10", &repeat(arguments, &shell, LIMIT)?, records)?;
    table.add("embedded, first row, s", 3, embedded(arguments)?, Some(Target::Below(0.5)));
    table.print(&format!("{records} records, {} runs of each", arguments.pairs));
    Ok(())
}

/// The statement that defines the stream of bids in JSON over their topic.
pub fn define_bids(topic: &str) -> String {
    DEFINE.replace("{topic}", topic)
}

/// A run of the baseline reader and the run of Headwater right after it.
struct Pair {
    bare: Run,
    ours: Run,
    records: u64,
}

fn pairs(arguments: &Arguments, shell: &Shell, sql: &str) -> Result<Vec<Pair>, Box<dyn Error>> {
    (0..arguments.pairs)
        .map(|number| {
            let bare = bare(arguments)?;
            let records = bare.stdout.split(' ').next().unwrap_or_default().parse()?;
            let ours = shell.run(sql)?;
            let found = sum_of(&ours, "N")?;
            if found != records {
                return Err(format!("{sql} counted {found} records, the baseline reader {records}").into());
            }
            eprintln!(
                "pair {number}: baseline {:.2} s, headwater {:.2} s",
                bare.wall.as_secs_f64(),
                ours.wall.as_secs_f64()
            );
            Ok(Pair { bare, ours, records })
        })
        .collect()
}

fn bare(arguments: &Arguments) -> Result<Run, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let command = program.display().to_string();
    let options = ["bare", "--bootstrap-server", &arguments.bootstrap_server, "--topic", &arguments.topic];
    measure(&program, &[&[command.as_str()], options.as_slice()].concat())
}

fn repeat(arguments: &Arguments, shell: &Shell, sql: &str) -> Result<Vec<Run>, Box<dyn Error>> {
    (0..arguments.pairs).map(|_| shell.run(sql)).collect()
}

fn add_pairs(table: &mut Table, name: &str, pairs: &[Pair], ratio: f64) {
    let each = |figure: &dyn Fn(&Pair) -> f64| pairs.iter().map(figure).collect::<Vec<_>>();
    let rate = |run: &Run, pair: &Pair| pair.records as f64 / run.wall.as_secs_f64();
    let cpu = |run: &Run, pair: &Pair| run.cpu_seconds / (pair.records as f64 / 1e6);
    table.add(&format!("{name}, baseline reader, records/s"), 0, each(&|pair| rate(&pair.bare, pair)), None);
    table.add(&format!("{name}, baseline reader, CPU s/M"), 2, each(&|pair| cpu(&pair.bare, pair)), None);
    table.add(&format!("{name}, records/s"), 0, each(&|pair| rate(&pair.ours, pair)), None);
    let ratios = each(&|pair| rate(&pair.ours, pair) / rate(&pair.bare, pair));
    table.add(&format!("{name}, ratio to baseline reader"), 2, ratios, Some(Target::AtLeast(ratio)));
    let cpus = each(&|pair| cpu(&pair.ours, pair));
    table.add(&format!("{name}, CPU s/M"), 2, cpus, Some(Target::Below(1.0)));
    let peaks = each(&|pair| pair.ours.peak_bytes as f64 / MEGABYTE);
    table.add(&format!("{name}, peak memory, MB"), 0, peaks, Some(Target::Below(512.0)));
}

/// A query that needs to read very little: the time to its first row, and the share of the records that it reads.
fn add_few(table: &mut Table, name: &str, runs: &[Run], records: u64) -> Result<(), Box<dyn Error>> {
    let mut shares = Vec::new();
    for run in runs {
        if run.stdout.lines().count() != 10 {
            return Err(format!("{name} did not return ten rows:\n{}", run.stdout).into());
        }
        shares.push(100.0 * records_read(run)? as f64 / records as f64);
    }
    table.add(&format!("{name}, records read, %"), 3, shares, Some(Target::Below(1.0)));
    table.add(&format!("{name}, first row, s"), 3, runs.iter().map(first_row).collect(), None);
    Ok(())
}

fn first_row(run: &Run) -> f64 {
    run.first_line.unwrap_or(Duration::MAX).as_secs_f64()
}

/// Seconds from the command to its first row on the embedded broker, with a data folder that contains a few records.
fn embedded(arguments: &Arguments) -> Result<Vec<f64>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    fill(arguments, folder.path().to_path_buf())?;
    let shell = Shell::at_folder(binary::headwater(), folder.path());
    shell.run(&define_bids("bids"))?;
    Ok(repeat(arguments, &shell, "SELECT * FROM bids;")?.iter().map(first_row).collect())
}

/// Writes the records through an embedded broker in its own process, so that the measured ones start with a filled
/// folder.
fn fill(arguments: &Arguments, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let _broker = Embedded::start(&arguments.embedded_listen, &folder, &[])?;
    load::create_topic(&arguments.embedded_listen, "bids", 1)?;
    let mut load = Load::open(&arguments.embedded_listen, "bids", "none")?;
    let mut json = Vec::new();
    for bid in Bids::new(1).take(EMBEDDED_RECORDS) {
        json.clear();
        bid.write_json(&mut json);
        load.write(bid.auction.to_string().as_bytes(), &json, bid.date_time_ms)?;
    }
    load.finish()?;
    Ok(())
}
