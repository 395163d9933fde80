//! Goal: what an older version wrote to the command topic runs in this one. Method: each file of `queries/plans/`
//! contains the commands of a topic as they were written, one per line; the engine reads them on the memory transport,
//! records go through the query, and its output is compared with the file next to the commands. The plans themselves are
//! printed, compared with another file, and written again as they were.
//!
//! A change of the topology's or the catalog's serialized form adds a file here; older files are never changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{NewTopic, SinkOptions, Transport};
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};
use headwater_formats::record::OutBatch;
use headwater_repl::check::{Drive, Mode};
use headwater_tests::binary::workspace;
use serde_json::Value;

const COMMANDS: &str = "_headwater-default__command_topic";

/// Writes texts to partition 0 of a topic, which is created if necessary.
fn write(cluster: &MemoryTransport, topic: &str, lines: &[&str]) {
    if cluster.admin().topic(topic).expect("an answer").is_none() {
        let new = NewTopic { name: topic.to_owned(), partitions: 1, replicas: None, settings: Default::default() };
        cluster.admin().create_topic(&new).expect("a topic");
    }
    let batch = OutBatch {
        topic: Arc::from(topic),
        partitions: Some(vec![0; lines.len()].into()),
        keys: lines.iter().map(|_| None::<&[u8]>).collect::<BinaryArray>(),
        values: BinaryArray::from_iter_values(lines),
        timestamps_ms: None,
        headers: None,
    };
    cluster.open_sink(SinkOptions::default()).expect("a sink").write(&batch).expect("a write");
}

async fn rows(engine: &Engine, statement: &str) -> String {
    let mut session = Session::new(Settings::default());
    let answer = engine.ask(&mut session, statement).await.expect("an answer");
    let Answer::Rows(rows) = answer else { panic!("{statement} returns rows") };
    let batches: Vec<_> = rows.stream.try_collect().await.expect("rows");
    pretty_format_batches(&batches).expect("printable rows").to_string() + "\n"
}

/// The output of the query of a file for three records.
async fn run(commands: &Path) -> String {
    let cluster = MemoryTransport::default();
    let text = std::fs::read_to_string(commands).expect("a readable file");
    write(&cluster, COMMANDS, &text.lines().collect::<Vec<_>>());
    for topic in ["LARGE", "TIMED", "dead", "_headwater-default__processing_log"] {
        write(&cluster, topic, &[]);
    }
    let orders = [r#"{"ITEM":"fig","QTY":3,"SHIP":{"CITY":"Oslo"}}"#, r#"{"ITEM":"pear","QTY":1}"#, "{"];
    write(&cluster, "orders", &orders);
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    Drive::new(&cluster, Mode::OneBatch).until_idle(&engine).await.expect("rest");
    rows(&engine, "SELECT * FROM large;").await + &rows(&engine, "SELECT kind, reason FROM processing_log;").await
}

/// The commands of each plan.
fn plans() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("queries/plans")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let plans: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "commands")).collect();
    assert!(!plans.is_empty(), "there are no plans");
    plans
}

/// Compares a text with the file beside the commands that has this extension.
fn compare(commands: &Path, extension: &str, found: &str) {
    let wanted = commands.with_extension(extension);
    if std::env::var_os("ACCEPT").is_some() && !wanted.exists() {
        std::fs::write(&wanted, found).expect("a writable folder");
    }
    let wanted = std::fs::read_to_string(&wanted).expect("a file beside the commands");
    assert_eq!(found, wanted, "{}", commands.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_older_plan_runs() {
    for commands in plans() {
        compare(&commands, "result", &run(&commands).await);
    }
}

/// The topology of the query in a command, if it has one.
fn topology_in(command: &str) -> Option<Value> {
    let command: Value = serde_json::from_str(command).expect("a command");
    let query = ["create_query", "define_query"].iter().find_map(|kind| command["change"].get(kind))?;
    Some(query["query"]["topology"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_older_plan_is_printed_and_written_as_it_was() {
    for commands in plans() {
        let cluster = MemoryTransport::default();
        let text = std::fs::read_to_string(&commands).expect("a readable file");
        write(&cluster, COMMANDS, &text.lines().collect::<Vec<_>>());
        let engine = Engine::driven(Arc::new(cluster), &Settings::default());
        let catalog = engine.catalog().await.expect("a catalog");
        let printed: Vec<String> = catalog.queries().map(|query| format!("{}\n", query.topology)).collect();
        compare(&commands, "plan", &printed.concat());
        let written = catalog.queries().map(|query| serde_json::to_value(&query.topology).expect("plain data"));
        let read: Vec<Value> = text.lines().filter_map(topology_in).collect();
        assert_eq!(written.collect::<Vec<_>>(), read, "{}", commands.display());
    }
}
