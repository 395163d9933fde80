//! Goal: Confluent's serializers for Python and Go write and read through the embedded registry as through a real one, and
//! read what the other one and Headwater have written; and Headwater reads what they have written. Method: one program for each language (`tests/clients/registry`), the same roles
//! and values for both, over the embedded broker.
//!
//! `tests/clients/prepare` builds the programs into `$HEADWATER_PARTS/clients`. One that is missing is skipped, unless
//! `HEADWATER_TEST_CLIENTS=all`. The real registry is named by `HEADWATER_TEST_REGISTRY`, its URL.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use headwater_tests::binary::{self, workspace};
use headwater_tests::embedded::Site;
use serde_json::{Value, json};
use tempfile::TempDir;

const KINDS: [&str; 3] = ["avro", "json", "protobuf"];

#[test]
fn embedded_registry() {
    let folder = TempDir::new().unwrap();
    let site = Site::in_folder(folder.path()).unwrap().with_registry().unwrap();
    let _broker = site.start(Stdio::null()).unwrap();
    let url = format!("http://{}", site.registry.unwrap());
    check(&World { bootstrap: site.listen.to_string(), registry: url, takes_descriptors: true });
}

#[test]
fn real_registry() {
    let Ok(registry) = std::env::var("HEADWATER_TEST_REGISTRY") else { return println!("skipped: no registry") };
    let folder = TempDir::new().unwrap();
    let site = Site::in_folder(folder.path()).unwrap();
    let _broker = site.start(Stdio::null()).unwrap();
    // AxonOps' registry takes a Protobuf schema only as text, and Python's serializer sends a file descriptor.
    check(&World { bootstrap: site.listen.to_string(), registry, takes_descriptors: false });
}

struct World {
    bootstrap: String,
    registry: String,
    takes_descriptors: bool,
}

/// A program of `tests/clients/registry`.
struct Client {
    name: &'static str,
    command: Vec<String>,
}

fn check(world: &World) {
    let clients = found();
    // A registry that is used again has other subjects.
    let run = format!("{:08x}", rand::random::<u32>());
    let mut topics: Vec<String> = clients.iter().flat_map(|client| client.write(world, &run)).collect();
    for topic in &topics {
        assert_eq!(headwater_reads(world, topic), orders(topic), "Headwater reads {topic}");
    }
    topics.extend(KINDS.map(|kind| headwater_writes(world, kind, &run)));
    for client in &clients {
        // The structs of the Go program have fields that cannot be null, as all of Headwater's can.
        let is_read =
            |topic: &&String| client.name != "go" || !(topic.starts_with("headwater") && topic.ends_with("avro"));
        let topics: Vec<&str> = topics.iter().filter(is_read).map(String::as_str).collect();
        let expected: Vec<Value> = topics.iter().flat_map(|topic| orders(topic)).collect();
        assert_eq!(client.run(world, "read", &topics), expected, "{} reads by {}", client.name, world.registry);
    }
    for client in &clients {
        let subject = format!("{}-conflict-{run}", client.name);
        let answers = client.run(world, "conflict", &[&subject]);
        assert_eq!(answers, [json!({ "compatible": false, "code": 409 })], "{}", client.name);
    }
}

/// What Headwater finds in a topic, whose columns it takes from the registry.
fn headwater_reads(world: &World, topic: &str) -> Vec<Value> {
    let kind = KINDS.into_iter().find(|kind| topic.ends_with(kind)).expect("a topic is named after what is in it");
    let format = format_of(kind);
    let name = topic.replace('-', "_");
    let declared = format!("CREATE STREAM {name} WITH (KAFKA_TOPIC = '{topic}', VALUE_FORMAT = '{format}');");
    let at = if kind == "json" { "at" } else { "UNIX_TIMESTAMP(at)" };
    let asked = format!(
        "SELECT id AS `id`, STRUCT(`sku` := item->sku, `weight` := item->weight) AS `item`, tags AS `tags`, note AS `note`,
         {at} AS `at` FROM {name} ORDER BY ROWOFFSET;"
    );
    let said = headwater(world, &format!("{declared} {asked}"));
    let rows = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("a row in JSON"));
    rows.map(|value| json!({ "topic": topic, "value": value })).collect()
}

/// Has Headwater write the records of one kind. Returns the topic.
fn headwater_writes(world: &World, kind: &str, run: &str) -> String {
    let (topic, name, format) = (format!("headwater-{run}-{kind}"), format!("headwater_{run}_{kind}"), format_of(kind));
    let (at, second) = match kind {
        "json" => ("BIGINT", "0".to_owned()),
        _ => ("TIMESTAMP", "FROM_UNIXTIME(0)".to_owned()),
    };
    // Confluent's deserializers for Protobuf find a message by its name.
    let named = if kind == "json" { "" } else { ", VALUE_SCHEMA_FULL_NAME = 'shop.Order'" };
    let first = if kind == "json" { "1700000000123" } else { "FROM_UNIXTIME(1700000000123)" };
    headwater(
        world,
        &format!(
            "CREATE STREAM {name} (`id` BIGINT, `item` STRUCT<`sku` STRING, `weight` DOUBLE>, `tags` ARRAY<STRING>, `note` STRING,
             `at` {at}) WITH (KAFKA_TOPIC = '{topic}', PARTITIONS = 1, VALUE_FORMAT = '{format}'{named});
             INSERT INTO {name} VALUES
                (1, STRUCT(`sku` := 'apple', `weight` := 0.25), ARRAY['red', 'ripe'], 'größer', {first}),
                (1099511627776, STRUCT(`sku` := '', `weight` := -0.75), ARRAY_REMOVE(ARRAY['x'], 'x'), NULL, {second});"
        ),
    );
    topic
}

fn format_of(kind: &str) -> &'static str {
    match kind {
        "avro" => "AVRO",
        "json" => "JSON_SR",
        _ => "PROTOBUF",
    }
}

/// What Headwater answers to statements.
fn headwater(world: &World, statements: &str) -> String {
    let mut command = Command::new(binary::headwater());
    command.args(["--bootstrap-server", &world.bootstrap, "--schema-registry", &world.registry]);
    let output = command.args(["--output", "json", "-e", statements]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{statements}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The records of each topic, as `tests/clients/registry` writes them.
fn orders(topic: &str) -> [Value; 2] {
    let full = json!({ "id": 1, "item": { "sku": "apple", "weight": 0.25 }, "tags": ["red", "ripe"], "note": "größer",
        "at": 1_700_000_000_123_i64 });
    let plain = json!({ "id": 1_u64 << 40, "item": { "sku": "", "weight": -0.75 }, "tags": [], "note": null, "at": 0 });
    [full, plain].map(|value| json!({ "topic": topic, "value": value }))
}

/// All clients that are there. Prints which ones are not.
fn found() -> Vec<Client> {
    let parts = std::env::var_os("HEADWATER_PARTS").map_or_else(|| workspace().join(".parts"), PathBuf::from);
    let path = |name: &str| parts.join("clients").join(name).to_str().expect("a path in UTF-8").to_owned();
    let script = workspace().join("tests/clients/registry/registry.py").to_str().unwrap().to_owned();
    // An environment that an earlier version has prepared is without the serializers.
    let environment = std::fs::read_to_string(path("python/complete")).unwrap_or_default();
    let clients = [
        (
            environment.contains("protobuf"),
            "python",
            vec![path("python/bin/python"), "-X".into(), "utf8".into(), script],
        ),
        (PathBuf::from(path("go/registry")).exists(), "go", vec![path("go/registry")]),
    ];
    let all = std::env::var("HEADWATER_TEST_CLIENTS").is_ok_and(|which| which == "all");
    let mut found = Vec::new();
    for (exists, name, command) in clients {
        match exists {
            true => found.push(Client { name, command }),
            false if all => panic!("no serializers for {name}: run tests/clients/prepare"),
            false => println!("skipped: no serializers for {name}"),
        }
    }
    found
}

impl Client {
    /// Writes the records of all kinds. Returns the topics.
    fn write(&self, world: &World, run: &str) -> Vec<String> {
        let is_possible = |kind: &&str| world.takes_descriptors || (self.name, *kind) != ("python", "protobuf");
        let kinds: Vec<&str> = KINDS.into_iter().filter(is_possible).collect();
        let prefix = format!("{}-{run}-", self.name);
        let topics: Vec<String> = kinds.iter().map(|kind| format!("{prefix}{kind}")).collect();
        let answers = self.run(world, "write", &[&[&*prefix], &*kinds].concat());
        let expected: Vec<Value> = topics.iter().map(|topic| json!({ "topic": topic, "version": 1 })).collect();
        assert_eq!(answers, expected, "{} writes by {}", self.name, world.registry);
        topics
    }

    /// What the program answers, one JSON object in a line.
    fn run(&self, world: &World, role: &str, arguments: &[&str]) -> Vec<Value> {
        let mut command = Command::new("timeout");
        command.arg("240").args(&self.command).args([&world.bootstrap, &world.registry, role]).args(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {role} {arguments:?}: {}\n{said}{wrong}", self.name, output.status);
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
