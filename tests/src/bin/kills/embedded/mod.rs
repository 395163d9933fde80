//! Kills the embedded broker (kill -9) while a producer writes to it and a copier copies in transactions. It is started again at once, or
//! a shell on the same folder takes it over.
//!
//! ```text
//! writer (idempotent) → source topic → copier (transactions) → copy topic
//!         └──────────── the broker, which is killed once ───────────┘        then a reader reads both topics
//! ```
//!
//! A run has its own topics and one kill. Apart from the other trials because here nothing is Headwater but the broker, and the clients
//! are plain librdkafka.

mod copier;
mod findings;
mod outage;
mod progress;
mod reader;
mod tag;
mod writer;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::embedded::{Embedded, Site};
use headwater_tests::load;
use headwater_tests::scratch::Scratch;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use self::copier::{Copied, Route};
use self::findings::Findings;
use self::outage::{Outage, Outages};
use self::progress::{Failure, Progress};

/// Number of partitions of both topics.
const PARTITIONS: usize = 4;
/// The part of the records after whose acknowledgement the broker is killed: both clients work before and after.
const KILLED_AFTER: std::ops::Range<f64> = 0.02..0.92;
/// Maximum further time before a kill, so that it does not follow an acknowledgement.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Number and size of the runs.
#[derive(Args)]
pub struct Arguments {
    /// Number of runs, each with one kill
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// Records that the producer writes in each run
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
    /// Seed of moments, sizes of transactions and aborts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A shell on the same folder takes the broker over, instead of a new broker
    #[arg(long)]
    hand_over: bool,
}

/// Starts a broker, kills it in each run, and judges.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let home = TempDir::with_prefix("kills_embedded_")?;
    println!("seed {}, broker in {}", arguments.seed, home.path().display());
    hold(arguments, home.path()).map_err(|error| {
        eprintln!("seed {}: the broker's folder and log are in {}", arguments.seed, home.keep().display());
        error as Box<dyn Error>
    })
}

fn hold(arguments: &Arguments, home: &Path) -> Result<(), Failure> {
    let log = home.join("log");
    let mut stage = Stage::open(arguments, home.join("data"), File::create(&log)?)?;
    let (mut findings, mut outages) = (Findings::default(), Outages::default());
    for run in 1..=arguments.runs {
        let (outage, copied, found) = stage.run(arguments.records)?;
        println!("run {run} of {}: {outage}; {copied}", arguments.runs);
        found.print_examples();
        outages.0.push(outage);
        findings = findings.and(found);
    }
    println!("{outages}");
    println!("{} runs: {findings}", arguments.runs);
    if fs::read_to_string(&log)?.contains("panicked") {
        return Err("the broker panicked".into());
    }
    if findings.is_good() { Ok(()) } else { Err("the topics are wrong".into()) }
}

/// The broker, and who continues after it.
struct Stage {
    site: Site,
    log: File,
    broker: Option<Embedded>,
    /// The shell that takes over; none if a new broker is started.
    heir: Option<Embedded>,
    chance: StdRng,
}

impl Stage {
    fn open(arguments: &Arguments, folder: PathBuf, log: File) -> Result<Self, Failure> {
        let site = Site::in_folder(folder)?;
        let broker = Some(site.start(Stdio::from(log.try_clone()?))?);
        let heir = arguments.hand_over.then(|| site.start_heir(Stdio::from(log.try_clone()?))).transpose()?;
        Ok(Self { site, log, broker, heir, chance: StdRng::seed_from_u64(arguments.seed) })
    }

    /// One run: both clients work, the broker is killed, both finish, and everything is read.
    fn run(&mut self, records: usize) -> Result<(Outage, Copied, Findings), Failure> {
        let bootstrap = self.site.listen.to_string();
        let scratch = Scratch::new(&bootstrap, "kills");
        let [source, copy] = [scratch.topic("source"), scratch.topic("copy")];
        for topic in [&source, &copy] {
            load::create_topic(&bootstrap, topic, PARTITIONS as i32).map_err(|error| error.to_string())?;
        }
        let progress = Progress::new(records);
        let route = Route {
            bootstrap: &bootstrap,
            source: &source,
            copy: &copy,
            id: scratch.name(),
            seed: self.chance.random(),
        };
        let (outage, copied) = thread::scope(|scope| {
            let writing = scope.spawn(|| progress.guard(|| writer::write(&bootstrap, &source, &progress)));
            let copying = scope.spawn(|| progress.guard(|| copier::copy(&route, &progress)));
            let outage = progress.guard(|| self.strike(&progress));
            writing.join().map_err(|_| "the writer panicked")??;
            let copied = copying.join().map_err(|_| "the copier panicked")??;
            Ok::<_, Failure>((outage?, copied))
        })?;
        Ok((outage, copied, reader::judge(&route, records)?))
    }

    fn stderr(&self) -> Result<Stdio, Failure> {
        Ok(Stdio::from(self.log.try_clone()?))
    }

    /// The broker after the killed one.
    fn follow(&self, heir: Option<Embedded>) -> Result<Embedded, Failure> {
        let Some(mut heir) = heir else { return Ok(self.site.start(self.stderr()?)?) };
        self.site.await_broker(&mut heir)?;
        Ok(heir)
    }

    /// Kills the broker at a random moment; the next one follows at once.
    fn strike(&mut self, progress: &Progress) -> Result<Outage, Failure> {
        let after = (progress.records() as f64 * self.chance.random_range(KILLED_AFTER)) as usize;
        progress.wait_for(|progress| progress.acknowledged() >= after)?;
        thread::sleep(PAUSE_MAX.mul_f64(self.chance.random()));
        self.broker.take().ok_or("there is no broker")?.kill()?;
        let (acknowledged, killed_at) = (progress.acknowledged(), Instant::now());
        let heir = self.heir.take();
        let is_handed_over = heir.is_some();
        self.broker = Some(self.follow(heir)?);
        let (start, started_at) = (killed_at.elapsed(), Instant::now());
        // What was acknowledged before the kill has arrived by now.
        let (before, copied) = (progress.acknowledged(), progress.copied());
        let mut acknowledgement = None;
        progress.wait_for(|progress| {
            if progress.acknowledged() > before {
                acknowledgement.get_or_insert_with(|| started_at.elapsed());
            }
            acknowledgement.is_some() && progress.copied() > copied
        })?;
        let commit = started_at.elapsed();
        if is_handed_over {
            self.heir = Some(self.site.start_heir(self.stderr()?)?);
        }
        Ok(Outage { acknowledged, start, acknowledgement: acknowledgement.unwrap_or(commit), commit })
    }
}
