//! A registry that is away: under a continuous query, and under statements.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater_tests::binary::headwater;

use super::Setup;
use super::gate::Gate;

/// How long anything may take that must happen.
const WAIT_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const ORDERS: &str = "WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'AVRO', PARTITIONS = 4)";
const COPIED: &str = "CREATE STREAM copied (id INT KEY, item STRING) \
    WITH (KAFKA_TOPIC = 'copied', VALUE_FORMAT = 'JSON', PARTITIONS = 1);";
const QUERY: &str = "CREATE STREAM orders (id INT KEY, item STRING) \
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'AVRO'); \
    CREATE STREAM copies WITH (KAFKA_TOPIC = 'copied', VALUE_FORMAT = 'JSON', PARTITIONS = 1) AS \
    SELECT * FROM orders;";

/// Goal: records whose schema cannot be asked for now are neither rejected nor lost, and the query says what it waits
/// for; and a schema is asked for once. Method: the registry is away when records of a new schema come, in every
/// partition.
#[test]
fn a_query_waits_for_its_registry() {
    let setup = Setup::new();
    let _broker = setup.start();
    let gate = Gate::to(setup.registry);
    let look = |sql: &str| shell(&setup, setup.registry, sql);
    look(&format!("CREATE STREAM orders (id INT KEY, item STRING) {ORDERS}; INSERT INTO orders VALUES (1, 'apple');"));
    look(COPIED);
    let mut query = Running::start(&setup, gate.address);
    query.await_count(&look, 1);

    gate.close();
    let rows: Vec<_> = (2..=40).map(|id| format!("({id}, 'pear', 'ripe')")).collect();
    let wider = format!("CREATE STREAM wider (id INT KEY, item STRING, note STRING) {ORDERS};");
    look(&format!("{wider} INSERT INTO wider VALUES {};", rows.join(", ")));
    await_refusal(&gate, 0, "the query asks for the schema");
    assert_eq!(counted(&look), 1, "no record is written before its schema is known");

    gate.open();
    query.await_count(&look, 40);
    // That of the first record is known from the declaration.
    assert_eq!(gate.asked("/schemas/ids/"), [1], "the schema is asked for once, whatever the number of partitions");
    assert!(!query.end().contains("rejected"), "no record was rejected");
}

/// Goal: a script may be started before its registry: ASSERT SCHEMA waits for it.
#[test]
fn an_assertion_waits_for_the_registry() {
    let setup = Setup::new();
    let _broker = setup.start();
    let gate = Gate::to(setup.registry);
    setup.register("orders-value", super::avro(super::ID));
    gate.close();
    let assert = |timeout: &str| {
        let sql = format!("ASSERT SCHEMA SUBJECT 'orders-value' TIMEOUT {timeout};");
        let mut shell = command(&setup, gate.address, "look");
        shell.args(["-e", &sql]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ended = assert("1 MILLISECOND").wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && errors.contains("\"schema.registry.url\""), "{errors}");

    let before = gate.refused();
    let waiting = assert("60 SECONDS");
    await_refusal(&gate, before, "the statement asks the registry");
    gate.open();
    let ended = waiting.wait_with_output().unwrap();
    let [answer, errors] = [&ended.stdout, &ended.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(ended.status.success() && answer.contains("as asserted"), "{answer}{errors}");
}

/// Goal: a push query waits for the registry, too, and says so. Method: the registry is away when it begins.
#[test]
fn a_push_query_waits_for_the_registry() {
    let setup = Setup::new();
    let _broker = setup.start();
    let gate = Gate::to(setup.registry);
    let create = "CREATE STREAM orders (id INT KEY, item STRING)";
    shell(&setup, setup.registry, &format!("{create} {ORDERS}; INSERT INTO orders VALUES (1, 'apple');"));
    gate.close();
    let source =
        "CREATE SOURCE STREAM theirs (id INT KEY, item STRING) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'AVRO');";
    let push = "SET 'auto.offset.reset' = 'earliest'; SELECT id, item FROM theirs EMIT CHANGES LIMIT 1;";
    let mut query = command(&setup, gate.address, "push");
    query.args(["--output", "csv", "-e", &format!("{source} {push}")]);
    let mut query = query.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let notes = BufReader::new(query.stderr.take().unwrap()).lines();
    let said = notes.map(Result::unwrap).find(|line| line.starts_with("waiting: "));
    assert!(said.is_some_and(|said| said.contains("schema registry")), "it says what it waits for");
    gate.open();
    let ended = query.wait_with_output().unwrap();
    let rows = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && rows.ends_with("1,apple\n"), "{rows}");
}

/// Goal: a list of topics is complete without the registry, and says what it lacks.
#[test]
fn topics_are_listed_without_the_registry() {
    let setup = Setup::new();
    let _broker = setup.start();
    let gate = Gate::to(setup.registry);
    setup.register("orders-value", super::avro(super::ID));
    let create =
        "CREATE STREAM s (id INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 1); DROP STREAM s;";
    shell(&setup, setup.registry, create);
    let list = || shell(&setup, gate.address, "SHOW TOPICS EXTENDED;");
    let listed = list();
    assert!(listed.contains("orders,1,1,0,\"\",AVRO") && !listed.contains("not shown"), "{listed}");
    gate.close();
    let listed = list();
    assert!(listed.contains("orders,1,1,0,\"\",\"\"\n") && listed.contains("\"schema.registry.url\""), "{listed}");
}

/// Waits until the closed gate has refused more connections than before.
fn await_refusal(gate: &Gate, before: usize, expected: &str) {
    let started = Instant::now();
    while gate.refused() == before {
        assert!(started.elapsed() < WAIT_MAX, "{expected}");
        std::thread::sleep(PAUSE);
    }
}

fn counted(look: &impl Fn(&str) -> String) -> usize {
    let answer = look("SELECT COUNT(*) FROM copied;");
    answer.lines().last().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no count in {answer}"))
}

/// What a shell of its own prints.
pub fn shell(setup: &Setup, registry: SocketAddr, sql: &str) -> String {
    let output = command(setup, registry, "look").args(["--output", "csv", "-e", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn command(setup: &Setup, registry: SocketAddr, service: &str) -> Command {
    let mut command = Command::new(headwater());
    let registry = format!("http://{registry}");
    command.args(["--bootstrap-server", &setup.site.listen.to_string(), "--schema-registry", &registry]);
    command.args(["--service-id", service, "--data"]).arg(setup.folder.path().join(service));
    command
}

/// `headwater run`; killed when dropped.
struct Running(Child);

impl Running {
    fn start(setup: &Setup, registry: SocketAddr) -> Self {
        let file = setup.folder.path().join("query.sql");
        std::fs::write(&file, QUERY).unwrap();
        let mut command = command(setup, registry, "copy");
        command.arg("run").arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.args(["--set", "auto.offset.reset=earliest"]).spawn().unwrap())
    }

    /// Waits until this many records are written, and checks that the query has not ended.
    fn await_count(&mut self, look: &impl Fn(&str) -> String, count: usize) {
        let begun = Instant::now();
        while counted(look) != count {
            if let Some(status) = self.0.try_wait().unwrap() {
                panic!("the query ended with {status}: {}", self.stderr());
            }
            assert!(begun.elapsed() < WAIT_MAX, "{count} records are not written: {} are", counted(look));
            std::thread::sleep(PAUSE);
        }
    }

    /// What it printed to standard error until it was stopped.
    fn end(mut self) -> String {
        self.0.kill().unwrap();
        self.stderr()
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
