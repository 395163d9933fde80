//! CPU time, memory and threads of another running process, from the kernel. Linux only, like the benchmarks.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use headwater_tests::binary;

/// Ticks of `/proc/PID/stat` per second: fixed in the interface, whatever the kernel's own clock is.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of all threads of a process since its start.
pub fn cpu_seconds(pid: u32) -> Result<f64, Box<dyn Error>> {
    cpu_seconds_in(&PathBuf::from(format!("/proc/{pid}")))
}

/// The same of a process or thread with this folder below `/proc`.
pub fn cpu_seconds_in(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(folder.join("stat"))?;
    parse_cpu_ticks(&stat)
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .ok_or_else(|| format!("unexpected format: {stat}").into())
}

/// `PID (NAME) S …`: the name may contain anything, so the fields are counted from its end.
fn parse_cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    Some(times.next()?.parse::<f64>().ok()? + times.next()?.parse::<f64>().ok()?)
}

/// The current resident memory, threads and open files of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Resident size.
    pub resident_bytes: f64,
    /// Number of threads.
    pub threads: f64,
    /// Number of file descriptors.
    pub open_files: f64,
}

/// The status of a process. Fails when it has ended.
pub fn status(pid: u32) -> Result<Status, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let number = |name| find_number(&text, name).ok_or_else(|| format!("process {pid} has no {name}"));
    let open_files = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64;
    Ok(Status { resident_bytes: number("VmRSS:")? * 1_024.0, threads: number("Threads:")?, open_files })
}

/// The largest resident size of a process so far. Fails when it has ended.
pub fn peak_bytes(pid: u32) -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    find_number(&text, "VmHWM:").map(|kib| kib * 1_024.0).ok_or_else(|| format!("process {pid} has no peak").into())
}

fn find_number(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The folder of `tests/real/kafka` and of the benchmark's build of Kafka Streams.
pub fn parts() -> PathBuf {
    std::env::var_os("HEADWATER_PARTS").map_or_else(|| binary::workspace().join(".parts"), PathBuf::from)
}

/// The processes of a cluster that `tests/real/kafka` has started.
pub struct Cluster {
    pids: Vec<u32>,
}

impl Cluster {
    /// The cluster with a node at this address; `None` if the script has not started it.
    pub fn find(bootstrap: &str) -> Option<Self> {
        let address = format!("://{},", bootstrap.split(',').next()?);
        let homes = fs::read_dir(parts().join("clusters")).ok()?;
        let home = homes.flatten().map(|home| home.path()).find(|home| {
            let node = |number| fs::read_to_string(home.join(format!("{number}.properties"))).unwrap_or_default();
            (1..=3).any(|number| node(number).contains(&address)) && !pids(home).is_empty()
        })?;
        Some(Self { pids: pids(&home) })
    }

    /// User and system time of all nodes since their start.
    pub fn cpu_seconds(&self) -> Result<f64, Box<dyn Error>> {
        self.pids.iter().map(|pid| cpu_seconds(*pid)).sum()
    }
}

/// The running nodes whose pid files are in a folder.
fn pids(home: &Path) -> Vec<u32> {
    let read = |number| fs::read_to_string(home.join(format!("{number}.pid"))).ok()?.trim().parse().ok();
    (1..=3).filter_map(read).filter(|pid| is_broker(*pid)).collect()
}

fn is_broker(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("kafka.Kafka"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_after_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(parse_cpu_ticks(stat), Some(300.0));
        assert_eq!(parse_cpu_ticks("7"), None);
    }

    #[test]
    fn own_status_is_read() {
        let status = status(std::process::id()).unwrap();
        assert!(status.resident_bytes > 100_000.0 && status.threads >= 1.0);
        assert!(cpu_seconds(std::process::id()).is_ok());
    }
}
