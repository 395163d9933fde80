//! What all trials share: the load and the queries before the kills, and the verdict afterwards.
//!
//! A [`Workload`] says which queries run and what their output must be.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use clap::Args;
use headwater_tests::load;
use headwater_tests::scratch::Scratch;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::feed::{Feed, Sent};
use crate::instance::{Instance, Service};
use crate::outlook::Outlook;
use crate::verdict::Verdict;

/// Number of partitions of every topic.
pub const PARTITIONS: i32 = 4;
/// After the load, the maximum time in which a working process must make the output more complete.
const DRAIN_SILENCE_MAX: Duration = Duration::from_secs(100);
const DRAIN_LOOK: Duration = Duration::from_secs(2);

/// Options of every trial.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Number of kills
    #[arg(long, default_value_t = 10)]
    pub runs: u32,
    /// Records per second, evenly paced
    #[arg(long, default_value_t = 3_000)]
    rate: u64,
    /// Headwater's commit interval
    #[arg(long, default_value_t = 500)]
    commit_interval_ms: u64,
    /// Seed of keys, moments and victims
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the output of the processes; kept if it is given or something failed
    #[arg(long)]
    logs: Option<PathBuf>,
}

/// Queries, the topics that they read and write, and what their output must be.
pub trait Workload {
    /// A workload whose topics are named after the scratch.
    fn new(scratch: &Scratch) -> Self;

    /// The topics that the feed writes, which take turns.
    fn inputs(&self) -> Vec<&str>;

    /// The topics that the queries write.
    fn outputs(&self) -> Vec<&str>;

    /// The statements that every process runs.
    fn statements(&self) -> String;

    /// The number of queries, and the number of topics that each of them reads, added up; exchanges do not count.
    fn queries_and_reads(&self) -> (usize, usize);

    /// Judges what the outputs contain now.
    fn judge(&self, bootstrap: &str, sent: &[Sent]) -> Result<Verdict, Box<dyn Error>>;
}

/// A trial in progress: the load runs, and a service can be started.
pub struct Trial {
    /// Starts processes.
    pub service: Service,
    /// The view of other clients.
    pub outlook: Outlook,
    chance: StdRng,
    feed: Feed,
    run: u32,
    runs: u32,
    slowest: Duration,
}

impl Trial {
    /// A random number in the range, from the seed.
    pub fn pick(&mut self, range: std::ops::Range<usize>) -> usize {
        self.chance.random_range(range)
    }

    /// True once in this many times, from the seed.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.pick(0..times) == 0
    }

    /// Sleeps for a random time up to `longest`, from the seed.
    pub fn pause(&mut self, longest: Duration) -> Duration {
        let pause = longest.mul_f64(self.chance.random());
        thread::sleep(pause);
        pause
    }

    /// Waits until every query has committed something, and returns how long it took.
    pub fn await_commits(&mut self, instance: &mut Instance) -> Result<Duration, Box<dyn Error>> {
        let waited = self.outlook.await_commits(instance)?;
        self.slowest = self.slowest.max(waited);
        Ok(waited)
    }

    /// Ends a run and prints a line about it.
    pub fn report(&mut self, what: &str) -> Result<(), Box<dyn Error>> {
        self.feed.check()?;
        self.run += 1;
        println!("run {} of {}: {what}; {} records sent", self.run, self.runs, self.feed.written());
        Ok(())
    }
}

/// Runs a trial: `strike` does the killing and returns the remaining process. Fails when the output is wrong, or does
/// not become complete.
pub fn hold<W: Workload>(
    bootstrap: &str,
    options: &Options,
    strike: impl FnOnce(&mut Trial) -> Result<Instance, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new(bootstrap, "kills");
    let folder = options.logs.clone().unwrap_or_else(|| std::env::temp_dir().join(scratch.name()));
    println!("seed {}, service {}, logs in {}", options.seed, scratch.name(), folder.display());
    let court =
        Court { bootstrap, options, service_id: scratch.name(), workload: W::new(&scratch), folder: folder.clone() };
    let held = court.hold(strike);
    match &held {
        Ok(()) if options.logs.is_none() => fs::remove_dir_all(&folder)?,
        Ok(()) => {}
        Err(_) => eprintln!("seed {}: the output of headwater is in {}", options.seed, folder.display()),
    }
    held
}

/// The workload and the location of a trial.
struct Court<'a, W> {
    bootstrap: &'a str,
    options: &'a Options,
    service_id: &'a str,
    workload: W,
    folder: PathBuf,
}

impl<W: Workload> Court<'_, W> {
    fn hold(&self, strike: impl FnOnce(&mut Trial) -> Result<Instance, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
        let mut trial = self.open()?;
        let begun = Instant::now();
        let mut left = strike(&mut trial)?;
        let seconds = begun.elapsed().as_secs();
        let sent = trial.feed.stop()?;
        let acknowledged = sent.iter().filter(|sent| sent.address.is_some()).count();
        let slowest = trial.slowest.as_secs_f64();
        println!(
            "{} records sent in {seconds} s, {acknowledged} acknowledged; longest wait for a commit {slowest:.1} s",
            sent.len()
        );
        self.drain(&sent, &mut left)?;
        left.stop()?;
        trial.service.run_until_idle()?;
        self.sentence(&sent)
    }

    fn open(&self) -> Result<Trial, Box<dyn Error>> {
        let Options { commit_interval_ms, rate, seed, runs, .. } = *self.options;
        let (bootstrap, inputs) = (self.bootstrap, self.workload.inputs());
        let topics = [inputs.clone(), self.workload.outputs()].concat();
        // The topic of a windowed table, created by its query, would lose records after the retention of the windows.
        topics.iter().try_for_each(|topic| load::create_topic(bootstrap, topic, PARTITIONS))?;
        let statements = self.workload.statements();
        let service = Service::new(bootstrap, self.service_id, &statements, &self.folder, commit_interval_ms)?;
        let outlook = Outlook::new(bootstrap, self.service_id, &topics, PARTITIONS, self.workload.queries_and_reads())?;
        let feed = Feed::start(bootstrap, &inputs, rate, seed)?;
        let chance = StdRng::seed_from_u64(seed);
        Ok(Trial { service, outlook, chance, feed, run: 0, runs, slowest: Duration::ZERO })
    }

    /// Waits until the remaining process has made the output complete.
    fn drain(&self, sent: &[Sent], left: &mut Instance) -> Result<(), Box<dyn Error>> {
        let (mut lost, mut moved_at) = (usize::MAX, Instant::now());
        loop {
            left.check()?;
            let verdict = self.workload.judge(self.bootstrap, sent)?;
            let now = verdict.lost;
            if now == 0 {
                return Ok(());
            }
            if now < lost {
                (lost, moved_at) = (now, Instant::now());
            }
            if moved_at.elapsed() > DRAIN_SILENCE_MAX {
                verdict.examples.iter().for_each(|example| eprintln!("{example}"));
                return Err(
                    left.said(&format!("{now} records are missing, and none arrived for {DRAIN_SILENCE_MAX:?}"))
                );
            }
            thread::sleep(DRAIN_LOOK);
        }
    }

    fn sentence(&self, sent: &[Sent]) -> Result<(), Box<dyn Error>> {
        let verdict = self.workload.judge(self.bootstrap, sent)?;
        verdict.examples.iter().for_each(|example| eprintln!("{example}"));
        println!("{} runs: {verdict}", self.options.runs);
        if verdict.is_good() { Ok(()) } else { Err("the output is wrong".into()) }
    }
}
