//! `headwater run` as a child process: started with statements, watched, and stopped as an operator would.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use headwater_tests::binary;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Maximum time for a clean exit after SIGTERM.
const END_WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The process. Dropping it kills it.
pub struct Running {
    child: Child,
    /// Contains the statements and the output of the process.
    folder: TempDir,
}

impl Running {
    /// Starts it on a cluster with a service id; `settings` are properties NAME=VALUE.
    pub fn start(
        bootstrap: &str,
        service_id: &str,
        statements: &str,
        settings: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        Self::start_with(bootstrap, service_id, statements, settings, &[])
    }

    /// The same, with its state in a folder.
    pub fn start_in(
        data: &Path,
        bootstrap: &str,
        service_id: &str,
        statements: &str,
        settings: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let options = ["--data".as_ref(), data.as_os_str()];
        Self::start_with(bootstrap, service_id, statements, settings, &options)
    }

    fn start_with(
        bootstrap: &str,
        service_id: &str,
        statements: &str,
        settings: &[&str],
        options: &[&OsStr],
    ) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("queries.sql");
        fs::write(&file, statements)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(binary::headwater());
        command.arg("run").arg(&file).args(["--bootstrap-server", bootstrap, "--service-id", service_id]);
        command.args(options).env("HEADWATER_LOG", "info");
        for setting in settings {
            command.args(["--set", setting]);
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self { child, folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails, with its output, if it has ended.
    pub fn check(&mut self) -> Result<(), Box<dyn Error>> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("headwater run ended with {status}:\n{}", self.log()).into()),
        }
    }

    /// Waits at most `longest` until a condition holds; fails early when the process ends.
    pub fn until(
        &mut self,
        what: &str,
        longest: Duration,
        mut so: impl FnMut() -> Result<bool, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        while !so()? {
            self.check()?;
            if begun.elapsed() > longest {
                return Err(
                    format!("{what}: not reached after {longest:?}; output of headwater run:\n{}", self.log()).into()
                );
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// Stops it with SIGTERM and waits; fails when it takes too long or does not exit with 0.
    pub fn stop(mut self) -> Result<(), Box<dyn Error>> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGTERM)?;
        let begun = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("after SIGTERM: {status}:\n{}", self.log()).into()),
                None if begun.elapsed() > END_WAIT_MAX => {
                    return Err(format!("still running {END_WAIT_MAX:?} after SIGTERM:\n{}", self.log()).into());
                }
                None => thread::sleep(LOOK_INTERVAL),
            }
        }
    }

    /// Waits at most `longest` for a line of its output with these words.
    pub fn await_line(&mut self, words: &str, longest: Duration) -> Result<String, Box<dyn Error>> {
        let log = self.folder.path().join("log");
        let mut found = None;
        self.until(words, longest, || {
            let text = fs::read_to_string(&log)?;
            found = text.lines().find(|line| line.contains(words)).map(str::to_owned);
            Ok(found.is_some())
        })?;
        found.ok_or_else(|| format!("no line with: {words}").into())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; it is waited for in either case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
