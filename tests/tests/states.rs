//! Goal: this version continues the queries with state that an older one has left. Method: each `.state` file of
//! `queries/states/` has a cluster as that version left it: the command topic with the plans, the changelogs, and the committed
//! offsets. The engine starts on it, the statements behind `-- continue` of the `.sql` file beside it are run, and their answers are
//! compared with the `.result` file.
//!
//! A change of what is written to a changelog, or of the form of a topology, adds files here; older ones are never changed. For new
//! files, write the `.sql` and run this with ACCEPT=1: the statements before `-- continue` make the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, BinaryArray};
use arrow::util::pretty::pretty_format_batches;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{
    Isolation, Membership, NewTopic, Position, ReadPlan, ReadRange, SinkOptions, SourceEvent, TopicIds, Transport,
};
use headwater_engine::answer::Answer;
use headwater_engine::config::Settings;
use headwater_engine::{Engine, Session};
use headwater_formats::record::{OutBatch, TopicPartition, Wanted};
use headwater_repl::check::{Drive, Mode};
use headwater_tests::binary::workspace;
use serde_json::{Value, json};

const COMMANDS: &str = "_headwater-default__command_topic";
const CONTINUE: &str = "-- continue\n";
const PATIENCE: Duration = Duration::from_secs(5);

/// The `.sql` files.
fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("queries/states")).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    assert!(!files.is_empty(), "there are no states");
    files
}

/// The text of the file beside another one with this extension. With ACCEPT=1 it is made if it does not exist.
fn beside(file: &Path, extension: &str, made: impl FnOnce() -> String) -> String {
    let path = file.with_extension(extension);
    if std::env::var_os("ACCEPT").is_some() && !path.exists() {
        std::fs::write(&path, made()).expect("a writable folder");
    }
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs statements, with queries at rest after each, and returns the rows of those that have some. If it `replaces`, all queries are
/// replaced by themselves at the end.
async fn run(cluster: &MemoryTransport, statements: &str, replaces: bool) -> String {
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    let (mut session, mut drive) = (Session::new(Settings::default()), Drive::new(cluster, Mode::OneBatch));
    let mut answers = String::new();
    drive.until_idle(&engine).await.expect("rest");
    for statement in statements.split_inclusive(';').filter(|statement| statement.contains(';')) {
        let answer = engine.ask(&mut session, statement).await;
        let answer = answer.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"));
        if let Answer::Rows(rows) = answer {
            let batches: Vec<_> = rows.stream.try_collect().await.expect("rows");
            let table = pretty_format_batches(&batches).expect("printable rows");
            answers += &format!("{}\n{table}\n\n", statement.trim());
        }
        drive.until_idle(&engine).await.expect("rest");
    }
    if replaces {
        replace_all(&engine, &mut session).await;
    }
    answers
}

/// S5: each query accepts to be replaced by itself.
async fn replace_all(engine: &Engine, session: &mut Session) {
    for query in engine.catalog().await.expect("a catalog").queries() {
        let again = query.statement.replacen("CREATE", "CREATE OR REPLACE", 1) + ";";
        match engine.ask(session, &again).await {
            Ok(Answer::Done { message, .. }) => assert!(message.contains("replaced"), "{again}: {message}"),
            other => panic!("{again}: {:?}", other.map(drop)),
        }
    }
}

/// A cluster as text: its topics with their records, and the offsets of its groups.
fn saved(cluster: &MemoryTransport) -> String {
    let admin = cluster.admin();
    let topics = admin.topics().expect("topics");
    let partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| (0..topic.partitions).map(|number| TopicPartition::new(topic.name.as_str(), number)))
        .collect();
    let described = topics.iter().map(|topic| {
        let settings = admin.topic_settings(&topic.name).expect("settings");
        let own = partitions.iter().filter(|partition| *partition.topic == *topic.name);
        let records: Vec<Value> = own.flat_map(|partition| records_of(cluster, partition)).collect();
        json!({"name": topic.name, "partitions": topic.partitions, "settings": settings, "records": records})
    });
    let groups = admin.groups().expect("groups").into_iter().map(|group| {
        let committed = admin.committed_offsets(&group, &partitions).expect("offsets");
        let positions = committed.into_iter().filter_map(|(partition, position)| {
            let Position { offset, note } = position?;
            // Topics get other ids in the cluster into which this is loaded.
            let note: Vec<&str> = note.split(' ').filter(|word| !word.starts_with("topic=")).collect();
            Some(json!([&*partition.topic, partition.partition, offset, note.join(" ")]))
        });
        json!({"name": group, "positions": positions.collect::<Vec<_>>()})
    });
    let all = json!({"topics": described.collect::<Vec<_>>(), "groups": groups.collect::<Vec<_>>()});
    serde_json::to_string_pretty(&all).expect("plain data") + "\n"
}

/// The committed records of a partition: its number, the timestamp, key and value.
fn records_of(cluster: &MemoryTransport, partition: &TopicPartition) -> Vec<Value> {
    let marks = cluster.admin().watermarks(&partition.topic, Isolation::ReadCommitted).expect("a topic");
    let mark = marks[usize::try_from(partition.partition).expect("it is small")];
    if mark.start == mark.end {
        return Vec::new();
    }
    let range = ReadRange { partition: partition.clone(), start: mark.start, end: Some(mark.end) };
    let (isolation, ids) = (Isolation::ReadCommitted, TopicIds::new());
    let plan = ReadPlan { ranges: vec![range], wanted: Wanted::ALL, isolation, batch_records_max: 1_000, ids };
    let mut source = cluster.open_sources(vec![plan]).expect("a source").remove(0);
    let mut records = Vec::new();
    loop {
        match source.poll(PATIENCE).expect("records") {
            SourceEvent::Batch(raw) => {
                let text = |column: &Option<BinaryArray>, row: usize| {
                    let column = column.as_ref().filter(|column| column.is_valid(row));
                    column.map(|column| BASE64_STANDARD.encode(column.value(row)))
                };
                records.extend((0..raw.len()).map(|row| {
                    let value =
                        text(&raw.values, row).filter(|_| raw.value_nulls.as_ref().is_none_or(|n| n.is_valid(row)));
                    json!([partition.partition, raw.timestamps_ms[row], text(&raw.keys, row), value])
                }));
            }
            SourceEvent::Finished(_) => return records,
            _ => {}
        }
    }
}

/// A cluster from its text.
fn loaded(text: &str) -> MemoryTransport {
    let (cluster, all) = (MemoryTransport::new(), serde_json::from_str::<Value>(text).expect("a state"));
    let list = |value: &Value| value.as_array().expect("a list").clone();
    for topic in list(&all["topics"]) {
        let name = topic["name"].as_str().expect("a name").to_owned();
        let settings = serde_json::from_value(topic["settings"].clone()).expect("settings");
        let partitions = number(&topic["partitions"]);
        let new = NewTopic { name: name.clone(), partitions, replicas: None, settings };
        cluster.admin().create_topic(&new).expect("a topic");
        write(&cluster, &name, &list(&topic["records"]));
    }
    for group in list(&all["groups"]) {
        let name = group["name"].as_str().expect("a name");
        let position = |entry: Value| {
            let (topic, note) = (entry[0].as_str().expect("a topic"), entry[3].as_str().expect("a note"));
            let position = Position::new(entry[2].as_i64().expect("an offset"), &note.into());
            (TopicPartition::new(topic, number(&entry[1])), position)
        };
        let positions: BTreeMap<TopicPartition, Position> =
            list(&group["positions"]).into_iter().map(position).collect();
        let options = SinkOptions { transactional_id: Some("fixture".to_owned()), ..SinkOptions::default() };
        let mut sink = cluster.open_sink(options).expect("a sink");
        sink.begin().and_then(|()| sink.commit(&Membership::outside(name), &positions, PATIENCE)).expect("a commit");
    }
    cluster
}

fn number(value: &Value) -> i32 {
    value.as_i64().and_then(|number| number.try_into().ok()).expect("a number")
}

fn write(cluster: &MemoryTransport, topic: &str, records: &[Value]) {
    let bytes = |at: usize| -> Vec<Option<Vec<u8>>> {
        let decode = |text: &str| BASE64_STANDARD.decode(text).expect("it was encoded");
        records.iter().map(|record| record[at].as_str().map(decode)).collect()
    };
    let times = records.iter().map(|record| record[1].as_i64().expect("a time"));
    let batch = OutBatch {
        topic: topic.into(),
        partitions: Some(records.iter().map(|record| number(&record[0])).collect::<Vec<i32>>().into()),
        keys: bytes(2).into_iter().collect(),
        values: bytes(3).into_iter().collect(),
        timestamps_ms: Some(times.collect::<Vec<i64>>().into()),
        headers: None,
    };
    cluster.open_sink(SinkOptions::default()).and_then(|mut sink| sink.write(&batch)).expect("records");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_older_state_is_continued() {
    for file in files() {
        let sql = std::fs::read_to_string(&file).expect("a readable file");
        let (before, after) = sql.split_once(CONTINUE).expect("statements that continue");
        let made = MemoryTransport::new();
        if std::env::var_os("ACCEPT").is_some() {
            run(&made, before, false).await;
        }
        let state = beside(&file, "state", || saved(&made));
        let found = run(&loaded(&state), after, true).await;
        assert_eq!(found, beside(&file, "result", || found.clone()), "{}", file.display());
    }
}

/// Goal: a fixture has what it is for: state in changelogs, and plans, which are written as they were.
#[tokio::test(flavor = "multi_thread")]
async fn the_states_have_changelogs_and_plans_that_are_written_as_they_were() {
    for file in files() {
        let state = std::fs::read_to_string(file.with_extension("state")).expect("a state");
        let all: Value = serde_json::from_str(&state).expect("a state");
        let topics = all["topics"].as_array().expect("topics").iter();
        let records = |topic: &Value| topic["records"].as_array().cloned().unwrap_or_default();
        let by_name: BTreeMap<&str, Vec<Value>> =
            topics.filter_map(|topic| Some((topic["name"].as_str()?, records(topic)))).collect();
        let stores = by_name.iter().filter(|(name, records)| name.ends_with("-changelog") && !records.is_empty());
        assert!(stores.count() >= 6, "{}", file.display());
        let plans: Vec<Value> = by_name[COMMANDS].iter().filter_map(topology_in).collect();
        let engine = Engine::driven(Arc::new(loaded(&state)), &Settings::default());
        let catalog = engine.catalog().await.expect("a catalog");
        let written: Vec<Value> =
            catalog.queries().map(|query| serde_json::to_value(&query.topology).expect("plain data")).collect();
        assert!(!written.is_empty() && written.iter().all(|plan| plans.contains(plan)), "{}", file.display());
    }
}

/// The topology of the query in a record of the command topic, if it has one.
fn topology_in(record: &Value) -> Option<Value> {
    let command = BASE64_STANDARD.decode(record[3].as_str()?).expect("it was encoded");
    let command: Value = serde_json::from_slice(&command).expect("a command");
    Some(command["change"].get("create_query")?["query"]["topology"].clone())
}
