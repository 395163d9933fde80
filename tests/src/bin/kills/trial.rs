//! What all trials share: the load and the queries before the kills, and the verdict afterwards.

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
use crate::filters::{DROPPED_DIVISOR, judge};
use crate::instance::{Instance, Service};
use crate::outlook::Outlook;
use crate::verdict::Verdict;

const PARTITIONS: i32 = 4;
const QUERIES: usize = 2;
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

    /// Waits until both queries have committed something, and returns how long it took.
    pub fn await_commits(&mut self, instance: &mut Instance) -> Result<Duration, Box<dyn Error>> {
        let waited = self.outlook.await_commits(QUERIES, instance)?;
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
pub fn hold(
    bootstrap: &str,
    options: &Options,
    strike: impl FnOnce(&mut Trial) -> Result<Instance, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new(bootstrap, "kills");
    let folder = options.logs.clone().unwrap_or_else(|| std::env::temp_dir().join(scratch.name()));
    println!("seed {}, service {}, logs in {}", options.seed, scratch.name(), folder.display());
    let held = Court::new(bootstrap, options, &scratch, folder.clone()).hold(strike);
    match &held {
        Ok(()) if options.logs.is_none() => fs::remove_dir_all(&folder)?,
        Ok(()) => {}
        Err(_) => eprintln!("seed {}: the output of headwater is in {}", options.seed, folder.display()),
    }
    held
}

/// The topics and the location of a trial.
struct Court<'a> {
    bootstrap: &'a str,
    options: &'a Options,
    service_id: String,
    input: String,
    kept: String,
    regrouped: String,
    folder: PathBuf,
}

impl<'a> Court<'a> {
    fn new(bootstrap: &'a str, options: &'a Options, scratch: &Scratch, folder: PathBuf) -> Self {
        let (input, kept, regrouped) = (scratch.topic("input"), scratch.topic("kept"), scratch.topic("regrouped"));
        Self { bootstrap, options, service_id: scratch.name().to_owned(), input, kept, regrouped, folder }
    }

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
        load::create_topic(self.bootstrap, &self.input, PARTITIONS)?;
        let service =
            Service::new(self.bootstrap, &self.service_id, &self.statements(), &self.folder, commit_interval_ms)?;
        let topics = [&*self.input, &*self.kept, &*self.regrouped];
        let outlook = Outlook::new(self.bootstrap, &self.service_id, &topics, PARTITIONS)?;
        let feed = Feed::start(self.bootstrap, &self.input, rate, seed)?;
        let chance = StdRng::seed_from_u64(seed);
        Ok(Trial { service, outlook, chance, feed, run: 0, runs, slowest: Duration::ZERO })
    }

    fn statements(&self) -> String {
        let Self { input, kept, regrouped, .. } = self;
        format!(
            "CREATE STREAM input (k STRING KEY, n BIGINT, seq BIGINT)
               WITH (KAFKA_TOPIC = '{input}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
             CREATE STREAM kept WITH (KAFKA_TOPIC = '{kept}') AS
               SELECT k, n, seq, ROWPARTITION AS p, ROWOFFSET AS o FROM input WHERE n % {DROPPED_DIVISOR} <> 0;
             CREATE STREAM regrouped WITH (KAFKA_TOPIC = '{regrouped}') AS
               SELECT n % 10 AS digit, k, n, seq, p, o FROM kept PARTITION BY n % 10;\n"
        )
    }

    /// Waits until the remaining process has made the output complete.
    fn drain(&self, sent: &[Sent], left: &mut Instance) -> Result<(), Box<dyn Error>> {
        let (mut lost, mut moved_at) = (usize::MAX, Instant::now());
        loop {
            left.check()?;
            let now = self.judge(sent)?.lost;
            if now == 0 {
                return Ok(());
            }
            if now < lost {
                (lost, moved_at) = (now, Instant::now());
            }
            if moved_at.elapsed() > DRAIN_SILENCE_MAX {
                return Err(
                    left.said(&format!("{now} records are missing, and none arrived for {DRAIN_SILENCE_MAX:?}"))
                );
            }
            thread::sleep(DRAIN_LOOK);
        }
    }

    fn judge(&self, sent: &[Sent]) -> Result<Verdict, Box<dyn Error>> {
        let kept = judge(self.bootstrap, &self.kept, PARTITIONS, sent)?;
        Ok(kept.and(judge(self.bootstrap, &self.regrouped, PARTITIONS, sent)?))
    }

    fn sentence(&self, sent: &[Sent]) -> Result<(), Box<dyn Error>> {
        let verdict = self.judge(sent)?;
        verdict.examples.iter().for_each(|example| eprintln!("{example}"));
        println!("{} runs: {verdict}", self.options.runs);
        if verdict.is_good() { Ok(()) } else { Err("the output is wrong".into()) }
    }
}
