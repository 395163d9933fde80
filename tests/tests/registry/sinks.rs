//! The subjects of sinks, in a registry and not in memory.

use serde_json::{Value, json};

use super::Setup;
use super::outage::shell;

/// Goal: readers of a sink find its schema under its subject, with all that it refers to; and copies of its records can
/// be read when it is deleted.
#[test]
fn subjects_of_sinks_have_their_schemas_and_are_deleted_softly() {
    let setup = Setup::new();
    let _broker = setup.start();
    let item = r#"{"type":"record","name":"Item","fields":[{"name":"SKU","type":["null","string"],"default":null}]}"#;
    setup.register("item", json!({ "schema": item }));
    let references = json!([{ "name": "Item", "subject": "item", "version": 1 }]);
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"ITEM","type":["null","Item"],"default":null}]}"#;
    let given = setup.register("order", json!({ "schema": order, "references": references }));
    let look = |sql: &str| shell(&setup, setup.registry, sql);
    look("CREATE STREAM s (item STRUCT<sku STRING>) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');");
    let with_given = format!("KAFKA_TOPIC = 'copied', VALUE_FORMAT = 'AVRO', VALUE_SCHEMA_ID = {given}");
    look(&format!("CREATE STREAM copied WITH ({with_given}) AS SELECT item FROM s;"));
    let registered = setup.get("/subjects/copied-value/versions/latest");
    assert_eq!((&registered["id"], &registered["references"]), (&json!(given), &references));
    look("CREATE STREAM found WITH (KAFKA_TOPIC = 'copied', VALUE_FORMAT = 'AVRO');");

    look("CREATE STREAM own WITH (KAFKA_TOPIC = 'own', VALUE_FORMAT = 'AVRO') AS SELECT * FROM s;");
    let own = setup.get("/subjects/own-value/versions/latest")["id"].clone();
    look("DROP STREAM own DELETE TOPIC;");
    assert_eq!(setup.ask("GET", "/subjects/own-value/versions", Value::Null).0, 404, "the subject is deleted");
    assert!(setup.get(&format!("/schemas/ids/{own}"))["schema"].is_string(), "its records can be read elsewhere");
}
