//! How the process of the broker is: memory, connections, disk, and what it says.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ChildStderr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Number of messages that are kept to be shown.
const KEPT_MAX: usize = 5;

/// What a broker has said on standard error; a thread reads it until the broker ends.
#[derive(Debug, Default)]
pub struct Messages {
    lines: AtomicU64,
    /// The first messages about panics.
    panics: Mutex<Vec<String>>,
}

impl Messages {
    /// Starts reading.
    pub fn read(stderr: ChildStderr) -> Arc<Self> {
        let messages = Arc::<Self>::default();
        let heard = Arc::clone(&messages);
        thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| heard.hear(line)));
        messages
    }

    fn hear(&self, line: String) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        if line.contains("panicked") && panics.len() < KEPT_MAX {
            panics.push(line);
        }
    }

    /// Number of lines.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// The first messages about panics.
    pub fn panics(&self) -> Vec<String> {
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The resident memory of a process, in bytes.
pub fn memory_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other(format!("process {pid} has no memory")))
}

/// Number of open sockets of a process.
pub fn sockets(pid: u32) -> io::Result<usize> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
}

/// The size of all files below a folder, some of which may vanish meanwhile.
pub fn disk_bytes(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
