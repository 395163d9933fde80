//! Runs ksqlDB's functional test cases, from a folder of data, on the real engine over a cluster in memory.
//!
//! ```text
//! cargo run --release --workspace --bin conformance -- qtt ../shared/conformance/qtt --summary
//! cargo run --release --workspace --bin conformance -- qtt ../shared/conformance/qtt --filter cast --verbose
//! ```
//!
//! The program contains no case: the data describes what each case needs, and the README of the data how it is judged.

mod base64;
mod case;
mod compare;
mod complaint;
mod json;
mod payload;
mod post;
mod report;
mod run;
mod schemas;
mod stage;
mod subset;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use futures::StreamExt as _;
use headwater_formats::panic::words;
use headwater_tests::ended;

use crate::case::Case;
use crate::report::Judged;
use crate::run::{Outcome, Status};

/// Run ksqlDB's functional test cases and count how many pass.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Query translation tests: statements, input records, expected output records
    Qtt(Qtt),
}

#[derive(Args)]
struct Qtt {
    /// Folder with the cases, or a folder whose subfolder qtt contains them
    folder: PathBuf,
    /// Run only cases whose file or name contains this text
    #[arg(long)]
    filter: Option<String>,
    /// Write the result of every case to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Number of cases to run in parallel
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Print why cases did not pass, and which passed with a different error message
    #[arg(long)]
    verbose: bool,
    /// Also print the figures of parts of the dialect
    #[arg(long)]
    summary: bool,
    /// Fail when a count is below the one in this file
    #[arg(long, conflicts_with = "filter")]
    floor: Option<PathBuf>,
    /// Raise the counts in the file to those of this run
    #[arg(long, requires = "floor")]
    raise: bool,
}

fn main() -> ExitCode {
    let Command::Qtt(qtt) = Arguments::parse().command;
    // A case that panics is reported once, with its reason.
    std::panic::set_hook(Box::new(|_| {}));
    ended(run_all(&qtt))
}

fn run_all(qtt: &Qtt) -> Result<(), Box<dyn Error>> {
    let inside = qtt.folder.join("qtt");
    let mut cases = case::read_all(if inside.is_dir() { &inside } else { &qtt.folder })?;
    if let Some(filter) = &qtt.filter {
        cases.retain(|case| case.file.contains(filter) || case.name.contains(filter));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(qtt.jobs.max(1)).enable_all().build()?;
    let judged: Vec<Judged> =
        runtime.block_on(async { futures::stream::iter(cases).map(judge).buffered(qtt.jobs.max(1)).collect().await });
    report::print(&judged, qtt.verbose);
    if qtt.summary {
        report::print_summary(&judged);
    }
    if let Some(path) = &qtt.json {
        report::write_json(&judged, path)?;
    }
    report::print_total(&judged);
    if let Some(path) = &qtt.floor {
        report::check_floor(&judged, path)?;
        if qtt.raise {
            report::raise_floor(&judged, path)?;
        }
    }
    Ok(())
}

/// Runs one case separately, so that a panic affects only this case.
async fn judge(case: Case) -> Judged {
    let playing = case.clone();
    let outcome = match tokio::spawn(async move { run::run(&playing).await }).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let text = error.try_into_panic().map_or_else(|error| error.to_string(), |panic| words(&*panic).to_owned());
            Outcome::new(Status::Failed, format!("panicked: {text}"))
        }
    };
    (case, outcome)
}
