//! `headwater broker`, or a shell that takes it over, as a child process: what it is started with, and the process.
//!
//! Apart because several programs start one, some of them again and again in the same place.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::binary;

/// Ports below those that clients are given by chance: the broker comes back to its port after it was killed.
const PORTS: std::ops::Range<u16> = 21_000..32_000;
const START_WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What a broker is started with: where it listens and keeps its data.
#[derive(Clone, Debug)]
pub struct Site {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// The address of the Schema Registry beside it; `None` if nobody needs one.
    pub registry: Option<SocketAddr>,
    /// The folder of its data.
    pub folder: PathBuf,
    /// Further properties, each NAME=VALUE.
    pub properties: Vec<String>,
}

impl Site {
    /// A folder and a free loopback port.
    pub fn in_folder(folder: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self { listen: free_address()?, registry: None, folder: folder.into(), properties: Vec::new() })
    }

    /// The same with a Schema Registry on another free port.
    pub fn with_registry(self) -> io::Result<Self> {
        Ok(Self { registry: Some(free_address()?), ..self })
    }

    /// Starts a broker, whose messages go to `stderr`, and waits until it accepts connections.
    pub fn start(&self, stderr: Stdio) -> io::Result<Embedded> {
        let mut command = Command::new(binary::headwater());
        command.arg("broker").arg("--listen").arg(self.listen.to_string()).arg("--data").arg(&self.folder);
        command.arg("--registry").arg(self.registry.map_or("none".to_owned(), |address| address.to_string()));
        command.args(self.properties.iter().flat_map(|property| ["--set", property]));
        let mut started = Embedded(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn()?);
        self.await_broker(&mut started)?;
        Ok(started)
    }

    /// Starts a shell beside the broker, which takes over when the process of the broker ends. It runs until it is dropped.
    pub fn start_heir(&self, stderr: Stdio) -> io::Result<Embedded> {
        let mut command = Command::new(binary::headwater());
        command.arg("--data").arg(&self.folder).env_remove("HEADWATER_BOOTSTRAP_SERVER");
        let mut heir = Embedded(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn()?);
        // An answer shows that it has found the broker. Its input and output stay open, so that it goes on.
        let (stdin, stdout) = (heir.0.stdin.as_mut(), heir.0.stdout.take());
        stdin.ok_or_else(|| io::Error::other("no input"))?.write_all(b"SHOW TOPICS;\n")?;
        let mut answer = String::new();
        let mut stdout = BufReader::new(stdout.ok_or_else(|| io::Error::other("no output"))?);
        stdout.read_line(&mut answer)?;
        heir.0.stdout = Some(stdout.into_inner());
        if answer.is_empty() {
            return Err(io::Error::other("the second shell does not answer"));
        }
        Ok(heir)
    }

    /// Waits until connections are accepted, as long as `host` runs.
    pub fn await_broker(&self, host: &mut Embedded) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.listen).is_err() {
            host.check()?;
            if begun.elapsed() > START_WAIT_MAX {
                return Err(io::Error::other(format!("the broker on {} did not start", self.listen)));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }
}

/// A free loopback port that this process has not been given before.
fn free_address() -> io::Result<SocketAddr> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    let first = std::process::id() as u16 % count;
    let ports = (0..count).map(|_| PORTS.start + (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % count);
    let free = { ports }.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    Ok(SocketAddr::from(([127, 0, 0, 1], free.ok_or_else(|| io::Error::other("no port is free"))?)))
}

/// A broker; dropping it stops it and waits for it.
#[derive(Debug)]
pub struct Embedded(Child);

impl Embedded {
    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its standard error, if that was piped; once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> io::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the broker ended with {status}"))),
        }
    }

    /// Kills it (kill -9) and waits until its process is gone. Fails if it had ended before.
    pub fn kill(mut self) -> io::Result<()> {
        self.check()?;
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let asked = i32::try_from(self.0.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        if !matches!(asked, Ok(Ok(()))) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
