//! Goal: whatever happens to the command topic, definitions are not lost silently, and processes do not arrive at
//! different catalogs. Method: engines over one cluster in memory, whose command topic is damaged between statements.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Membership, SinkOptions};
use headwater_formats::record::TopicPartition;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{COMMAND_TOPIC, Code, NEWER_COMMAND};

use super::*;
use crate::answer::Answer;
use crate::{Engine, Session};

const TOPIC: &str = "_headwater-default__command_topic";
const S: &str = "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";

fn engine(cluster: &MemoryTransport) -> Engine {
    Engine::driven(Arc::new(cluster.clone()), &Settings::default())
}

async fn ask(engine: &Engine, statement: &str) -> Result<Answer, Vec<Diagnostic>> {
    let asked = async { engine.ask(&mut Session::new(Settings::default()), statement).await };
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("an answer in time")
}

async fn succeed(engine: &Engine, statement: &str) {
    if let Err(errors) = ask(engine, statement).await {
        panic!("{statement}: {errors:?}");
    }
}

/// The error of a statement that is refused with this code.
async fn refused(engine: &Engine, statement: &str, code: Code) -> Diagnostic {
    match ask(engine, statement).await {
        Err(errors) if errors[0].code == code => errors[0].clone(),
        Err(errors) => panic!("{statement}: {errors:?}"),
        Ok(_) => panic!("{statement} is not refused"),
    }
}

async fn streams(engine: &Engine) -> Vec<String> {
    let catalog = engine.catalog().await.expect("a catalog");
    catalog.sources().map(|source| source.name.clone()).collect()
}

/// Drives a query until it has nothing left to do.
async fn to_rest(engine: &Engine, cluster: &MemoryTransport, query: &str) {
    let mut driver = engine.driver(query, Arc::new(cluster.clone())).await.expect("a query");
    for step in 0..20 {
        driver.step(step * 10_000, Duration::ZERO).expect("a step");
    }
}

fn type_of(name: &str) -> String {
    format!("CREATE TYPE {name} AS INT;")
}

fn out(value: &str) -> OutBatch {
    OutBatch {
        topic: Arc::from(TOPIC),
        partitions: Some(vec![0].into()),
        keys: BinaryArray::from_opt_vec(vec![None]),
        values: BinaryArray::from_opt_vec(vec![Some(value.as_bytes())]),
        timestamps_ms: None,
        headers: None,
    }
}

fn write(cluster: &MemoryTransport, value: &str) {
    cluster.open_sink(SinkOptions::default()).expect("a sink").write(&out(value)).expect("a write");
}

/// A transaction of someone else in the command topic.
fn transaction(cluster: &MemoryTransport, committed: bool) {
    let options = SinkOptions { transactional_id: Some("other".to_owned()), ..SinkOptions::default() };
    let mut sink = cluster.open_sink(options).expect("a sink");
    sink.begin().expect("a transaction");
    sink.write(&out("not a command")).expect("a write");
    match committed {
        true => sink.commit(&Membership::outside("g"), &BTreeMap::new(), PATIENCE).expect("a commit"),
        false => sink.abort(PATIENCE).expect("an abort"),
    }
}

#[tokio::test]
async fn markers_and_gaps_at_the_end_of_the_topic_do_not_matter() {
    for committed in [true, false] {
        let cluster = MemoryTransport::new();
        let (old, new) = (engine(&cluster), engine(&cluster));
        succeed(&old, S).await;
        transaction(&cluster, committed);
        assert_eq!(streams(&old).await, ["S"]);
        succeed(&old, &type_of("t")).await;
        transaction(&cluster, committed);
        cluster.compact(&TopicPartition::new(TOPIC, 0)).expect("a topic");
        assert_eq!(streams(&new).await, ["S"]);
        succeed(&new, "DROP STREAM s;").await;
        assert!(streams(&old).await.is_empty());
    }
}

#[tokio::test]
async fn a_topic_that_is_deleted_keeps_what_is_known_and_takes_nothing() {
    let cluster = MemoryTransport::new();
    let (old, new) = (engine(&cluster), engine(&cluster));
    succeed(&old, S).await;
    cluster.admin().delete_topic(TOPIC).expect("a topic");
    assert!(refused(&old, &type_of("t"), COMMAND_TOPIC).await.message.contains("was deleted"));
    refused(&old, "DROP STREAM s;", COMMAND_TOPIC).await;
    assert_eq!(streams(&old).await, ["S"]);
    assert!(cluster.admin().topic(TOPIC).expect("an answer").is_none(), "it is not created again");
    // A process that starts now starts over; what the old one knew is not mixed in.
    succeed(&new, &type_of("t")).await;
    assert!(streams(&new).await.is_empty());
    refused(&old, &type_of("u"), COMMAND_TOPIC).await;
    succeed(&new, &type_of("u")).await;
    refused(&old, &type_of("v"), COMMAND_TOPIC).await;
    assert_eq!(streams(&old).await, ["S"]);
}

#[tokio::test]
async fn a_topic_that_was_made_again_between_two_looks_is_another_one() {
    let cluster = MemoryTransport::new();
    let (old, new) = (engine(&cluster), engine(&cluster));
    succeed(&old, S).await;
    cluster.admin().delete_topic(TOPIC).expect("a topic");
    for name in ["t", "u", "v"] {
        succeed(&new, &type_of(name)).await;
    }
    assert!(refused(&old, "DROP STREAM s;", COMMAND_TOPIC).await.message.contains("created again"));
    assert_eq!(streams(&old).await, ["S"]);
    assert_eq!(old.catalog().await.expect("a catalog").custom_types().count(), 0);
}

#[tokio::test]
async fn a_truncated_start_is_said_and_nothing_runs_on_what_is_left() {
    let cluster = MemoryTransport::new();
    let (old, new) = (engine(&cluster), engine(&cluster));
    succeed(&old, S).await;
    succeed(&old, &type_of("t")).await;
    cluster.delete_records(&TopicPartition::new(TOPIC, 0), 1).expect("a topic");
    let error = refused(&new, "SHOW STREAMS;", COMMAND_TOPIC).await;
    assert!(error.message.contains("before offset 1"), "{}", error.message);
    refused(&new, &type_of("u"), COMMAND_TOPIC).await;
    assert!(new.apply(&mut Session::new(Settings::default()), &type_of("t")).await.is_err(), "run starts nothing");
    // A process that has read everything knows all definitions.
    assert_eq!(streams(&old).await, ["S"]);
    refused(&old, &type_of("u"), COMMAND_TOPIC).await;
}

#[tokio::test]
async fn what_a_newer_version_wrote_ends_all_change() {
    let newer = [
        r#"{"version":99,"id":"x","statement":"","change":{"drop_type":{"name":"T"}}}"#,
        r#"{"version":1,"id":"x","statement":"","change":{"drop_index":{"name":"T"}}}"#,
        r#"{"version":1,"id":"x","statement":"","change":{"drop_type":{"name":"T","cascade":true}}}"#,
    ];
    for command in newer {
        let cluster = MemoryTransport::new();
        let (old, new) = (engine(&cluster), engine(&cluster));
        succeed(&old, S).await;
        write(&cluster, command);
        // A command after it, which may depend on it.
        write(&cluster, r#"{"version":1,"id":"y","statement":"","change":{"drop_source":{"name":"S"}}}"#);
        for engine in [&old, &new] {
            let error = refused(engine, &type_of("t"), NEWER_COMMAND).await;
            assert_eq!(error.hint.as_deref(), Some("Upgrade this process."));
            assert!(error.message.contains("offset 1"), "{}", error.message);
            assert_eq!(streams(engine).await, ["S"], "{command}");
        }
        assert_eq!(cluster.admin().watermarks(TOPIC, Isolation::ReadCommitted).expect("marks")[0].end, 3);
    }
}

#[tokio::test]
async fn records_that_are_no_commands_are_passed_over_by_everybody() {
    let cluster = MemoryTransport::new();
    let (old, new) = (engine(&cluster), engine(&cluster));
    succeed(&old, S).await;
    write(&cluster, "hello");
    succeed(&old, &type_of("t")).await;
    succeed(&new, &type_of("u")).await;
    assert_eq!(old.catalog().await.expect("a catalog"), new.catalog().await.expect("a catalog"));
}

/// Method: the same query is created in a command topic and, after that was deleted, in the next one.
#[tokio::test]
async fn a_query_of_a_new_topic_does_not_find_the_offsets_of_its_namesake() {
    let cluster = MemoryTransport::new();
    let mut written = Vec::new();
    for _ in 0..2 {
        let engine = engine(&cluster);
        succeed(&engine, S).await;
        succeed(&engine, "CREATE STREAM o AS SELECT * FROM s;").await;
        if written.is_empty() {
            succeed(&engine, "INSERT INTO s VALUES (1, 1), (2, 2);").await;
        }
        to_rest(&engine, &cluster, "CSAS_O_2").await;
        let marks = cluster.admin().watermarks("O", Isolation::ReadCommitted).expect("marks");
        let records = cluster.admin().topic("O").expect("a topic").map(|_| marks[0].end);
        written.push(records.expect("a topic"));
        cluster.admin().delete_topic(TOPIC).expect("a topic");
    }
    assert!(written[1] >= written[0] + 2, "the second one reads from the beginning: {written:?}");
}

#[tokio::test]
async fn a_query_keeps_its_group_when_it_is_replaced() {
    let cluster = MemoryTransport::new();
    let engine = engine(&cluster);
    succeed(&engine, S).await;
    let mut groups = Vec::new();
    for statement in
        ["CREATE STREAM o AS SELECT * FROM s;", "CREATE OR REPLACE STREAM o AS SELECT * FROM s WHERE a > 1;"]
    {
        succeed(&engine, statement).await;
        groups.push(engine.catalog().await.expect("a catalog").query("CSAS_O_2").expect("a query").unique_name());
    }
    assert_eq!(groups[0], groups[1]);
    assert!(groups[0].starts_with("CSAS_O_2_") && groups[0].len() == "CSAS_O_2_".len() + 8, "{}", groups[0]);
}

#[tokio::test]
async fn queries_of_older_commands_keep_their_groups() {
    let cluster = MemoryTransport::new();
    let engine = engine(&cluster);
    succeed(&engine, &type_of("makes_the_topic")).await;
    include_str!("../../../../queries/plans/0001-stateless.commands").lines().for_each(|line| write(&cluster, line));
    let catalog = engine.catalog().await.expect("a catalog");
    let names: Vec<(&str, String)> = catalog.queries().map(|q| (q.id.as_str(), q.unique_name())).collect();
    assert!(!names.is_empty());
    names.iter().for_each(|(id, name)| assert_eq!(id, name));
}

/// Goal: a live process continues when the topic is deleted. Method: its worker runs on the memory transport.
#[tokio::test(flavor = "multi_thread")]
async fn running_queries_go_on_without_the_topic() {
    let cluster = MemoryTransport::new();
    let engine = Engine::new(Arc::new(cluster.clone()), &Settings::default());
    succeed(&engine, S).await;
    succeed(&engine, "CREATE STREAM o AS SELECT * FROM s;").await;
    let end = |topic: &str| cluster.admin().watermarks(topic, Isolation::ReadCommitted).expect("marks")[0].end;
    for round in 0..2 {
        let before = end("O");
        succeed(&engine, "INSERT INTO s VALUES (1, 1);").await;
        let deadline = Instant::now() + PATIENCE;
        while end("O") == before {
            assert!(Instant::now() < deadline, "round {round}: nothing was written");
            tokio::time::sleep(POLL).await;
        }
        if round == 0 {
            cluster.admin().delete_topic(TOPIC).expect("a topic");
            // Long enough for the worker to look.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
    }
    engine.stop_queries();
}
