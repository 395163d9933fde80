//! Runs ksqlDB's functional cases, given as a folder of data, on the real engine over a cluster in memory.
//!
//! ```text
//! cargo run --release --workspace --bin conformance -- qtt ../shared/conformance/qtt --summary
//! cargo run --release --workspace --bin conformance -- qtt ../shared/conformance/qtt --filter cast --verbose
//! ```
//!
//! It knows no case: what a case needs is in its data, and how it is judged in the README of the data.

mod base64;
mod case;
mod compare;
mod complaint;
mod json;
mod payload;
mod post;
mod report;
mod run;
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

/// Run ksqlDB's functional cases and count what passes.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Query translation tests: statements, records in, records out
    Qtt(Qtt),
}

#[derive(Args)]
struct Qtt {
    /// Folder with the cases, or one whose folder qtt has them
    folder: PathBuf,
    /// Run only cases whose file or name contains this text
    #[arg(long)]
    filter: Option<String>,
    /// Write how every case ended into this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// How many cases run side by side
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Tell why cases did not pass, or passed with another complaint
    #[arg(long)]
    verbose: bool,
    /// Give the figures of parts of the dialect, too
    #[arg(long)]
    summary: bool,
    /// Fail when a count is below what this file holds
    #[arg(long, conflicts_with = "filter")]
    floor: Option<PathBuf>,
    /// Write what was reached into the floor, where it is higher
    #[arg(long, requires = "floor")]
    raise: bool,
}

fn main() -> ExitCode {
    let Command::Qtt(qtt) = Arguments::parse().command;
    // A case that panics is told with its reason, once.
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

/// Runs one case by itself, so that its panic is its own.
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
