//! The binary as its users run it: a child process with arguments and pipes, on its own broker. Every child ends with
//! its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const ORDERS: &str = "CREATE STREAM o (id INT, note STRING, amount DECIMAL(20, 2)) \
    WITH (KAFKA_TOPIC='o', PARTITIONS=1, VALUE_FORMAT='JSON'); \
    INSERT INTO o VALUES (1, 'a, \"b\"', 12345678901234567.80); INSERT INTO o VALUES (2, NULL, 2.50);";

fn headwater(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command
        .arg("--data")
        .arg(data)
        .args(arguments)
        .env_remove("HEADWATER_BOOTSTRAP_SERVER")
        .env_remove("HEADWATER_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    headwater(data, arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A child that is killed if its test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn programs_get_rows_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let done =
        run(data.path(), &["--output", "json", "-e", ORDERS, "-e", "SELECT id, note, amount FROM o ORDER BY id;"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let rows = "{\"ID\":1,\"NOTE\":\"a, \\\"b\\\"\",\"AMOUNT\":12345678901234567.80}\n{\"ID\":2,\"NOTE\":null,\"AMOUNT\":2.50}\n";
    assert_eq!(text(&done.stdout), rows);
    assert!(text(&done.stderr).contains("2 rows in "), "{}", text(&done.stderr));
    // The next run sees what was written and declared.
    let again = run(data.path(), &["--output", "csv", "-e", "SELECT id, note, amount FROM o ORDER BY id;"]);
    assert_eq!(text(&again.stdout), "ID,NOTE,AMOUNT\n1,\"a, \"\"b\"\"\",12345678901234567.80\n2,,2.50\n");
}

/// A program started without output often gets `/dev/null` opened for reading, too, as Rust does when it finds it
/// closed.
#[test]
fn no_output_is_fine_and_a_closed_one_is_not() {
    let data = tempfile::tempdir().unwrap();
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let nowhere = headwater(data.path(), &["-e", "SELECT 1;"]).stdout(null).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(0), "{}", text(&nowhere.stderr));
    let shell = "exec \"$0\" --data \"$1\" -e 'SELECT 1;' >&-";
    let closed = Command::new("sh").args(["-c", shell, env!("CARGO_BIN_EXE_headwater")]).arg(data.path()).output();
    let closed = closed.unwrap();
    assert_eq!(closed.status.code(), Some(1), "{}", text(&closed.stderr));
    assert_eq!(text(&closed.stderr), "headwater: standard output is closed\n");
}

#[test]
fn a_failure_stops_and_sets_the_exit_code() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("script.sql");
    std::fs::write(&file, "SHOW TYPES;\n\nSELECT nothing\nFROM nowhere;\nSHOW VARIABLES;\n").unwrap();
    let failed = run(data.path(), &["-f", file.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    let errors = text(&failed.stderr);
    assert!(errors.contains("does not exist") && errors.contains("line 4"), "{errors}");
    assert_eq!(run(data.path(), &["--no-such-thing"]).status.code(), Some(2));
    // A data folder beside a cluster is no mistake; that nobody answers there is another kind of failure.
    assert_eq!(run(data.path(), &["--bootstrap-server", "127.0.0.1:1", "-e", "SHOW TOPICS;"]).status.code(), Some(3));
    assert_eq!(run(data.path(), &["--set", "no.such.property=1", "-e", "SHOW TYPES;"]).status.code(), Some(1));
}

#[test]
fn a_dead_cluster_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(["--bootstrap-server", "127.0.0.1:1", "-e", "SHOW TOPICS;"]).stdin(Stdio::null());
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(3));
    let errors = text(&done.stderr);
    assert!(errors.contains("127.0.0.1:1") && errors.contains("bootstrap"), "{errors}");
}

#[test]
fn standard_input_is_run_as_it_comes() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Running(
        headwater(data.path(), &["--output", "json", "--define", "topic=o"]).stdin(Stdio::piped()).spawn().unwrap(),
    );
    let mut input = child.0.stdin.take().unwrap();
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    writeln!(input, "{ORDERS}\nSELECT id FROM ${{topic}}\n  WHERE id = 2; -- the end").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"ID\":2}\n");
    // The last statement needs no semicolon.
    write!(input, "SELECT COUNT(*) AS n FROM o").unwrap();
    drop(input);
    line.clear();
    output.read_to_string(&mut line).unwrap();
    assert_eq!(line, "{\"N\":2}\n");
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

/// Goal: a second process on the folder of a first one uses its broker, and Ctrl-C ends a process that is not a shell
/// with 130. Method: the first waits for input while the second writes.
#[test]
fn a_second_process_joins_and_ctrl_c_ends_the_first() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Running(headwater(data.path(), &["--output", "json"]).stdin(Stdio::piped()).spawn().unwrap());
    let mut input = first.0.stdin.take().unwrap();
    let mut output = BufReader::new(first.0.stdout.take().unwrap());
    writeln!(input, "SELECT 1 AS ready;").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"READY\":1}\n");
    let second = run(data.path(), &["-e", ORDERS]);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    writeln!(input, "SELECT COUNT(*) AS n FROM o;").unwrap();
    line.clear();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"N\":2}\n");
    let pressed = Command::new("kill").args(["-INT", &first.0.id().to_string()]).status().unwrap();
    assert!(pressed.success());
    assert_eq!(first.0.wait().unwrap().code(), Some(130));
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let data = tempfile::tempdir().unwrap();
    let mut child =
        Running(headwater(data.path(), &["--output", "csv", "-e", ORDERS, "-e", "SELECT * FROM o;"]).spawn().unwrap());
    drop(child.0.stdout.take());
    let mut errors = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn the_demo_shows_its_tour_and_ends() {
    let data = tempfile::tempdir().unwrap();
    let done = run(data.path(), &["demo"]);
    let (out, errors) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{out}\n{errors}");
    let pages = headwater_repl::demo::tour::PAGES.len();
    assert!((1..=pages).all(|page| out.contains(&format!("\n{page}/{pages}  "))), "{out}");
    assert!(out.contains("records were rejected"), "{out}");
    // A second demo continues with the topics of the first.
    assert_eq!(run(data.path(), &["demo"]).status.code(), Some(0));
}

#[test]
fn the_broker_alone_ends_in_order() {
    let data = tempfile::tempdir().unwrap();
    let mut broker = Running(headwater(data.path(), &["broker", "--listen", "127.0.0.1:0"]).spawn().unwrap());
    let mut notice = String::new();
    BufReader::new(broker.0.stderr.take().unwrap()).read_line(&mut notice).unwrap();
    assert!(notice.contains("production data belongs in a real Kafka cluster"), "{notice}");
    let joined = run(data.path(), &["-e", ORDERS, "-e", "SHOW TOPICS;"]);
    assert_eq!(joined.status.code(), Some(0), "{}", text(&joined.stderr));
    let asked = Command::new("kill").args(["-TERM", &broker.0.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(broker.0.wait().unwrap().code(), Some(0));
}
