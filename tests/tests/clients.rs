//! Goal: clients in Go, Java, Python and C find in the embedded broker what they find in a real Kafka, and read each
//! other's records byte for byte. Method: one program per client (`tests/clients`), the same roles and the same
//! expectations for every client and both brokers. kcat has no administration, and is only a reader of transactions.
//!
//! `tests/clients/prepare` builds the programs into `$HEADWATER_PARTS/clients`. A client that is missing is skipped,
//! unless `HEADWATER_TEST_CLIENTS=all`. The real Kafka is named by `HEADWATER_TEST_KAFKA=host:port`.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "clients/client.rs"]
mod client;
#[path = "clients/embedded.rs"]
mod embedded;
#[path = "clients/kcat.rs"]
mod kcat;
#[path = "clients/member.rs"]
mod member;
#[path = "clients/records.rs"]
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::Client;
use headwater_tests::scratch::Scratch;
use member::Member;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use serde_json::{Value, json};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// The partitions of a topic that a group reads.
const SHARED: i32 = 4;

#[test]
fn embedded_broker() {
    let broker = embedded::Broker::start();
    check(&broker.address);
}

#[test]
fn real_kafka() {
    match std::env::var("HEADWATER_TEST_KAFKA") {
        Ok(address) => check(&address),
        Err(_) => println!("skipped: no broker"),
    }
}

fn check(bootstrap: &str) {
    let scratch = Scratch::new(bootstrap, "clients");
    let world = World { bootstrap, scratch: &scratch, clients: client::found() };
    check_records(&world);
    check_transactions(&world);
    check_groups_and_administration(&world);
    check_mixed_group(&world);
}

/// A broker, the clients, and names that are deleted afterwards.
struct World<'a> {
    bootstrap: &'a str,
    scratch: &'a Scratch,
    clients: Vec<Client>,
}

/// The records of topics, as JSON. A timestamp is null until the first reader, if its writer did not choose it.
type Topics = BTreeMap<String, Vec<Value>>;

/// Every client writes the records with every compression, and every client reads what all have written.
fn check_records(world: &World<'_>) {
    let mut written = Topics::new();
    for client in &world.clients {
        let topic = world.topic(&format!("{client}_records"), 1);
        let records: Vec<Value> = records::all().into_iter().filter(|record| client.can_write(record)).collect();
        let offsets = client.produce(world.bootstrap, &topic, &CODECS, &records);
        let all = CODECS.iter().flat_map(|_| records.clone());
        let read: Vec<Value> = (0..).zip(all).map(|(offset, record)| client.as_read(&topic, offset, record)).collect();
        let batches = (0..).step_by(records.len()).zip(CODECS);
        let expected: Vec<Value> = batches
            .map(|(first, _)| json!({ "offsets": (first..first + records.len()).collect::<Vec<_>>() }))
            .collect();
        if client.is_program() {
            assert_eq!(offsets, expected, "{client} writes to {}", world.bootstrap);
        }
        written.insert(topic, read);
    }
    world.check_read("read_committed", &mut written);
}

/// A committed transaction and an aborted one, by every client. The markers at their ends take the offsets 2 and 4.
fn check_transactions(world: &World<'_>) {
    let (mut committed, mut all) = (Topics::new(), Topics::new());
    for client in world.programs() {
        let topic = world.topic(&format!("{client}_transactions"), 1);
        let answers = client.run(world.bootstrap, "transact", &[&topic, &topic]);
        let expected = [json!({ "transaction": "committed" }), json!({ "transaction": "aborted" })];
        assert_eq!(answers, expected, "{client} writes transactions to {}", world.bootstrap);
        let record = |offset, value: &str| {
            let value: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
            json!({ "topic": topic, "offset": offset, "timestamp": null, "key": null, "value": value, "headers": [] })
        };
        let mut records = vec![record(0, "committed 1"), record(1, "committed 2")];
        committed.insert(topic.clone(), records.clone());
        records.push(record(3, "aborted"));
        all.insert(topic, records);
    }
    world.check_read("read_committed", &mut committed);
    world.check_read("read_uncommitted", &mut all);
}

/// The group of a client is described and deleted in the administration by the same client.
fn check_groups_and_administration(world: &World<'_>) {
    for client in &world.clients {
        let topic = world.topic(&format!("{client}_shared"), SHARED);
        let group = format!("{topic}_group");
        let answers = client.group(world.bootstrap, &topic, &group);
        assert_eq!(answers, expected_of_group(), "{client} in a group of {}", world.bootstrap);
        if client.is_program() {
            let administered = world.scratch.topic(&format!("{client}_administered"));
            let answers = client.run(world.bootstrap, "admin", &[&administered, &group]);
            assert_eq!(answers, expected_of_administration(), "{client} administers {}", world.bootstrap);
        }
    }
}

/// All clients are members of one group. They leave one after the other, and the last one has all partitions.
fn check_mixed_group(world: &World<'_>) {
    let topic = world.topic("mixed", SHARED);
    let join = |client| (client, Client::join(client, world.bootstrap, &topic, &topic));
    let mut members: Vec<_> = world.clients.iter().map(join).collect();
    while let Some((client, member)) = members.pop() {
        let shares = || [&member].into_iter().chain(members.iter().map(|(_, member)| member)).map(Member::assigned);
        let is_shared = || {
            let all: Vec<i32> = shares().flatten().collect();
            let once: BTreeSet<i32> = all.iter().copied().collect();
            all.len() == once.len() && once.into_iter().eq(0..SHARED) && shares().all(|share| !share.is_empty())
        };
        member::wait(&format!("{} members of {} share {topic}", members.len() + 1, world.bootstrap), is_shared);
        client.leave(member);
    }
}

/// Writes so many records to each partition of a topic that a group reads.
fn fill(bootstrap: &str, topic: &str, records: impl Fn(i32) -> i32) {
    let config = ClientConfig::new().set("bootstrap.servers", bootstrap).clone();
    let producer: BaseProducer<Acknowledged> = config.create_with_context(Acknowledged).unwrap();
    for partition in (0..SHARED).flat_map(|partition| (0..records(partition)).map(move |_| partition)) {
        producer.send(BaseRecord::<(), str>::to(topic).partition(partition).payload("x")).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Every record must be acknowledged.
struct Acknowledged;

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        delivered.as_ref().expect("an acknowledged record");
    }
}

/// The remaining member commits the partition's number plus one, and a third member resumes there.
fn expected_of_group() -> Vec<Value> {
    vec![
        json!({ "assigned": [[0, 1], [2, 3]] }),
        json!({ "alone": [0, 1, 2, 3] }),
        json!({ "committed": [1, 2, 3, 4] }),
        json!({ "resumed": [1, 2, 3, 4] }),
    ]
}

/// The answers of a real Kafka. Numbers of refused requests are error codes of the protocol; a config is its value,
/// whether that is the default, and whether it is secret.
fn expected_of_administration() -> Vec<Value> {
    let configs = |policy: Value, retention_ms: &str, segment_ms: Value| {
        json!({
            "cleanup.policy": policy,
            "max.message.bytes": ["1048588", true, false],
            "retention.ms": [retention_ms, false, false],
            "segment.ms": segment_ms,
        })
    };
    let created = configs(json!(["delete", true, false]), "60000000", json!(["50000000", false, false]));
    let altered = configs(json!(["delete,compact", false, false]), "70000000", json!(["604800000", true, false]));
    vec![
        json!({ "created": 0 }),
        json!({ "again": 36 }),
        json!({ "replicas": 38, "name": 17, "value": 40, "config": 40 }),
        json!({ "configs": created }),
        json!({ "altered": 0, "configs": altered }),
        json!({ "altered": 0, "bad": 40 }),
        json!({ "grown": 0, "fewer": 37 }),
        json!({ "deleted": [0, 6], "beyond": [1, null] }),
        json!({ "earliest": 6, "latest": 10 }),
        json!({ "group": "empty", "members": 0, "listed": true }),
        json!({ "deleted": 0, "listed": false }),
        json!({ "deleted": 0 }),
        json!({ "again": 3 }),
    ]
}

impl World<'_> {
    /// The clients other than kcat.
    fn programs(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.is_program())
    }

    /// A new topic that keeps old records.
    fn topic(&self, what: &str, partitions: i32) -> String {
        let name = self.scratch.topic(what);
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", self.bootstrap).create().unwrap();
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
        name
    }

    /// Every client reads these topics, and finds exactly these records.
    fn check_read(&self, isolation: &str, expected: &mut Topics) {
        for client in &self.clients {
            let topics: Vec<&str> = expected.keys().map(String::as_str).collect();
            let mut read = Topics::new();
            for record in client.consume(self.bootstrap, isolation, &topics) {
                read.entry(record["topic"].as_str().unwrap().to_owned()).or_default().push(record);
            }
            for (topic, expected) in expected.iter_mut() {
                let read = read.remove(topic).unwrap_or_default();
                for (expected, read) in
                    expected.iter_mut().zip(&read).filter(|(record, _)| record["timestamp"].is_null())
                {
                    expected["timestamp"] = read["timestamp"].clone();
                }
                let which = format!("{client} reads {topic} ({isolation}) of {}", self.bootstrap);
                let different = expected.iter().zip(&read).find(|(expected, read)| expected != read);
                if let Some((expected, read)) = different {
                    panic!("{which}\nexpected {expected}\nread     {read}");
                }
                assert_eq!(read.len(), expected.len(), "{which}");
            }
        }
    }
}
