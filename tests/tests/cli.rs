//! Goal: the program behaves as documented: exit codes, what goes to which stream, definitions that survive a restart,
//! one broker per folder, records of other clients. Method: the built binary as a child process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use headwater_tests::binary::headwater;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tempfile::TempDir;

const CREATE: &str = "CREATE STREAM orders (id INT KEY, item STRING, qty INT) \
                      WITH (KAFKA_TOPIC='orders', PARTITIONS=1, VALUE_FORMAT='JSON');";

fn run(data: &Path, args: &[&str]) -> Output {
    command(args).arg("--data").arg(data).output().expect("the program starts")
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(headwater());
    command.args(args).stdin(Stdio::null()).env_remove("HEADWATER_BOOTSTRAP_SERVER").env("NO_COLOR", "1");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(data: &Path, args: &[&str]) -> String {
    let output = run(data, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// `headwater broker`, killed when dropped.
struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    fn start(data: &Path) -> Self {
        let mut child = command(&["broker", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let notice = lines.next().expect("the broker prints its address").expect("text");
        let word = notice.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).expect("an address");
        let address = word.trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        // The pipe is read to the end, or the broker would block on it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn ask(&self, args: &[&str]) -> Output {
        command(args).arg("--bootstrap-server").arg(&self.address).output().expect("the program starts")
    }

    fn produce(&self, topic: &str, values: &[&str]) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().expect("a producer");
        for value in values {
            let record = BaseRecord::<[u8], str>::to(topic).payload(value).partition(0);
            producer.send(record).map_err(|(error, _)| error).expect("room in the buffer");
        }
        producer.flush(Duration::from_secs(10)).expect("acknowledged");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().expect("a running broker");
        self.child.wait().expect("an ended broker");
    }
}

#[test]
fn failed_values_are_counted_anywhere_in_an_expression() {
    let data = TempDir::new().expect("a folder");
    for (select, note) in [
        ("CAST('x' AS INT)", "1 value could not be computed and is NULL; the first: \"x\" is not a valid INTEGER"),
        ("ABS(CAST('x' AS INT))", "1 value could not be computed and is NULL; the first: \"x\" is not a valid INTEGER"),
        ("ABS(1 / 0) AS a, 1 / 0 + 1 AS b", "2 values could not be computed and are NULL; the first: division by zero"),
        ("IFNULL(k / 0, 7) FROM (VALUES (1), (2), (3)) AS v(k)", "3 values could not be computed and are NULL"),
        ("LEN(TRIM(CAST(ABS(k / (k - 2)) AS STRING))) FROM (VALUES (1), (2), (3)) AS v(k)", "1 value could not be"),
    ] {
        let printed = run(data.path(), &["-e", &format!("SELECT {select};")]);
        let printed = stdout(&printed) + &stderr(&printed);
        assert!(printed.contains(note), "{select}: {printed}");
    }
}

#[test]
fn definitions_and_records_survive_a_restart() {
    let data = TempDir::new().expect("a folder");
    succeed(data.path(), &["-e", CREATE, "-e", "INSERT INTO orders VALUES (1, 'apple', 3), (2, 'pear', 4);"]);
    let found = succeed(data.path(), &["--output", "json", "-e", "SELECT id, item, qty FROM orders ORDER BY id;"]);
    let rows: Vec<serde_json::Value> =
        found.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let expected = [("apple", 1, 3), ("pear", 2, 4)]
        .map(|(item, id, qty)| serde_json::json!({"ID": id, "ITEM": item, "QTY": qty}));
    assert_eq!(rows, expected);
}

#[test]
fn a_failing_statement_ends_the_script_with_1_and_its_position() {
    let data = TempDir::new().expect("a folder");
    let output = run(data.path(), &["--output", "json", "-e", "SELECT * FROM nowhere;", "-e", "SHOW TOPICS;"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let said = stderr(&output);
    assert!(said.contains("K0101") && said.contains("^^^^^^^"), "{said}");
}

/// Goal: statements may be nested as deeply as allowed without overflowing the stack, and long sums are planned
/// quickly. Method: almost the maximum nesting.
#[test]
fn deep_statements_are_answered() {
    let data = TempDir::new().expect("a folder");
    let nested = format!("SELECT * FROM {}(SELECT 7 AS a){};", "(SELECT * FROM ".repeat(95), ")".repeat(95));
    let chain: String = (1..900).map(|n| format!(", c{n} AS (SELECT a + 1 AS a FROM c{})", n - 1)).collect();
    let chained = format!("WITH c0 AS (SELECT 1 AS a){chain} SELECT * FROM c899;");
    let sum = format!("SELECT {} AS a;", ["1"; 500].join(" + "));
    for (statement, answer) in [(nested, "A\n7\n"), (chained, "A\n900\n"), (sum, "A\n500\n")] {
        assert_eq!(succeed(data.path(), &["--output", "csv", "-e", &statement]), answer);
    }
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_nearest_property() {
    let data = TempDir::new().expect("a folder");
    let output = run(data.path(), &["--output", "html", "-e", "SHOW TOPICS;"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = run(data.path(), &["--set", "kafka.fetch.wait.max.mss=1", "-e", "SHOW TOPICS;"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("fetch.wait.max.ms"), "{}", stderr(&output));
    let output = run(data.path(), &["--set", "query.state.memory.max=1MB", "-e", "SHOW TOPICS;"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("at least 16MB"), "{}", stderr(&output));
}

#[test]
fn broken_records_of_another_client_are_counted_listed_and_not_fatal() {
    let data = TempDir::new().expect("a folder");
    let broker = Broker::start(data.path());
    let made = broker.ask(&["-e", CREATE]);
    assert!(made.status.success(), "{}", stderr(&made));
    let bad = [
        "{\"item\":\"cut",
        "no json",
        "{\"item\":\"x\",\"qty\":\"many\"}",
        "",
        "{\"item\":\"x\",\"qty\":99999999999999999999}",
    ];
    broker
        .produce("orders", &[&["{\"item\":\"fig\",\"qty\":1}"], &bad[..], &["{\"item\":\"kiwi\",\"qty\":2}"]].concat());
    let asked = broker.ask(&["--output", "csv", "-e", "SELECT item, qty FROM orders ORDER BY item; SHOW REJECTS;"]);
    assert!(asked.status.success(), "{}", stderr(&asked));
    let said = stdout(&asked);
    assert!(said.starts_with("ITEM,QTY\nfig,1\nkiwi,2\n"), "{said}");
    assert!(said.contains("orders,0,1,value,"), "{said}");
    assert!(stderr(&asked).contains("rejected"), "{}", stderr(&asked));
}

#[test]
fn a_second_process_on_a_folder_joins_the_broker_of_the_first() {
    let data = TempDir::new().expect("a folder");
    let _broker = Broker::start(data.path());
    succeed(data.path(), &["-e", CREATE, "-e", "INSERT INTO orders VALUES (7, 'plum', 1);"]);
    assert_eq!(succeed(data.path(), &["--output", "csv", "-e", "SELECT id FROM orders;"]), "ID\n7\n");
}

#[test]
fn a_broker_killed_with_9_loses_nothing_acknowledged() {
    let data = TempDir::new().expect("a folder");
    let values: Vec<String> = (0..500).map(|n| format!("{{\"item\":\"i{n}\",\"qty\":{n}}}")).collect();
    let broker = Broker::start(data.path());
    assert!(broker.ask(&["-e", CREATE]).status.success());
    broker.produce("orders", &values.iter().map(String::as_str).collect::<Vec<_>>());
    // Dropping it kills it with SIGKILL.
    drop(broker);
    let counted = succeed(data.path(), &["--output", "csv", "-e", "SELECT COUNT(*) AS n, SUM(qty) AS s FROM orders;"]);
    assert_eq!(counted, "N,S\n500,124750\n");
}

#[cfg(unix)]
#[test]
fn copy_keeps_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let data = TempDir::new().expect("a folder");
    let path = |name: &str| data.path().join(name);
    let copy = |name: &str| {
        let statement = format!("COPY (SELECT 7 AS n) TO '{}';", path(name).display());
        run(&path("broker"), &["-e", &statement])
    };
    std::fs::write(path("secret.csv"), "old").expect("writes");
    std::fs::set_permissions(path("secret.csv"), std::fs::Permissions::from_mode(0o600)).expect("is ours");
    symlink(path("secret.csv"), path("link.csv")).expect("a link");
    assert!(copy("link.csv").status.success());
    assert_eq!(std::fs::read_to_string(path("secret.csv")).expect("text"), "N\n7\n");
    let rights = |name: &str| std::fs::symlink_metadata(path(name)).expect("is there").permissions().mode();
    assert_eq!(rights("secret.csv") & 0o777, 0o600);
    assert!(path("link.csv").is_symlink());
    let made = Command::new("mkfifo").arg(path("pipe.csv")).status().expect("is installed");
    std::fs::create_dir(path("folder.csv")).expect("a folder");
    for (name, why) in [("pipe.csv", "it is a pipe or a device, not a file"), ("folder.csv", "it is a folder")] {
        let refused = copy(name);
        assert!(made.success() && stderr(&refused).contains(why), "{}", stderr(&refused));
    }
}

#[test]
fn copy_writes_whole_files() {
    let data = TempDir::new().expect("a folder");
    let file = data.path().join("out.csv");
    let copy = format!("COPY (SELECT item, qty FROM orders ORDER BY qty) TO '{}';", file.display());
    succeed(data.path(), &["-e", CREATE, "-e", "INSERT INTO orders VALUES (1, 'a', 1), (2, 'b,c', 2);", "-e", &copy]);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "ITEM,QTY\na,1\n\"b,c\",2\n");
}

#[test]
fn a_dead_address_ends_with_the_cause_and_the_setting() {
    let output =
        command(&["--bootstrap-server", "127.0.0.1:1", "-e", "SHOW TOPICS;"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("127.0.0.1:1") && said.contains("bootstrap.servers"), "{said}");
}

#[test]
fn the_demo_shows_its_tour_and_ends() {
    let data = TempDir::new().expect("a folder");
    let said = succeed(data.path(), &["demo"]);
    assert!(said.contains("REVENUE") && said.contains("value"), "{said}");
    // The live pages: a windowed aggregate, a join, and a pull query that is answered from the state.
    for page in ["| SINCE ", "| CITY ", "StateScanExec: state of query CTAS_REVENUE_"] {
        assert!(said.contains(page), "{page}: {said}");
    }
}

/// Goal: scripts can run concurrently on one folder, whichever ends first. Method: both create a stream and read it,
/// one of them with more to do; one file begins with a byte order mark.
#[test]
fn two_scripts_on_one_folder_both_succeed() {
    let data = TempDir::new().expect("a folder");
    let script = data.path().join("script.sql");
    let many = "INSERT INTO many (id) VALUES (1);\nSELECT id FROM many;\n".repeat(20);
    let create = "CREATE STREAM many (id INT) WITH (KAFKA_TOPIC='many', PARTITIONS=1, VALUE_FORMAT='JSON');";
    std::fs::write(&script, format!("\u{feff}{create}\n{many}")).expect("writes");
    let folder = data.path().join("broker");
    std::thread::scope(|scope| {
        let long = scope.spawn(|| run(&folder, &["-f", script.to_str().expect("text")]));
        for round in 0..4 {
            let short = run(&folder, &["-e", "SHOW STREAMS;"]);
            assert!(short.status.success(), "round {round}: {}", stderr(&short));
        }
        let long = long.join().expect("no panic");
        assert!(long.status.success(), "{}", stderr(&long));
    });
}

/// A folder with one test file.
fn with_test(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("orders.test");
    std::fs::write(&file, text).expect("writes");
    (folder, file)
}

/// Runs `headwater test` with an empty home, which must stay empty.
fn test(folder: &Path, args: &[&str]) -> Output {
    let home = TempDir::new().expect("a folder");
    let output = command(&["test"]).args(args).current_dir(folder).env("HOME", home.path()).output();
    assert_eq!(std::fs::read_dir(home.path()).expect("a folder").count(), 0, "a test leaves nothing on disk");
    output.expect("the program starts")
}

/// Goal: the life of a test file: filled in, correct, wrong, accepted. Method: one file with a persistent query, raw
/// records, a script, a plan and an error.
#[test]
fn a_test_is_filled_in_checked_reported_and_accepted() {
    let text = "-- kept\n\\run 'service.sql';\n\\produce orders\n  \
                key x'00000001' value '{\"QTY\": 3}' timestamp 7 headers (a = 'b'),\n  \
                key x'00000002' value null,\n  value 'broken';\n\n\
                SELECT id, qty, ROWTIME AS t FROM many;\n----\n\n\
                SELECT reason FROM processing_log;\n----\n\n\
                EXPLAIN SELECT qty FROM orders;\n----\n\n\
                SELECT pric FROM orders;\n----\n\n\
                -- the end\n";
    let (folder, file) = with_test(text);
    let service = format!("{CREATE}\nCREATE STREAM many AS SELECT id, qty FROM orders WHERE qty > 2;\n");
    std::fs::write(folder.path().join("service.sql"), service).expect("writes");

    let missing = test(folder.path(), &["orders.test"]);
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));
    assert!(stdout(&missing).ends_with("\n1 file, 2 statements passed, 4 failed\n"), "{}", stdout(&missing));

    let accepted = test(folder.path(), &["--accept", "."]);
    assert_eq!(accepted.status.code(), Some(0), "{}", stderr(&accepted));
    assert!(stdout(&accepted).starts_with("new  ./orders.test (6 statements, 4 answers accepted)\n"));
    let filled = std::fs::read_to_string(&file).expect("a file");
    assert!(filled.starts_with("-- kept\n\\run") && filled.ends_with("\n\n-- the end\n"), "{filled}");
    for answer in ["| 1  | 3   | 7 |", "not valid JSON", "TopicScanExec: topic=orders", "K0102: column \"PRIC\""] {
        assert!(filled.contains(answer), "{answer} in {filled}");
    }

    let right = test(folder.path(), &["."]);
    assert_eq!(stdout(&right), "ok   ./orders.test (6 statements)\n1 file, 6 statements passed, 0 failed\n");
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));

    std::fs::write(&file, filled.replace("| 1  | 3   | 7 |", "| 1  | 4   | 7 |")).expect("writes");
    let wrong = test(folder.path(), &["orders.test"]);
    assert_eq!(wrong.status.code(), Some(1));
    let title =
        "FAIL orders.test\n  line 8: SELECT id, qty, ROWTIME AS t FROM many;\n    --- expected\n    +++ found\n";
    assert!(stdout(&wrong).starts_with(title), "{}", stdout(&wrong));
    let diff = "    -| 1  | 4   | 7 |\n    +| 1  | 3   | 7 |\n     +----+-----+---+\n`headwater test --accept PATH`";
    assert!(stdout(&wrong).contains(diff), "{}", stdout(&wrong));

    assert_eq!(test(folder.path(), &["--accept", "orders.test"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), filled);
}

#[test]
fn an_invalid_test_is_reported() {
    let (folder, _) = with_test("SELECT 1;\n");
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    for (args, code, words) in [
        (&["orders.test"][..], 1, "expects no answer"),
        (&["empty"], 2, "no *.test files in \"empty\""),
        (&["orders.test", "nowhere.test"], 2, "could not read \"nowhere.test\""),
        (&["orders.test", "--data", "x"], 2, "runs in memory"),
        (&["orders.test", "--set", "no.such=1"], 2, "no.such"),
        (&[], 2, "<PATH>"),
    ] {
        let output = test(folder.path(), args);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let filled = test(folder.path(), &["--accept", "orders.test"]);
    assert_eq!(filled.status.code(), Some(0), "{}", stderr(&filled));
    let text = std::fs::read_to_string(folder.path().join("orders.test")).expect("a file");
    assert!(text.starts_with("SELECT 1;\n----\n+"), "{text}");
}

/// Goal: an answer that depends on how input is divided is reported, and can be excluded. Method: the offsets of a
/// query's output, which depend on its commits.
#[test]
fn an_answer_that_depends_on_the_mode_is_reported() {
    let insert = "INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 2);";
    let text =
        format!("{CREATE}\nCREATE STREAM c AS SELECT id, qty FROM orders;\n{insert}\nSELECT ROWOFFSET FROM c;\n");
    let (folder, _) = with_test(&format!("{text}----\n"));
    let accepted = test(folder.path(), &["--accept", "orders.test"]);
    assert_eq!(accepted.status.code(), Some(1), "{}", stdout(&accepted));
    assert!(stdout(&accepted).contains("--- one-batch\n    +++ crash-at-every-commit\n"), "{}", stdout(&accepted));
    let one = test(folder.path(), &["--modes", "one-batch", "orders.test"]);
    assert_eq!(one.status.code(), Some(0), "{}", stdout(&one));
}
