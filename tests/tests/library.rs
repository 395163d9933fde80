//! Goal: a program that uses DataFusion reads and writes topics with only `KafkaTable` and its own `SessionContext`.
//! Method: the embedded broker, topics that any client may have filled, and SQL and DataFrames over them; the examples
//! of README.md are run, and compared with its text.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "library/building.rs"]
mod building;
#[path = "library/reading.rs"]
mod reading;
#[allow(dead_code, reason = "its main is for people")]
#[path = "../../connectors/examples/topic_table.rs"]
mod topic_table;
#[path = "library/world.rs"]
mod world;
#[path = "library/writing.rs"]
mod writing;

use std::fs;

use headwater_broker::{Broker, Config};
use headwater_connectors::table::{KafkaTable, TableError};
use headwater_connectors::transport::TransportErrorKind;
use headwater_tests::binary::workspace;

use self::world::{World, shown};

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let world = World::new().await;
    world.create("orders", 2);
    let rows = topic_table::run(&world.brokers).await.unwrap();
    assert_eq!(shown(&rows), ["| id | item |", "| 2  | pear |"]);
}

/// The example in README.md for the tests of other projects.
#[tokio::test]
async fn a_test_of_another_project_has_a_broker_of_its_own() {
    let broker = Broker::start(Config::in_memory()).await.expect("the broker starts");
    let brokers = broker.address().to_string();
    // … any Kafka client, here a table of a topic that does not exist:
    let built = KafkaTable::builder(&brokers, "none").headers_column("h").value_format("JSON").build().await;
    assert!(matches!(built, Err(TableError::Cluster(error)) if error.kind == TransportErrorKind::UnknownTopic));
    broker.shutdown().await;
}

/// Every Rust block in README.md is part of a program that is run here.
#[test]
fn the_readme_shows_what_is_run() {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();
    let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let sources = ["connectors/examples/topic_table.rs", "tests/tests/library.rs"].map(|path| trimmed(&read(path)));
    let page = read("README.md");
    let blocks: Vec<&str> =
        page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        assert!(sources.iter().any(|source| source.contains(trimmed(block).trim())), "not run anywhere:\n{block}");
    }
}
