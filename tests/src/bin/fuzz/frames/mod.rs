//! Damaged requests to the embedded broker, over real connections.
//!
//! ```text
//! requests (valid, of every API and version) → mutation → senders ⇉ broker ← witness (a client without faults)
//!                                                                    └ vitals: memory, connections, disk, messages
//! ```

mod mutation;
mod requests;
mod sender;
mod tally;
mod vitals;
mod witness;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use headwater_tests::embedded::{Embedded, Site};
use kafka_protocol::messages::ApiVersionsRequest;
use tempfile::TempDir;

use self::mutation::Mutator;
use self::sender::Sender;
use self::tally::Tally;
use self::vitals::Messages;
use self::witness::Witness;

type Failure = Box<dyn Error + Send + Sync>;

/// Number of frames between two checks.
const FRAMES_PER_CHECK: u64 = 100_000;
/// Number of checks between two lines about the progress.
const CHECKS_PER_LINE: u64 = 10;
const MB: u64 = 1 << 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long the broker may take to close the connections of clients that are gone.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// How many frames, and what is allowed.
#[derive(Args)]
pub struct Arguments {
    /// Number of damaged frames
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Seed of the damage
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of connections at a time
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Only requests of the API with this number, to narrow down a failure
    #[arg(long)]
    api: Option<i16>,
    /// Maximum resident memory of the broker, in MB
    #[arg(long, default_value_t = 256)]
    memory_mb: u64,
    /// Maximum size of the broker's folder, in MB
    #[arg(long, default_value_t = 1_024)]
    disk_mb: u64,
}

/// Starts a broker, sends, and reports.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let folder = TempDir::with_prefix("fuzz_frames_")?;
    let tally = Tally::new(arguments.count);
    let sent = Session::open(arguments, folder.path(), &tally).and_then(|mut session| {
        println!("seed {}, broker {} in {}", arguments.seed, session.broker.pid(), folder.path().display());
        let sent = session.send();
        println!("{tally}");
        println!("{session}");
        sent
    });
    sent.map_err(|error| format!("seed {}: {error}", arguments.seed).into())
}

/// The broker, and what it has needed so far.
struct Session<'a> {
    arguments: &'a Arguments,
    tally: &'a Tally,
    broker: Embedded,
    site: Site,
    messages: Arc<Messages>,
    memory_bytes_max: u64,
    disk_bytes_max: u64,
    begun: Instant,
}

impl<'a> Session<'a> {
    fn open(arguments: &'a Arguments, folder: &Path, tally: &'a Tally) -> Result<Self, Failure> {
        let site = Site::in_folder(folder)?;
        let mut broker = site.start(Stdio::piped())?;
        let messages = Messages::read(broker.take_stderr().ok_or("standard error is not piped")?);
        let begun = Instant::now();
        Ok(Self { arguments, tally, broker, site, messages, memory_bytes_max: 0, disk_bytes_max: 0, begun })
    }

    fn send(&mut self) -> Result<(), Failure> {
        let mut witness = Witness::open(self.site.listen)?;
        witness.check()?;
        let valid = valid_requests(&mut witness, self.arguments.api)?;
        let question = requests::encode(0, &ApiVersionsRequest::default())?;
        let sockets = vitals::sockets(self.broker.pid())?;
        self.begun = Instant::now();
        thread::scope(|scope| {
            let spawn = |number| {
                let seed = self.arguments.seed.wrapping_mul(self.arguments.connections).wrapping_add(number);
                let mut sender =
                    Sender::new(self.site.listen, Mutator::new(valid.clone(), seed), &question, self.tally);
                let tally = self.tally;
                scope.spawn(move || sender.send().inspect_err(|_| tally.stop()))
            };
            let senders: Vec<_> = (0..self.arguments.connections).map(spawn).collect();
            let watched = self.watch(&mut witness).inspect_err(|_| self.tally.stop());
            let sent = senders
                .into_iter()
                .map(|sender| sender.join().map_err(|_| "a sender panicked")?.map_err(Failure::from));
            sent.collect::<Result<Vec<()>, Failure>>().and(watched)
        })?;
        self.check(&mut witness)?;
        self.await_close(sockets)
    }

    /// Checks everything once in a number of frames.
    fn watch(&mut self, witness: &mut Witness) -> Result<(), Failure> {
        let mut checks = 0;
        while !self.tally.is_complete() {
            if self.tally.frames() < checks * FRAMES_PER_CHECK {
                thread::sleep(LOOK_INTERVAL);
                continue;
            }
            self.check(witness)?;
            witness.clear()?;
            if checks % CHECKS_PER_LINE == 0 {
                println!("{}: {self}", self.tally.frames());
            }
            checks += 1;
        }
        Ok(())
    }

    fn check(&mut self, witness: &mut Witness) -> Result<(), Failure> {
        self.broker.check()?;
        let panics = self.messages.panics();
        if !panics.is_empty() {
            return Err(format!("the broker has panicked: {}", panics.join("; ")).into());
        }
        witness.check()?;
        let [memory, disk] = [vitals::memory_bytes(self.broker.pid())?, vitals::disk_bytes(&self.site.folder)];
        self.memory_bytes_max = self.memory_bytes_max.max(memory);
        self.disk_bytes_max = self.disk_bytes_max.max(disk);
        within("memory", memory, self.arguments.memory_mb)?;
        within("disk", disk, self.arguments.disk_mb)
    }

    /// Waits until as many sockets are open as before.
    fn await_close(&self, before: usize) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            match vitals::sockets(self.broker.pid())? {
                now if now <= before => return Ok(()),
                now if begun.elapsed() > CLOSE_MAX => {
                    return Err(format!("the broker has {now} open sockets, and had {before} before").into());
                }
                _ => thread::sleep(LOOK_INTERVAL),
            }
        }
    }
}

impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.tally.frames() as f64 / self.begun.elapsed().as_secs_f64();
        let [memory, disk] = [self.memory_bytes_max, self.disk_bytes_max].map(|bytes| bytes / MB);
        let lines = self.messages.lines();
        write!(
            f,
            "{per_second:.0} frames/s; the broker had at most {memory} MB of memory and {disk} MB on disk, and wrote {lines} lines"
        )
    }
}

/// Fails when the broker needs more than is allowed.
fn within(what: &str, bytes: u64, max_mb: u64) -> Result<(), Failure> {
    match bytes / MB {
        mb if mb > max_mb => Err(format!("the broker needs {mb} MB of {what}; {max_mb} MB are allowed").into()),
        _ => Ok(()),
    }
}

/// Requests of everything that the broker offers, or only of one API.
fn valid_requests(witness: &mut Witness, only: Option<i16>) -> Result<Vec<Bytes>, Failure> {
    let (offered, known) = (witness.offered()?, witness.producer()?);
    let wanted = offered.into_iter().filter(|(key, _)| only.is_none_or(|only| only == *key));
    let requests = wanted.map(|(key, version)| requests::of(key, version, known));
    match requests.collect::<Result<Vec<_>, _>>()?.concat() {
        requests if requests.is_empty() => Err("the broker does not offer this API".into()),
        requests => Ok(requests),
    }
}
