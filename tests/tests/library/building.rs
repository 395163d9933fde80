//! What a builder rejects, and when.

use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider as _;
use datafusion::error::DataFusionError;
use headwater_connectors::table::{KafkaTable, KafkaTableBuilder, TableError};
use headwater_connectors::transport::TransportErrorKind;
use headwater_formats::decode::KeyWindow;
use headwater_formats::format::FormatKind;

use super::world::World;

async fn mistakes(builder: KafkaTableBuilder) -> Vec<String> {
    match builder.build().await {
        Err(TableError::Definition { mistakes, .. }) => mistakes,
        other => panic!("{other:?}"),
    }
}

async fn cluster_error(builder: KafkaTableBuilder) -> (TransportErrorKind, String) {
    match builder.build().await {
        Err(TableError::Cluster(error)) => (error.kind, error.message),
        other => panic!("{other:?}"),
    }
}

/// Mistakes in the description are found without a cluster, all at once.
#[tokio::test]
async fn every_mistake_is_reported_at_once() {
    let wrong = KafkaTable::builder("nowhere:1", "orders")
        .value_format("JSN")
        .key_format("KAFKA")
        .key_column("id", DataType::Boolean)
        .value_column("item", DataType::Utf8)
        .value_column("item", DataType::Utf8)
        .value_column("ROWTIME", DataType::Int64)
        .event_time("when");
    let expected = [
        "column \"item\" appears twice",
        "column name \"ROWTIME\" is reserved",
        "format KAFKA cannot hold key column \"id\" of type BOOLEAN",
        "value format \"JSN\" does not exist (Did you mean JSON?)",
        "the event time column \"when\" does not exist",
    ];
    assert_eq!(mistakes(wrong).await, expected);
    let bare = KafkaTable::builder("nowhere:1", "orders").latest_per_key();
    let error = DataFusionError::from(bare.build().await.unwrap_err());
    let expected = "External error: topic \"orders\" cannot be a table: the table has no columns; a table of the \
                    latest record per key needs a key column; the value format is missing";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_must_exist_and_names_are_exact() {
    let world = World::new().await;
    world.create("orders", 1);
    let build = |topic: &str| world.json(topic).value_column("Item", DataType::Utf8);
    let missing = (TransportErrorKind::UnknownTopic, "topic \"Orders\" does not exist".to_owned());
    assert_eq!(cluster_error(build("Orders")).await, missing);
    let table = build("orders").build().await.unwrap();
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["Item", "ROWTIME", "ROWPARTITION", "ROWOFFSET"]);
    let bare = build("orders").without_address_columns().build().await.unwrap();
    assert_eq!(bare.schema().fields().len(), 1);
    let property = ["property \"client.id\" cannot be set: the cluster is already connected"];
    assert_eq!(mistakes(build("orders").property("client.id", "x")).await, property);
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_an_error_within_seconds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let build = |brokers: &str| {
        KafkaTable::builder(brokers, "orders").value_format(FormatKind::Json).value_column("n", DataType::Int64)
    };
    for brokers in ["127.0.0.1:1", silent.as_str()] {
        let begun = Instant::now();
        let (kind, message) = cluster_error(build(brokers)).await;
        assert_eq!(kind, TransportErrorKind::Unreachable, "{message}");
        assert!(message.contains(brokers), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(9));
    }
}

/// Properties go to librdkafka as they are, and no password is shown.
#[tokio::test(flavor = "multi_thread")]
async fn security_is_set_by_properties() {
    let world = World::new().await;
    world.create("orders", 1);
    let build =
        || KafkaTable::builder(&world.brokers, "orders").value_format("JSON").value_column("n", DataType::Int64);
    let (kind, message) = cluster_error(build().property("security.protocl", "SSL")).await;
    assert_eq!(kind, TransportErrorKind::Invalid);
    assert!(message.contains("security.protocl"), "{message}");
    let secured = build()
        .property("security.protocol", "SASL_PLAINTEXT")
        .property("sasl.mechanisms", "PLAIN")
        .property("sasl.username", "ada")
        .property("sasl.password", "lovelace");
    assert!(!format!("{secured:?}").contains("lovelace"));
    // The embedded broker has no logins.
    let (kind, message) = cluster_error(secured).await;
    assert!(matches!(kind, TransportErrorKind::Authentication | TransportErrorKind::Unreachable), "{message}");
    assert!(!message.contains("lovelace"), "{message}");
    build().property("client.id", "a-library").build().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_come_from_an_arrow_schema() {
    let world = World::new().await;
    world.create("t", 1);
    let id = Field::new("id", DataType::Int64, false);
    let schema = Schema::new(vec![id, Field::new("name", DataType::Utf8View, true)]);
    let table = world.json("t").schema(&schema, ["id"]).build().await.unwrap();
    let types: Vec<_> = table.schema().fields().iter().map(|f| (f.data_type().clone(), f.is_nullable())).collect();
    assert_eq!(types[..2], [(DataType::Int64, true), (DataType::Utf8, true)]);
    let wrong = world.json("t").schema(&schema, ["ID"]);
    assert_eq!(mistakes(wrong).await, ["key column \"ID\" is not in the schema"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn windowed_keys_have_their_columns_and_cannot_be_written() {
    let world = World::new().await;
    let table = world.orders("t", 1).windowed_key(KeyWindow::Time { size_ms: 1_000 }).build().await.unwrap();
    let ctx = super::world::context([("t", &table)]);
    let key = [&7_i64.to_be_bytes()[..], &5_000_i64.to_be_bytes()[..]].concat();
    world.produce("t", 1, &[(Some(&key), Some(br#"{"item": "fig"}"#))]);
    let rows = super::world::ask(&ctx, r#"SELECT id, "WINDOWSTART", "WINDOWEND", item FROM t"#).await;
    assert_eq!(rows[1], "| 7  | 5000        | 6000      | fig  |");
    let refused = super::world::refusal(&ctx, "INSERT INTO t (id) VALUES (1)").await;
    assert!(refused.contains("topic \"t\" cannot be written: its keys are windowed"), "{refused}");
}
