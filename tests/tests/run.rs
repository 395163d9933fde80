//! Goal: persistent queries keep their promise from outside: files applied again change nothing, a process that is asked
//! to end ends cleanly, one that is killed loses and doubles nothing, two share the work. Method: the built binary as
//! child processes on the broker it carries.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use headwater_tests::binary::headwater;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Longest wait for anything: it is reached only when a promise is broken.
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

    /// A process that works until it is ended.
    fn start(&self) -> Working {
        let (data, file) = (self.data(), self.file());
        let mut command = command(&["--data", &data], &["run", &file]);
        Working(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
    }

    /// What `headwater run` says of a file that it refuses.
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

/// A child, killed when dropped.
struct Working(Child);

impl Working {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"));
        kill(pid, signal).expect("a running child");
    }

    /// True when one of its threads has this name.
    fn has_thread(&self, name: &str) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("a running child");
        let names = threads.flatten().map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.flatten().any(|comm| comm.trim() == name)
    }

    /// Waits until it says that its queries run. It must have been started with a pipe.
    fn await_work(&mut self) {
        let mut lines = BufReader::new(self.0.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.starts_with("Persistent queries of this service run here"))
        {
            said.push(lines.next().unwrap_or_else(|| panic!("it ended: {}", said.join("\n"))).expect("text"));
        }
        std::thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_is_applied_as_often_as_one_likes() {
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
fn what_is_not_for_it_is_refused_before_anything_is_applied() {
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
    let told = place.ask(&["run", &pipe, "--until-idle"]);
    writer.join().expect("no panic").expect("a pipe that is read");
    assert!(told.contains("created by query"), "{told}");
}

#[test]
fn scripts_that_a_file_runs_are_looked_into_and_what_is_behind_exit_is_not() {
    let place = Place::new("");
    let script = format!("{}.inner", place.file());
    std::fs::write(&script, "SELECT 1;\n").expect("a writable file");
    let file = format!("CREATE TYPE a AS INT;\nrun script '{script}'\nexit\nSELECT 2;\n");
    std::fs::write(Path::new(&place.file()), file).expect("a writable file");
    let text = place.refused();
    assert_eq!(text.matches("K0301").count(), 1, "{text}");
    assert!(!place.ask(&["-e", "SHOW TYPES;"]).contains("| A "));
}

/// Goal: what is read ahead is written once, in order, also over a restart. Method: enough records at once that a
/// thread reads ahead.
#[test]
fn what_comes_in_bulk_is_written_once() {
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

/// Goal: queries that let go of their input while nothing comes hear what comes then, also one behind the other.
/// Method: the thread is waited for that listens for them.
#[test]
fn queries_that_rest_go_on() {
    let place = Place::new(SERVICE);
    let working = place.start();
    await_so("its broker is there", || place.folder.path().join("data").exists());
    for (round, rows) in [(0..10), (10..20)].into_iter().enumerate() {
        if round > 0 {
            await_so("both rest", || working.has_thread("doorbells"));
        }
        await_so("the records are taken", || {
            run(&["--data", &place.data()], &["-e", &insert(rows.clone())]).status.success()
        });
        await_so("the records have come out", || place.count("by_n") == 5 * (round as u64 + 1));
    }
}

/// Waits until something is so.
fn await_so(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LIMIT, "{what}: not so after {LIMIT:?}");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_statement_that_changed_is_refused() {
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
    // It is asked at some moment of its work, whichever.
    sleep(Duration::from_millis(800));
    working.signal(Signal::SIGTERM);
    let ended = working.0.wait().expect("an end");
    assert_eq!(ended.code(), Some(0));
    place.ask(&["run", &place.file(), "--until-idle"]);
    assert_eq!(place.count("by_n"), 50);
}

/// The broker and the engine die together, at moments that differ from run to run.
#[test]
fn killed_it_loses_and_doubles_nothing() {
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

/// What the broker would refuse, and with it all that was written beside it, is left out and told.
#[test]
fn a_record_that_the_topic_does_not_take_stops_nothing() {
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
    let told = place.ask(&["--output", "csv", "-e", "SELECT KIND, REASON FROM PROCESSING_LOG;"]);
    assert!(told.contains("SERIALIZATION") && told.contains("max.message.bytes"), "{told}");
    place.ask(&["-e", "CREATE STREAM dead (v STRING) WITH (KAFKA_TOPIC = 'dead', VALUE_FORMAT = 'JSON');"]);
    assert_eq!(place.count("dead"), 1);
}

/// Two processes on one broker apply the same file at the same moment; one of them dies, and the other does the rest.
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
    // Nothing more comes: what is there is there once.
    sleep(Duration::from_secs(2));
    assert_eq!(count(), 1000);
    second.signal(Signal::SIGTERM);
}

/// A broker alone, killed when dropped.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(data: &str) -> Self {
        let mut command = command(&[], &["broker", "--listen", "127.0.0.1:0", "--data", data]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let notice = lines.next().expect("the broker says where it listens").expect("text");
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
