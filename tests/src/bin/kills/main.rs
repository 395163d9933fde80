//! Tests exactly-once processing on a real Kafka by killing processes: input records are numbered, and output records
//! are counted.
//!
//! ```text
//! feed → input topic → kept (a filter) → regrouped (another key) → judge
//!                        └ headwater run ┘   ← what is killed, or the brokers under it
//! ```
//!
//! A run is one kill at a random moment under load. After the last one the load ends, the output becomes complete, and
//! an independent read_committed reader looks for each acknowledged record: once, and in order.
//!
//! Queries with state (`windows`, `joins`) take the place of the filter. Their reader computes from the input what the
//! output must be: counts and sums that only grow and end right, and each joined row once.
//!
//! `embedded` needs no Kafka and no query: it kills the embedded broker under plain clients.

mod broker;
mod cluster;
mod embedded;
mod engine;
mod feed;
mod filters;
mod instance;
mod joins;
mod members;
mod outlook;
mod outputs;
mod pairs;
mod trial;
mod turns;
mod verdict;
mod versions;
mod windows;

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::filters::Filters;
use crate::instance::Instance;
use crate::joins::Joins;
use crate::trial::{Options, Trial, Workload};
use crate::windows::Windows;

/// Kill Headwater or brokers at random moments under load, and check that every record is processed exactly once.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start a real Kafka:
  tests/real/kafka up
  cargo build --release --workspace --bins
Then:
  kills engine --bootstrap-server 127.0.0.1:29110
  kills members --bootstrap-server 127.0.0.1:29110 --runs 10
  kills windows --bootstrap-server 127.0.0.1:29110 --runs 10
  kills joins --bootstrap-server 127.0.0.1:29110 --runs 10
  kills broker --runs 10          starts and stops three brokers itself
Without a Kafka:
  kills embedded --runs 100       starts the embedded broker itself

Each ends with a line such as
  50 runs: 1234567 records, 0 lost, 0 doubled, 0 out of order
and exits with 0 only when all of these are 0. Where and when a blow falls comes from --seed; what it meets does not.
The headwater beside this program is driven; HEADWATER_BIN names another one. Topics kills_... are deleted at the end,
and what headwater said is kept when something is wrong.";

#[derive(Subcommand)]
enum Command {
    /// Kill the only `headwater run` (kill -9), and start it again each time
    Engine(AtCluster),
    /// Kill one of three brokers (kill -9), and start it again each time
    Broker(broker::Arguments),
    /// Kill the embedded broker (kill -9) while an idempotent producer and a transactional copier use it, and start it again at
    /// once
    Embedded(embedded::Arguments),
    /// Start other processes of the same service and stop them, by SIGTERM or kill -9, while the first works
    Members(AtCluster),
    /// Kill processes that count and add up in windows; every other time, two processes share the partitions. Half of the
    /// victims lose their local state
    Windows(AtCluster),
    /// The same with joins of a stream with another one and with a table
    Joins(AtCluster),
}

/// An existing cluster, and the options of the trial.
#[derive(Args)]
struct AtCluster {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    #[command(flatten)]
    options: Options,
}

impl AtCluster {
    /// Runs a trial of a workload with this many kills.
    fn hold<W: Workload>(
        &self,
        strike: impl FnOnce(&mut Trial, u32) -> Result<Instance, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        trial::hold::<W>(&self.bootstrap_server, &self.options, |trial| strike(trial, self.options.runs))
    }
}

fn main() -> ExitCode {
    headwater_tests::ended(run(Arguments::parse().command))
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Engine(at) => at.hold::<Filters>(engine::strike),
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Embedded(arguments) => embedded::run(&arguments),
        Command::Windows(at) => at.hold::<Windows>(turns::strike),
        Command::Joins(at) => at.hold::<Joins>(turns::strike),
        Command::Members(at) => at.hold::<Filters>(members::strike),
    }
}
