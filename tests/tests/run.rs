//! Goal: persistent queries keep their guarantees: applying a file again changes nothing, a process that is asked to
//! end ends cleanly, a killed one loses and duplicates nothing, and two processes share the work. Method: the built
//! binary as child processes on its own broker.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use headwater_tests::binary::headwater;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Maximum time to wait for anything; reached only when a guarantee is broken.
const LIMIT: Duration = Duration::from_secs(60);

const SERVICE: &str = "
CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, VALUE_FORMAT = 'JSON');
CREATE STREAM odd AS SELECT k, n FROM s WHERE n % 2 = 1;
CREATE STREAM by_n AS SELECT n, k FROM odd PARTITION BY n;
";

fn command(place: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(headwater());
    command.args(place).args(args).stdin(Stdio::null()).env_remove("HEADWATER_BOOTSTRAP_SERVER").env("NO_COLOR", "1");
    command
}

fn run(place: &[&str], args: &[&str]) -> Output {
    command(place, args).output().expect("the program starts")
}

fn succeed(place: &[&str], args: &[&str]) -> String {
    let output = run(place, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn insert(numbers: std::ops::Range<u32>) -> String {
    let rows: Vec<String> = numbers.map(|n| format!("('k{}', {n})", n % 7)).collect();
    format!("INSERT INTO s VALUES {};", rows.join(", "))
}

/// A service's file and the folder of its broker.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("service.sql"), service).expect("a writable folder");
        Self { folder }
    }

    fn file(&self) -> String {
        self.folder.path().join("service.sql").display().to_string()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn ask(&self, args: &[&str]) -> String {
        succeed(&["--data", &self.data()], args)
    }

    fn insert(&self, numbers: std::ops::Range<u32>) {
        self.ask(&["-e", &insert(numbers)]);
    }

    /// Starts a process that works until it is ended.
    fn start(&self) -> Working {
        let (data, file) = (self.data(), self.file());
        let mut command = command(&["--data", &data], &["run", &file]);
        Working(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
    }

    /// The error of `headwater run` for a file that it rejects.
    fn refused(&self) -> String {
        let refused = run(&["--data", &self.data()], &["run", &self.file(), "--until-idle"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{text}");
        text
    }

    fn count(&self, what: &str) -> u64 {
        let text = self.ask(&["--output", "json", "-e", &format!("SELECT COUNT(*) AS n FROM {what};")]);
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    }
}

/// A child process, killed when dropped.
struct Working(Child);

impl Working {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"));
        kill(pid, signal).expect("a running child");
    }

    /// Whether one of its threads has this name.
    fn has_thread(&self, name: &str) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("a running child");
        let names = threads.flatten().map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.flatten().any(|comm| comm.trim() == name)
    }

    /// Waits until it reports that its queries run. It must have been started with a pipe.
    fn await_work(&mut self) {
        let mut lines = BufReader::new(self.0.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        while !said
            .last()
            .is_some_and(|line: &String| line.starts_with("Running the persistent queries of this service"))
        {
            said.push(lines.next().unwrap_or_else(|| panic!("it ended: {}", said.join("\n"))).expect("text"));
        }
        std::thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_can_be_applied_repeatedly() {
    let place = Place::new(SERVICE);
    place.ask(&["run", &place.file(), "--until-idle"]);
    place.insert(0..10);
    let again = place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(again.matches("already exists").count(), 3, "{again}");
    let rows = place.ask(&["--output", "csv", "-e", "SELECT n, k FROM by_n ORDER BY n;"]);
    assert_eq!(rows, "N,K\n1,k1\n3,k3\n5,k5\n7,k0\n9,k2\n");
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(place.count("by_n"), 5);
    assert_eq!(place.ask(&["-e", "SHOW QUERIES;"]).matches("CSAS_").count(), 2);
}

#[test]
fn an_unsuitable_file_is_rejected_before_anything_is_applied() {
    let source =
        "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    let place = Place::new(&format!("{source}\nSELECT * FROM s;\nCREATE STREAM t AS SELEKT * FROM s;\n"));
    let text = place.refused();
    assert!(text.contains("K0301: this statement is not for `headwater run`") && text.contains("line 2"), "{text}");
    assert!(text.contains("K0201") && text.contains("line 3"), "{text}");
    assert!(!place.ask(&["-e", "SHOW STREAMS;"]).contains("| S "));
}

#[test]
fn a_pipe_is_a_file_that_can_be_read_once() {
    let place = Place::new("");
    let pipe = format!("{}.pipe", place.file());
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::write(pipe, SERVICE))
    };
    let printed = place.ask(&["run", &pipe, "--until-idle"]);
    writer.join().expect("no panic").expect("a pipe that is read");
    assert!(printed.contains("created by query"), "{printed}");
}

#[test]
fn scripts_of_a_file_are_checked_up_to_exit() {
    let place = Place::new("");
    let script = format!("{}.inner", place.file());
    std::fs::write(&script, "SELECT 1;\n").expect("a writable file");
    let file = format!("CREATE TYPE a AS INT;\nrun script '{script}'\nexit\nSELECT 2;\n");
    std::fs::write(Path::new(&place.file()), file).expect("a writable file");
    let text = place.refused();
    assert_eq!(text.matches("K0301").count(), 1, "{text}");
    assert!(!place.ask(&["-e", "SHOW TYPES;"]).contains("| A "));
}

/// Goal: records that are read ahead are written once, in order, even across a restart. Method: enough records at once
/// for a thread to read ahead.
#[test]
fn records_in_bulk_are_written_once() {
    let place = Place::new(SERVICE);
    place.ask(&["run", &place.file(), "--until-idle"]);
    for bulk in 0..2 {
        for part in 0..6 {
            let first = bulk * 6_000 + part * 1_000;
            place.insert(first..first + 1_000);
        }
        place.ask(&["run", &place.file(), "--until-idle"]);
        assert_eq!(place.count("by_n"), u64::from(bulk + 1) * 3_000);
    }
    let steps = "SELECT n - LAG(n) OVER (PARTITION BY ROWPARTITION ORDER BY ROWOFFSET) AS step FROM odd";
    assert_eq!(place.count(&format!("({steps}) AS u WHERE step <= 0")), 0);
    assert_eq!(place.count(&format!("({steps}) AS u WHERE step > 0")), 6_000 - 2);
}

/// Goal: queries that closed their input while idle receive new records, even in a chain. Method: wait for the thread
/// that listens for them.
#[test]
fn idle_queries_continue() {
    let place = Place::new(SERVICE);
    let working = place.start();
    await_that("its broker runs", || place.folder.path().join("data").exists());
    for (round, rows) in [(0..10), (10..20)].into_iter().enumerate() {
        if round > 0 {
            await_that("both are idle", || working.has_thread("doorbells"));
        }
        await_that("the records are accepted", || {
            run(&["--data", &place.data()], &["-e", &insert(rows.clone())]).status.success()
        });
        await_that("the records are in the output", || place.count("by_n") == 5 * (round as u64 + 1));
    }
}

/// Waits until a condition holds.
fn await_that(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LIMIT, "{what}: not reached after {LIMIT:?}");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_changed_statement_is_rejected() {
    let source =
        "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    let place = Place::new(source);
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert!(place.ask(&["-e", "SHOW STREAMS;"]).contains("| S "));
    std::fs::write(Path::new(&place.file()), source.replace("INT", "BIGINT")).expect("a writable file");
    let text = place.refused();
    assert!(text.contains("K0105"), "{text}");
}

#[test]
fn asked_to_end_it_ends_cleanly() {
    let place = Place::new(SERVICE);
    place.ask(&["run", &place.file(), "--until-idle"]);
    place.insert(0..100);
    let mut working = place.start();
    // It is asked at some moment during its work.
    sleep(Duration::from_millis(800));
    working.signal(Signal::SIGTERM);
    let ended = working.0.wait().expect("an end");
    assert_eq!(ended.code(), Some(0));
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(place.count("by_n"), 50);
}

/// The broker and the engine are killed together, at moments that vary between runs.
#[test]
fn killed_it_loses_and_duplicates_nothing() {
    let place = Place::new(SERVICE);
    place.ask(&["run", &place.file(), "--until-idle"]);
    for round in 0..4 {
        place.insert(round * 500..(round + 1) * 500);
        let working = place.start();
        sleep(Duration::from_millis(u64::from(400 + 300 * round)));
        working.signal(Signal::SIGKILL);
    }
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(place.count("by_n"), 1000);
    assert_eq!(place.count("(SELECT DISTINCT n FROM by_n) AS d"), 1000);
    let late = "SELECT COUNT(*) AS n FROM (SELECT n, LAG(n) OVER (PARTITION BY k ORDER BY ROWOFFSET) AS before FROM odd) AS x WHERE before > n;";
    assert!(place.ask(&["--output", "json", "-e", late]).contains(":0}"), "the order of a key is kept");
}

/// A record that the broker would reject together with its whole batch is left out and reported.
#[test]
fn a_record_that_the_topic_rejects_does_not_stop_the_query() {
    let place = Place::new(
        "CREATE STREAM s (k STRING KEY, v STRING) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, VALUE_FORMAT = 'JSON');
CREATE STREAM twice WITH (DLQ_TOPIC = 'dead') AS SELECT k, v, v AS w FROM s;",
    );
    place.ask(&["run", &place.file(), "--until-idle"]);
    let large = "x".repeat(600_000);
    let script = place.folder.path().join("insert.sql");
    let row = format!("INSERT INTO s VALUES ('a', 'small'), ('b', '{large}'), ('c', 'small');");
    std::fs::write(&script, row).expect("a writable folder");
    place.ask(&["-f", &script.display().to_string()]);
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(place.count("twice"), 2);
    let printed = place.ask(&["--output", "csv", "-e", "SELECT KIND, REASON FROM PROCESSING_LOG;"]);
    assert!(printed.contains("SERIALIZATION") && printed.contains("max.message.bytes"), "{printed}");
    place.ask(&["-e", "CREATE STREAM dead (v STRING) WITH (KAFKA_TOPIC = 'dead', VALUE_FORMAT = 'JSON');"]);
    assert_eq!(place.count("dead"), 1);
}

/// Two processes on one broker apply the same file at the same moment; one is killed, and the other does the rest.
#[test]
fn two_share_the_work_and_one_takes_over() {
    let place = Place::new(SERVICE);
    let broker = Broker::start(&place.data());
    let at = ["--bootstrap-server", broker.address.as_str()];
    let file = place.file();
    let start = || {
        let mut command = command(&at, &["run", &file]);
        Working(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts"))
    };
    let (mut first, mut second) = (start(), start());
    first.await_work();
    second.await_work();
    let rows: Vec<String> = (0..1000).map(|n| format!("('k{}', {n})", n % 7)).collect();
    let insert = format!("INSERT INTO s VALUES {};", rows.join(", "));
    succeed(&at, &["-e", &insert]);
    let begun = Instant::now();
    sleep(Duration::from_secs(2));
    first.signal(Signal::SIGKILL);
    succeed(&at, &["-e", &insert.replace("('k", "('l")]);
    let count = || {
        let text = succeed(&at, &["--output", "json", "-e", "SELECT COUNT(*) AS n FROM by_n;"]);
        text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().expect("a number")
    };
    while count() < 1000 {
        assert!(begun.elapsed() < LIMIT, "only {} rows", count());
        sleep(Duration::from_millis(200));
    }
    // No more input arrives: each row is in the output once.
    sleep(Duration::from_secs(2));
    assert_eq!(count(), 1000);
    second.signal(Signal::SIGTERM);
}

/// `headwater broker`, killed when dropped.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(data: &str) -> Self {
        let mut command = command(&[], &["broker", "--listen", "127.0.0.1:0", "--data", data]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let notice = lines.next().expect("the broker prints its address").expect("text");
        let word = notice.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).expect("an address");
        let address = word.trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const COUNTS: &str = "
CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, VALUE_FORMAT = 'JSON');
SET 'auto.offset.reset' = 'earliest';
CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
";

/// The files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: std::path::PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path.display().to_string()],
    };
    entries.flat_map(|entry| below(entry.path())).collect()
}

/// Goal: a process with a folder of its own beside a cluster keeps its state there, and uses it after a restart; one folder belongs
/// to one process; DROP deletes what is in it.
#[test]
fn state_is_kept_in_a_folder_beside_a_cluster() {
    let place = Place::new(COUNTS);
    let broker = Broker::start(&place.data());
    let address = broker.address.as_str();
    let own = place.folder.path().join("own");
    let (state, own) = (own.join("state"), own.display().to_string());
    let cluster = ["--bootstrap-server", address];
    let kept = ["--bootstrap-server", address, "--data", &own];
    let snapshots = || files(&state).into_iter().filter(|file| file.contains("changelog")).count();
    succeed(&kept, &["run", &place.file(), "--until-idle"]);
    for round in 1..=2 {
        succeed(&cluster, &["-e", &insert(0..20)]);
        succeed(&kept, &["run", &place.file(), "--until-idle"]);
        assert_eq!(snapshots(), 2, "one for each partition: {:?}", files(&state));
        let query = "SELECT COUNT(*) AS k, SUM(n) AS n FROM counts;";
        let counted = succeed(&cluster, &["--output", "csv", "-e", query]);
        assert_eq!(counted, format!("K,N\n7,{}\n", round * 20));
    }
    let mut first = command(&kept, &["run", &place.file()]);
    let mut first = Working(first.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts"));
    first.await_work();
    let second = run(&kept, &["-e", "SHOW TOPICS;"]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("is in use by process") && said.contains(&first.0.id().to_string()), "{said}");
    succeed(&cluster, &["-e", "DROP TABLE counts;"]);
    let begun = Instant::now();
    while snapshots() > 0 {
        assert!(begun.elapsed() < LIMIT, "{:?}", files(&state));
        sleep(Duration::from_millis(50));
    }
}

/// Goal: the embedded broker loses and doubles nothing when its process is killed under load, started again or taken over by another
/// shell. Method: a short run of `kills embedded`, each way.
#[test]
fn a_killed_broker_goes_on_with_its_clients() {
    for way in [&[][..], &["--hand-over"]] {
        let trial = Command::new(env!("CARGO_BIN_EXE_kills"))
            .args(["embedded", "--runs", "2", "--records", "50000"])
            .args(way)
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&trial.stdout) + String::from_utf8_lossy(&trial.stderr);
        assert!(trial.status.success(), "{said}");
        assert!(said.contains("2 runs: 200000 records"), "{said}");
    }
}
