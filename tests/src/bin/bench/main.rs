//! Benchmarks against a real Kafka, each a ratio of two measurements in the same run.
//!
//! ```text
//! tests/real/kafka up --jit full
//! cargo run --release -p headwater-tests --bin bids -- --bootstrap-server 127.0.0.1:29110
//! cargo run --release -p headwater-tests --bin bench -- bounded --bootstrap-server 127.0.0.1:29110
//! cargo run --release -p headwater-tests --bin bench -- continuous --bootstrap-server 127.0.0.1:29110 --streams
//! ```

mod bounded;
mod broker;
mod continuous;
mod copy;
mod embedded;
mod feed;
mod formats;
mod functions;
mod idle;
mod interop;
mod latency;
mod librdkafka;
mod process;
mod pull;
mod query;
mod reader;
mod report;
mod restore;
mod running;
mod shell;
mod soak;
mod streams;
mod table;
mod totals;

use std::error::Error;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use headwater_tests::{bare, usage};

/// That of the program, which some benchmarks run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure Headwater against baselines on the same machine in the same minute.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start a real Kafka and 5,000,000 bids in its topic \"bids\":
  tests/real/kafka up --jit full
  cargo build --release --workspace --bins
  target/release/bids --bootstrap-server 127.0.0.1:29110
Then for example:
  bench bounded --bootstrap-server 127.0.0.1:29110
  bench continuous --bootstrap-server 127.0.0.1:29110 --pairs 3 --streams
      q0, q1 and q2 exactly once, compared with the baseline copy and Kafka Streams
  bench continuous --bootstrap-server 127.0.0.1:29110 --queries tumbling,hopping,session,join,pairs --streams
      queries with state; the joins need the topic that bids --auctions-topic auctions writes
  bench formats --bootstrap-server 127.0.0.1:29110 --schema-registry http://127.0.0.1:29500
      the registry is that of tests/real/registry up
  bench latency --bootstrap-server 127.0.0.1:29110
  bench restore --bootstrap-server 127.0.0.1:29110 --keys 10000000
  bench broker --bootstrap-server 127.0.0.1:29110 --pairs 3

The headwater beside this program is measured; HEADWATER_BIN names another one. Benchmarks write to
topics bench_... and delete them. Figures from a machine that does other work say little.";

#[derive(Subcommand)]
enum Command {
    /// Read a topic to its end with librdkafka's batch call and count bytes: the baseline of bounded reads
    Bare(Bare),
    /// Measure bounded SELECTs over the bids and the baseline reader, in pairs
    Bounded(bounded::Arguments),
    /// Measure a GROUP BY over the bids in AVRO, PROTOBUF and JSON_SR, and over JSON, in pairs
    Formats(formats::Arguments),
    /// Measure the embedded broker and a real Kafka: writing, reading, latency, CPU and memory
    Broker(broker::Arguments),
    /// Copy a topic with librdkafka in transactions of one second, without decoding: the baseline of exactly-once
    /// queries
    Copy(copy::Arguments),
    /// Measure continuous exactly-once queries, the baseline copy and optionally Kafka Streams, in pairs
    Continuous(continuous::Arguments),
    /// Measure the time from a record's producer through a query to a read_committed consumer, at a steady rate
    Latency(latency::Arguments),
    /// Run a steady rate through a query for minutes, to see whether its memory stays constant
    Soak(soak::Arguments),
    /// Measure CPU, memory and threads of one process with many idle queries
    Idle(idle::Arguments),
    /// Measure pull queries by key on the table of a query in the same process; needs no Kafka
    Pull(pull::Arguments),
    /// Measure how long a query with many keys takes to have its state again, from snapshots and from its changelog
    Restore(restore::Arguments),
    /// Measure every family of functions against DataFusion's closest equivalents; needs no Kafka
    Functions(functions::Arguments),
    /// Run a command and write its cost to a file; used by the other benchmarks
    #[command(hide = true)]
    Supervise {
        report: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[derive(Args)]
struct Bare {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// The topic
    #[arg(long, default_value = "bids")]
    topic: String,
    /// A librdkafka property NAME=VALUE in addition to the reader's own; may be repeated
    #[arg(long = "set", value_parser = property)]
    settings: Vec<(String, String)>,
}

fn main() -> ExitCode {
    headwater_tests::ended(run(Arguments::parse().command))
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Bare(arguments) => run_bare(&arguments),
        Command::Bounded(arguments) => bounded::run(&arguments),
        Command::Formats(arguments) => formats::run(&arguments),
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Copy(arguments) => copy::run(&arguments),
        Command::Continuous(arguments) => continuous::run(&arguments),
        Command::Latency(arguments) => latency::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments),
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Functions(arguments) => functions::run(&arguments),
        Command::Supervise { report, command } => exit(usage::supervise(&report, &command)?),
    }
}

fn run_bare(arguments: &Bare) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let counted = bare::read_to_end(&arguments.bootstrap_server, &arguments.topic, &arguments.settings)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{} records, {} bytes in {seconds:.3} s", counted.records, counted.bytes);
    Ok(())
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a property has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
