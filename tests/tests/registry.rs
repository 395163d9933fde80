//! Goal: the Schema Registry beside the embedded broker has what serializers ask of one, keeps it, and goes over to the
//! next process with the broker. Method: `headwater` as child processes, and the requests of Confluent's serializers.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "registry/gate.rs"]
mod gate;
#[path = "registry/http.rs"]
mod http;
#[path = "registry/outage.rs"]
mod outage;
#[path = "registry/shell.rs"]
mod shell;
#[path = "registry/sinks.rs"]
mod sinks;

use std::net::SocketAddr;
use std::process::Stdio;

use base64::Engine;
use headwater_connectors::transport::Transport;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_tests::embedded::{Embedded, Site};
use serde_json::{Value, json};
use shell::Shell;
use tempfile::TempDir;

/// A broker with a registry, in a folder of its own.
struct Setup {
    folder: TempDir,
    site: Site,
    registry: SocketAddr,
}

impl Setup {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let site = Site::in_folder(folder.path()).unwrap().with_registry().unwrap();
        Self { registry: site.registry.unwrap(), folder, site }
    }

    fn start(&self) -> Embedded {
        self.site.start(Stdio::null()).unwrap()
    }

    fn ask(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        http::ask(self.registry, method, target, &body)
    }

    /// The answer to a request that succeeds.
    fn get(&self, target: &str) -> Value {
        let (status, answer) = self.ask("GET", target, Value::Null);
        assert_eq!(status, 200, "GET {target}: {answer}");
        answer
    }

    /// The id of a schema that is registered as the Python serializer does it.
    fn register(&self, subject: &str, schema: Value) -> u64 {
        let (status, answer) = self.ask("POST", &format!("/subjects/{subject}/versions?normalize=False"), schema);
        assert_eq!(status, 200, "{subject}: {answer}");
        answer["id"].as_u64().unwrap()
    }
}

fn avro(fields: &str) -> Value {
    json!({ "schema": format!(r#"{{"type":"record","name":"Order","fields":[{fields}]}}"#) })
}

const ID: &str = r#"{"name":"id","type":"long"}"#;

#[test]
fn avro_schemas_have_ids_and_versions() {
    let setup = Setup::new();
    let _broker = setup.start();
    assert_eq!(setup.get("/subjects"), json!([]));
    let first = setup.register("orders-value", avro(ID));
    assert_eq!(setup.register("orders-value", avro(ID)), first);
    assert_eq!(setup.register("others-value", avro(ID)), first, "one id for one schema");
    let note = format!(r#"{ID},{{"name":"note","type":["null","string"],"default":null}}"#);
    let second = setup.register("orders-value", avro(&note));
    assert_ne!(second, first);
    assert_eq!(setup.get("/subjects/orders-value/versions"), json!([1, 2]));
    assert_eq!(setup.get(&format!("/schemas/ids/{first}?subject=orders-value"))["schema"], avro(ID)["schema"]);
    let latest = setup.get("/subjects/orders-value/versions/latest");
    assert_eq!((&latest["version"], &latest["id"]), (&json!(2), &json!(second)));
    // What a serializer asks that may not register.
    let (_, found) = setup.ask("POST", "/subjects/orders-value?normalize=False&deleted=False", avro(ID));
    assert_eq!((&found["version"], &found["id"]), (&json!(1), &json!(first)));
    let (status, missing) = setup.ask("POST", "/subjects/orders-value", avro(r#"{"name":"x","type":"int"}"#));
    assert_eq!((status, &missing["error_code"]), (404, &json!(40403)));
}

/// Goal: an incompatible schema is refused in all three languages, with the difference.
#[test]
fn a_conflict_names_the_difference() {
    let setup = Setup::new();
    let _broker = setup.start();
    let json_schema = |kind: &str| {
        let text = format!(r#"{{"type":"object","properties":{{"total":{{"type":"{kind}"}}}}}}"#);
        json!({ "schemaType": "JSON", "schema": text })
    };
    let proto = |field: &str| {
        let text = format!("syntax = \"proto3\"; message Order {{ {field} total = 1; }}");
        json!({ "schemaType": "PROTOBUF", "schema": text })
    };
    let total = |kind: &str| avro(&format!(r#"{{"name":"total","type":"{kind}"}}"#));
    let pairs = [
        (total("long"), total("string"), "{errorType:'TYPE_MISMATCH', ", ", additionalInfo:'/fields/0/type'}"),
        (
            json_schema("number"),
            json_schema("string"),
            "{errorType:'TYPE_CHANGED', ",
            ", additionalInfo:'#/properties/total'}",
        ),
        (proto("int64"), proto("string"), "{errorType:'FIELD_SCALAR_KIND_CHANGED', ", ", additionalInfo:'#/Order/1'}"),
    ];
    for (number, (old, new, kind, place)) in pairs.into_iter().enumerate() {
        let subject = format!("conflict-{number}");
        setup.register(&subject, old);
        let (status, refused) = setup.ask("POST", &format!("/subjects/{subject}/versions"), new.clone());
        assert_eq!((status, &refused["error_code"]), (409, &json!(409)), "{refused}");
        // What follows repeats the old schema.
        let message = refused["message"].as_str().unwrap();
        let (difference, _) = message.split_once(", {oldSchemaVersion: 1}").expect("it names the old version");
        assert!(difference.contains(kind) && difference.ends_with(place), "{message}");
        let target = format!("/compatibility/subjects/{subject}/versions/latest?verbose=true");
        let (_, compared) = setup.ask("POST", &target, new.clone());
        assert_eq!(compared["is_compatible"], json!(false), "{compared}");
        assert!(!compared["messages"].as_array().unwrap().is_empty(), "{compared}");
        let (_, level) = setup.ask("PUT", &format!("/config/{subject}"), json!({ "compatibility": "NONE" }));
        assert_eq!(level, json!({ "compatibility": "NONE" }));
        setup.register(&subject, new);
    }
    assert_eq!(setup.get("/config"), json!({ "compatibilityLevel": "BACKWARD" }));
    assert_eq!(setup.get("/mode"), json!({ "mode": "READWRITE" }));
}

/// Goal: what Python's Protobuf serializer asks: it registers a file descriptor in base64 with references to what it
/// imports, except known types, and its deserializer reads the same back.
#[test]
fn protobuf_schemas_are_file_descriptors_too() {
    let setup = Setup::new();
    let _broker = setup.start();
    let imported = "syntax = \"proto3\"; package shop; message Item { string sku = 1; }";
    setup.register("item.proto", json!({ "schemaType": "PROTOBUF", "schema": imported }));
    let text = "syntax = \"proto3\"; package shop; import \"item.proto\"; import \"google/protobuf/timestamp.proto\"; \
                message Order { Item item = 1; google.protobuf.Timestamp at = 2; }";
    let references = json!([{ "name": "item.proto", "subject": "item.proto", "version": 1 }]);
    let order = |text: &str| json!({ "schemaType": "PROTOBUF", "schema": text, "references": references });
    let id = setup.register("orders-value", order(text));
    let serialized = setup.get(&format!("/schemas/ids/{id}?subject=orders-value&format=serialized"));
    let descriptor = serialized["schema"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(descriptor).unwrap();
    assert!(bytes.windows(10).any(|part| part == b"item.proto"), "a file descriptor names its imports");
    assert_eq!(setup.register("orders-value", order(descriptor)), id, "the descriptor is the same schema");
    assert_eq!(setup.get("/subjects/item.proto/versions/1/referencedby"), json!([id]));
    assert_eq!(setup.get(&format!("/schemas/ids/{id}"))["references"], references);
    let (status, refused) = setup.ask("DELETE", "/subjects/item.proto", Value::Null);
    assert_eq!((status, &refused["error_code"]), (422, &json!(42206)), "{refused}");
}

/// Goal: nothing that was answered is lost by a kill. Method: register, delete and set a level, kill -9, look again.
#[test]
fn everything_is_kept_over_a_kill() {
    let setup = Setup::new();
    let broker = setup.start();
    let kept = setup.register("kept", avro(ID));
    let hidden = setup.register("hidden", json!({ "schema": "\"int\"" }));
    let gone = setup.register("gone", json!({ "schema": "\"bytes\"" }));
    let last = setup.register("last", json!({ "schema": "\"double\"" }));
    setup.ask("PUT", "/config/kept", json!({ "compatibility": "FULL_TRANSITIVE" }));
    for target in ["/subjects/hidden", "/subjects/gone", "/subjects/gone?permanent=true"] {
        assert_eq!(setup.ask("DELETE", target, Value::Null), (200, json!([1])), "{target}");
    }
    broker.kill().unwrap();

    let _broker = setup.start();
    assert_eq!(setup.get("/subjects"), json!(["kept", "last"]));
    assert_eq!(setup.get("/subjects?deleted=true"), json!(["hidden", "kept", "last"]));
    assert_eq!(setup.get(&format!("/schemas/ids/{hidden}"))["schema"], json!("\"int\""), "its records can be read");
    assert_eq!(setup.ask("GET", &format!("/schemas/ids/{gone}"), Value::Null).1["error_code"], json!(40403));
    assert_eq!(setup.get("/config/kept"), json!({ "compatibilityLevel": "FULL_TRANSITIVE" }));
    assert_eq!(setup.register("again", avro(ID)), kept);
    assert_eq!(setup.register("new", json!({ "schema": "\"float\"" })), last + 1);
    let transport = KafkaTransport::connect([("bootstrap.servers".to_owned(), setup.site.listen.to_string())].into());
    let settings = transport.unwrap().admin().topic_settings("_schemas").unwrap();
    assert_eq!(settings["cleanup.policy"], "compact");
}

/// Goal: two shells have one registry, and clients keep it when the first process ends. Method: the host is killed with
/// -9, and the same address answers with the same schemas, also when the host comes back and waits in turn.
#[test]
fn a_second_shell_takes_over() {
    let setup = Setup::new();
    let broker = setup.start();
    let id = setup.register("orders-value", avro(ID));
    let mut shell = Shell::open(setup.folder.path());
    shell.answer("SHOW TOPICS;");
    broker.kill().unwrap();

    assert_eq!(setup.get("/subjects"), json!(["orders-value"]), "the second process has taken over");
    let next = setup.register("others-value", json!({ "schema": "\"int\"" }));
    assert_ne!(next, id);
    shell.answer("SHOW TOPICS;");
    // A third one takes over from a process that ends as it should.
    let mut third = Shell::open(setup.folder.path());
    third.answer("SHOW TOPICS;");
    shell.end();
    assert_eq!(setup.get(&format!("/schemas/ids/{next}"))["schema"], json!("\"int\""));
    assert_eq!(setup.register("orders-value", avro(ID)), id);
    third.end();
}
