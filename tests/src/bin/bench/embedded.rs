//! `headwater broker` as a child process.

use std::error::Error;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::binary;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// An embedded broker; dropping it stops it and waits for it.
pub struct Embedded(Child);

impl Embedded {
    /// Starts it with properties NAME=VALUE, and waits until it answers.
    pub fn start(listen: &str, folder: &Path, properties: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(binary::headwater());
        command.args(["broker", "--listen", listen, "--data"]).arg(folder);
        command.args(properties.iter().flat_map(|property| ["--set", property]));
        let started = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let begun = Instant::now();
        while TcpStream::connect(listen).is_err() {
            if begun.elapsed() > START_WAIT_MAX {
                return Err(format!("the broker on {listen} did not start").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let asked = i32::try_from(self.0.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        if !matches!(asked, Ok(Ok(()))) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
