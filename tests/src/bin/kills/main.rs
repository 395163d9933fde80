//! Exactly once on a real Kafka, proved by violence: records are numbered on their way in and counted on their way out.
//!
//! ```text
//! feed → input topic → kept (a filter) → regrouped (another key) → judge
//!                        └ headwater run ┘   ← what is killed, or the brokers under it
//! ```
//!
//! A run is one blow at a random moment under load. After the last one the load ends, the output becomes complete, and
//! a foreign reader that sees only what is committed looks for each acknowledged record: once, at its place.

mod broker;
mod cluster;
mod engine;
mod feed;
mod instance;
mod judge;
mod members;
mod outlook;
mod trial;

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::instance::Instance;
use crate::trial::{Options, Trial};

/// Kill Headwater or brokers at random moments under load, and look whether every record came out exactly once.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Begin with a real Kafka:
  tests/real/kafka up
  cargo build --release --workspace --bins
Then:
  kills engine --bootstrap-server 127.0.0.1:29110
  kills members --bootstrap-server 127.0.0.1:29110 --runs 10
  kills broker --runs 10          starts three brokers itself, and ends them

Each ends with a line such as
  50 runs: 1234567 records, 0 lost, 0 doubled, 0 out of order
and exits with 0 only when all of these are 0. Where and when a blow falls comes from --seed; what it meets does not.
The headwater beside this program is driven; HEADWATER_BIN names another one. Topics kills_... are deleted at the end,
and what headwater said is kept when something is wrong.";

#[derive(Subcommand)]
enum Command {
    /// kill -9 of the only `headwater run`, started again each time
    Engine(AtCluster),
    /// kill -9 of one of three brokers, started again each time
    Broker(broker::Arguments),
    /// Other processes of the same service come and go, by SIGTERM or kill -9, while the first works
    Members(AtCluster),
}

/// A cluster that is there, and how often.
#[derive(Args)]
struct AtCluster {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    #[command(flatten)]
    options: Options,
}

impl AtCluster {
    /// Holds a trial with so many blows.
    fn hold(
        &self,
        strike: impl FnOnce(&mut Trial, u32) -> Result<Instance, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        trial::hold(&self.bootstrap_server, &self.options, |trial| strike(trial, self.options.runs))
    }
}

fn main() -> ExitCode {
    headwater_tests::ended(run(Arguments::parse().command))
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Engine(at) => at.hold(engine::strike),
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Members(at) => at.hold(members::strike),
    }
}
