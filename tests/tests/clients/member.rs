//! A running client that is a member of a group.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// The process, and the lines that it has printed. Killed when dropped.
pub struct Member {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Member {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers =
            vec![collect(child.stdout.take().unwrap(), &lines), collect(child.stderr.take().unwrap(), &lines)];
        Self { child, lines, readers }
    }

    /// Its partitions, from the last line about them: a program prints `{"owned":[0,1]}`, and kcat
    /// `… rebalanced (memberid …): assigned: topic [0], topic [1]`, or `revoked: …` when it has none.
    pub fn assigned(&self) -> BTreeSet<i32> {
        let lines = self.lines.lock().unwrap();
        let last = lines.iter().rfind(|line| line.contains("\"owned\":") || line.contains(" rebalanced "));
        last.filter(|line| !line.contains("): revoked: ")).map(|line| numbers(line)).unwrap_or_default()
    }

    /// Partition and offset of each record that kcat has read, in this order.
    pub fn read(&self) -> Vec<(i32, i64)> {
        let lines = self.lines.lock().unwrap();
        let records = lines.iter().filter_map(|line| line.strip_prefix("record ")?.split_once(' '));
        records.map(|(partition, offset)| (partition.parse().unwrap(), offset.parse().unwrap())).collect()
    }

    /// Leaves the group. A program does so at the end of its input, and kcat, which commits first, at a signal. Returns
    /// all that it has read.
    pub fn leave(mut self, signal: Option<Signal>) -> Vec<(i32, i64)> {
        drop(self.child.stdin.take());
        if let Some(signal) = signal {
            let id = i32::try_from(self.child.id()).expect("a process id");
            kill(Pid::from_raw(id), signal).unwrap();
        }
        let ended = self.child.wait().unwrap();
        // Its last lines may still be in the pipes.
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        assert!(ended.success(), "{ended}: {:?}", self.lines.lock().unwrap());
        self.read()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits, at most for a minute, until something is so.
pub fn wait(what: &str, done: impl Fn() -> bool) {
    let limit = Instant::now() + WAIT_MAX;
    while !done() {
        assert!(Instant::now() < limit, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The numbers in brackets.
fn numbers(line: &str) -> BTreeSet<i32> {
    let inside = line.split('[').skip(1).filter_map(|place| place.split(']').next());
    inside.flat_map(|list| list.split(',')).filter_map(|number| number.parse().ok()).collect()
}

fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
    })
}
