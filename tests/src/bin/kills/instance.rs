//! Processes of one service: `headwater run` with the same file, started, killed, and stopped as an operator would.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::binary;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Maximum time for a clean exit after SIGTERM, including a transaction that a broker delays.
const END_WAIT_MAX: Duration = Duration::from_secs(60);
/// Maximum time for a run until idle.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(180);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Number of bytes of a log that are shown with an error.
const SHOWN_MAX: usize = 4_000;

/// The configuration of every process of the service.
pub struct Service {
    bootstrap: String,
    id: String,
    folder: PathBuf,
    commit_interval_ms: u64,
    started: usize,
}

impl Service {
    /// A service with this id; `folder` is created for the statements and the output of each process.
    pub fn new(
        bootstrap: &str,
        id: &str,
        statements: &str,
        folder: &Path,
        commit_interval_ms: u64,
    ) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("queries.sql"), statements)?;
        let (bootstrap, id, folder) = (bootstrap.to_owned(), id.to_owned(), folder.to_owned());
        Ok(Self { bootstrap, id, folder, commit_interval_ms, started: 0 })
    }

    /// Starts a process that keeps running.
    pub fn start(&mut self) -> Result<Instance, Box<dyn Error>> {
        self.spawn(&[])
    }

    /// The same with the local state that is at a place, or will be.
    pub fn start_at(&mut self, place: &Place) -> Result<Instance, Box<dyn Error>> {
        self.spawn(&["--data", &place.0.display().to_string()])
    }

    /// A place for local state, which has none yet.
    pub fn place(&self, name: &str) -> Place {
        Place(self.folder.join(name))
    }

    /// How many lines of all processes so far contain a text.
    pub fn lines_with(&self, text: &str) -> Result<usize, Box<dyn Error>> {
        (1..=self.started).map(|number| Ok(lines_with(&self.log(number), text)?)).sum()
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:03}.log"))
    }

    /// Runs a process until all existing input is processed and committed. Fails when it does not exit with 0 in time.
    pub fn run_until_idle(&mut self) -> Result<(), Box<dyn Error>> {
        self.spawn(&["--until-idle"])?.wait("headwater run --until-idle", IDLE_WAIT_MAX)
    }

    fn spawn(&mut self, arguments: &[&str]) -> Result<Instance, Box<dyn Error>> {
        self.started += 1;
        let path = self.log(self.started);
        let log = File::create(&path)?;
        let child = Command::new(binary::headwater())
            .args(["run", "-vv", "--bootstrap-server", &self.bootstrap, "--service-id", &self.id])
            .args(["--set", &format!("commit.interval.ms={}", self.commit_interval_ms)])
            .args(arguments)
            .arg(self.folder.join("queries.sql"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Instance { child, log: path })
    }
}

/// A place for local state: the data folder of at most one process.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// Deletes the state. No process may use it.
    pub fn wipe(&self) -> Result<(), Box<dyn Error>> {
        Ok(fs::remove_dir_all(&self.0)?)
    }
}

/// One process. Dropping it kills it.
pub struct Instance {
    child: Child,
    log: PathBuf,
}

impl Instance {
    /// Fails, with its output, if it has ended.
    pub fn check(&mut self) -> Result<(), Box<dyn Error>> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.said(&format!("headwater run ended by itself with {status}"))),
        }
    }

    /// Kills it (kill -9). Fails if it had already ended.
    pub fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it with SIGTERM and waits; fails when it takes too long or does not exit with 0.
    pub fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        self.check()?;
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.wait("headwater run after SIGTERM", END_WAIT_MAX)
    }

    fn wait(&mut self, what: &str, longest: Duration) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        while begun.elapsed() < longest {
            match self.child.try_wait()? {
                Some(status) if ExitStatus::success(&status) => return Ok(()),
                Some(status) => return Err(self.said(&format!("{what} ended with {status}"))),
                None => thread::sleep(LOOK_INTERVAL),
            }
        }
        Err(self.said(&format!("{what} is still running after {longest:?}")))
    }

    /// How many lines of its output so far contain a text.
    pub fn lines_with(&self, text: &str) -> Result<usize, Box<dyn Error>> {
        Ok(lines_with(&self.log, text)?)
    }

    /// An error with the end of the process's output.
    pub fn said(&self, what: &str) -> Box<dyn Error> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(SHOWN_MAX);
        let shown = text.get(from..).unwrap_or(&text);
        format!("{what}; the end of {}:\n{shown}", self.log.display()).into()
    }
}

fn lines_with(log: &Path, text: &str) -> std::io::Result<usize> {
    Ok(fs::read_to_string(log)?.lines().filter(|line| line.contains(text)).count())
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already; it is waited for in either case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
