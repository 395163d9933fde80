//! The cost of a command: wall time, time to its first line, CPU seconds and peak memory.
//!
//! The kernel reports to a parent only the sum over all its children, and the largest of their memories. So every
//! measured command runs under its own small process ([`supervise`]), as its only child.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The cost and the output of one run of a command.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the start of the process to its end.
    pub wall: Duration,
    /// From the start of the process to its first line on standard output; `None` if there was none.
    pub first_line: Option<Duration>,
    /// User and system time of all its threads.
    pub cpu_seconds: f64,
    /// Largest resident size in bytes.
    pub peak_bytes: u64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The argument that makes a program call [`supervise`]: `PROGRAM SUPERVISE REPORT COMMAND…`.
pub const SUPERVISE: &str = "supervise";

/// Runs a command to its end and measures it. `supervisor` is a program that passes its arguments to [`supervise`] when
/// the first is [`SUPERVISE`]. Fails when the command cannot be run or does not exit with 0.
pub fn measure(supervisor: &Path, command: &[&str]) -> Result<Run, Box<dyn Error>> {
    let report = tempfile::NamedTempFile::new()?;
    let started = Instant::now();
    let mut child = Command::new(supervisor)
        .arg(SUPERVISE)
        .arg(report.path())
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().ok_or("no standard error")?;
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let (stdout, first_line) = read_lines(child.stdout.take().ok_or("no standard output")?, started)?;
    let status = child.wait()?;
    let wall = started.elapsed();
    let stderr = errors.join().map_err(|_| "reading standard error failed")??;
    if !status.success() {
        return Err(format!("{} ended with {status}:\n{stdout}{stderr}", command.join(" ")).into());
    }
    let (cpu_seconds, peak_bytes) = parse_report(&fs::read_to_string(report.path())?)?;
    Ok(Run { wall, first_line, cpu_seconds, peak_bytes, stdout, stderr })
}

fn read_lines(stdout: impl Read, started: Instant) -> Result<(String, Option<Duration>), Box<dyn Error>> {
    let mut reader = BufReader::new(stdout);
    let mut text = String::new();
    let first = (reader.read_line(&mut text)? > 0).then(|| started.elapsed());
    reader.read_to_string(&mut text)?;
    Ok((text, first))
}

/// Runs `command` with the standard streams of this process and writes its cost to the file `report`; returns its exit
/// code.
pub fn supervise(report: &Path, command: &[String]) -> Result<i32, Box<dyn Error>> {
    let (program, arguments) = command.split_first().ok_or("no command to supervise")?;
    let status = Command::new(program).args(arguments).status().map_err(|e| format!("could not run {program}: {e}"))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu_seconds = seconds(usage.user_time()) + seconds(usage.system_time());
    let peak_bytes = usage.max_rss() * 1_024;
    fs::write(report, format!("{cpu_seconds} {peak_bytes}"))?;
    Ok(status.code().unwrap_or(1))
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn parse_report(report: &str) -> Result<(f64, u64), Box<dyn Error>> {
    let (cpu, peak) = report.split_once(' ').ok_or("the supervisor wrote no report")?;
    Ok((cpu.parse()?, peak.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_separated_from_the_rest() {
        let (text, first) = read_lines("one\ntwo\n".as_bytes(), Instant::now()).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert!(first.is_some());
        assert!(read_lines("".as_bytes(), Instant::now()).unwrap().1.is_none());
    }

    #[test]
    fn supervised_command_reports_its_cost_and_its_code() {
        let report = tempfile::NamedTempFile::new().unwrap();
        let command = ["sh", "-c", "exit 3"].map(str::to_owned);
        assert_eq!(supervise(report.path(), &command).unwrap(), 3);
        let (cpu, peak) = parse_report(&fs::read_to_string(report.path()).unwrap()).unwrap();
        assert!(cpu >= 0.0 && peak > 0);
    }
}
