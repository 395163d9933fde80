//! Goal: the embedded registry answers as real ones do. Method: one set of expectations, through the client, which runs
//! against the embedded registry, and against a real one if `HEADWATER_TEST_REGISTRY` has its URL. Subjects have names of
//! their own, so that a registry may be used again.
//!
//! Where AxonOps' registry (0.2.1) is known to differ, the expectation says so: `real` is what that one answers.

mod compatibility;
mod setup;

use headwater_formats::schema::SchemaKind;
use headwater_registry::{Deletion, Level, Missing, NewSchema, Registry, RegistryError};
use setup::{Setup, missing};

const ORDER: &str =
    r#"{"type": "record", "name": "Order", "namespace": "t", "fields": [{"name": "id", "type": "long"}]}"#;
const ITEM: &str = "syntax = \"proto3\"; package t; message Item { string sku = 1; int32 n = 2; }";
const OBJECT: &str = r#"{"type": "object", "properties": {"a": {"type": "integer"}}}"#;

fn avro(text: &str) -> NewSchema {
    NewSchema::new(SchemaKind::Avro, text)
}

fn protobuf(text: &str) -> NewSchema {
    NewSchema::new(SchemaKind::Protobuf, text)
}

fn json(text: &str) -> NewSchema {
    NewSchema::new(SchemaKind::Json, text)
}

async fn register(registry: &Registry, subject: &str, new: &NewSchema) -> u32 {
    registry.register(subject, new).await.unwrap_or_else(|error| panic!("{subject}: {error}"))
}

#[tokio::test]
async fn ids_belong_to_contents() {
    let setup = Setup::start().await;
    let spaced = |text: &str| text.replace(' ', "\n ").replace("\n \n ", "\n ");
    for new in [avro(ORDER), protobuf(ITEM), json(OBJECT)] {
        let (one, other) = (setup.subject("one"), setup.subject("other"));
        let id = register(&setup.registry, &one, &new).await;
        assert_eq!(register(&setup.connect(), &one, &new).await, id, "registered again");
        assert_eq!(register(&setup.registry, &other, &new).await, id, "under another subject");
        let other_space = NewSchema { text: spaced(&new.text), ..new.clone() };
        assert_eq!(register(&setup.registry, &one, &other_space).await, id, "with other white space");
        assert_eq!(setup.registry.versions(&one).await, Ok(vec![1]));
    }
}

#[tokio::test]
async fn schemas_are_found_by_id_and_by_subject() {
    let setup = Setup::start().await;
    for new in [avro(ORDER), protobuf(ITEM), json(OBJECT)] {
        let subject = setup.subject("found");
        let id = register(&setup.registry, &subject, &new).await;
        let schema = setup.registry.schema(id).await.expect("it is registered");
        assert_eq!((schema.kind, schema.references.len()), (new.kind, 0));
        let latest = setup.registry.latest(&subject).await.expect("it is registered");
        assert_eq!((latest.version, latest.id, &*latest.subject), (1, id, &*subject));
        assert_eq!(setup.registry.version(&subject, 1).await, Ok(latest.clone()));
        assert_eq!(setup.registry.look_up(&subject, &new).await.map(|found| found.version), Ok(1));
        assert!(setup.registry.subjects().await.expect("a list").contains(&subject));
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let setup = Setup::start().await;
    let (subject, none) = (setup.subject("there"), setup.subject("none"));
    register(&setup.registry, &subject, &avro(ORDER)).await;
    let registry = &setup.registry;
    assert_eq!(missing(registry.schema(99_999_999).await), Missing::Schema);
    assert_eq!(missing(registry.latest(&none).await), Missing::Subject);
    assert_eq!(missing(registry.versions(&none).await), Missing::Subject);
    assert_eq!(missing(registry.version(&subject, 77).await), Missing::Version);
    assert_eq!(missing(registry.look_up(&none, &avro(ORDER)).await), Missing::Subject);
    assert_eq!(missing(registry.look_up(&subject, &avro("\"string\"")).await), Missing::Schema);
    assert_eq!(missing(registry.delete_subject(&none, Deletion::Soft).await), Missing::Subject);
    assert_eq!(registry.level(Some(&none)).await, Ok(None));
    let zero = registry.version(&subject, 0).await;
    assert!(matches!(zero, Err(RegistryError::Invalid { code: 42202, .. })), "{zero:?}");
}

#[tokio::test]
async fn invalid_schemas_are_rejected() {
    let setup = Setup::start().await;
    let invalid = [
        avro(r#"{"type": "nothing"}"#),
        avro(r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]}"#),
        avro("{"),
        protobuf("message {"),
        protobuf("syntax = \"proto3\"; message A { Unknown u = 1; }"),
        protobuf("syntax = \"proto3\"; import \"none.proto\"; message A { int32 a = 1; }"),
        json(r#"{"type": "nothing"}"#),
        json("{"),
    ];
    for new in invalid {
        let subject = setup.subject("invalid");
        let answer = setup.registry.register(&subject, &new).await;
        assert!(matches!(answer, Err(RegistryError::Invalid { code: 42201, .. })), "{new:?}: {answer:?}");
    }
    let reference = avro(r#"{"type":"record","name":"A","fields":[{"name":"o","type":"t.Order"}]}"#);
    let answer = setup.registry.register("a", &reference.with_reference("t.Order", setup.subject("none"), 1)).await;
    assert!(matches!(answer, Err(RegistryError::Invalid { code: 42201, .. })), "{answer:?}");
}

#[tokio::test]
async fn references_are_resolved() {
    let setup = Setup::start().await;
    let (registry, item, cart) = (&setup.registry, setup.subject("item"), setup.subject("cart"));
    register(registry, &item, &protobuf(ITEM)).await;
    let text = r#"syntax = "proto3"; package t; import "item.proto"; message Cart { repeated Item items = 1; }"#;
    register(registry, &cart, &protobuf(text).with_reference("item.proto", &item, 1)).await;
    let text = r#"syntax = "proto3"; package t; import "cart.proto"; import "google/protobuf/timestamp.proto";
        message Order { Cart cart = 1; google.protobuf.Timestamp at = 2; }"#;
    let order = protobuf(text).with_reference("cart.proto", &cart, 1);
    let id = register(registry, &setup.subject("order"), &order).await;
    let schema = setup.connect().schema(id).await.expect("it is registered");
    assert_eq!(schema.references[0].name, "cart.proto");
    assert!(schema.references[0].schema.references[0].schema.text.contains("message Item"));

    let orders = setup.subject("orders");
    register(registry, &orders, &avro(ORDER)).await;
    let line = r#"{"type":"record","name":"Line","namespace":"t","fields":[{"name":"o","type":"t.Order"}]}"#;
    let id = register(registry, &setup.subject("line"), &avro(line).with_reference("t.Order", &orders, 1)).await;
    assert_eq!(registry.schema(id).await.expect("it is registered").references.len(), 1);

    let object = setup.subject("object");
    register(registry, &object, &json(OBJECT)).await;
    let refers = json(r#"{"type":"object","properties":{"o":{"$ref":"object.json"}}}"#);
    let id = register(registry, &setup.subject("refers"), &refers.with_reference("object.json", &object, 1)).await;
    assert_eq!(registry.schema(id).await.expect("it is registered").references[0].name, "object.json");

    let referenced = registry.delete_version(&orders, 1, Deletion::Soft).await;
    assert!(matches!(referenced, Err(RegistryError::Invalid { code: 42206, .. })), "{referenced:?}");
}

#[tokio::test]
async fn conflicts_say_what_differs() {
    let setup = Setup::start().await;
    let (registry, subject) = (&setup.registry, setup.subject("strict"));
    register(registry, &subject, &avro(ORDER)).await;
    registry.set_level(Some(&subject), Level::Backward).await.expect("it is set");
    assert_eq!(registry.level(Some(&subject)).await, Ok(Some(Level::Backward)));
    let with = |field: &str| avro(&ORDER.replace("}]", &format!("}}, {field}]")));
    let bad = with(r#"{"name": "note", "type": "string"}"#);
    let found = registry.check(&subject, &bad).await.expect("they are compared");
    assert!(!found.is_compatible && found.messages.iter().any(|text| text.contains("note")), "{found:?}");
    match registry.register(&subject, &bad).await {
        Err(RegistryError::Incompatible { messages }) => {
            assert!(messages.iter().any(|text| text.contains("note")), "{messages:?}");
        }
        other => panic!("{other:?}"),
    }
    let good = with(r#"{"name": "note", "type": "string", "default": ""}"#);
    assert!(registry.check(&subject, &good).await.expect("they are compared").is_compatible);
    register(registry, &subject, &good).await;
    assert_eq!(registry.versions(&subject).await, Ok(vec![1, 2]));
    registry.set_level(Some(&subject), Level::None).await.expect("it is set");
    register(registry, &subject, &avro("\"int\"")).await;
    let new = setup.subject("new");
    assert!(registry.check(&new, &bad).await.expect("nothing to compare with").is_compatible);
}

#[tokio::test]
async fn transitive_levels_count_all_versions() {
    let setup = Setup::start().await;
    let (registry, subject) = (&setup.registry, setup.subject("transitive"));
    let fields = |fields: &str| avro(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#));
    let (a, b) = (r#"{"name":"a","type":"int"}"#, r#"{"name":"b","type":"int","default":0}"#);
    register(registry, &subject, &fields(a)).await;
    register(registry, &subject, &fields(&format!("{a},{b}"))).await;
    // Version 2 has b, so its default is not needed; version 1 has not.
    let third = fields(&format!("{a},{}", r#"{"name":"b","type":"int"}"#));
    registry.set_level(Some(&subject), Level::BackwardTransitive).await.expect("it is set");
    let refused = registry.register(&subject, &third).await;
    assert!(matches!(refused, Err(RegistryError::Incompatible { .. })), "{refused:?}");
    registry.set_level(Some(&subject), Level::Backward).await.expect("it is set");
    register(registry, &subject, &third).await;
}

#[tokio::test]
async fn what_is_deleted_softly_can_be_read_by_id() {
    let setup = Setup::start().await;
    let (registry, subject) = (&setup.registry, setup.subject("deleted"));
    let id = register(registry, &subject, &json(OBJECT)).await;
    let early = registry.delete_subject(&subject, Deletion::Permanent).await;
    assert_eq!(missing(early), Missing::Subject);
    assert_eq!(registry.delete_subject(&subject, Deletion::Soft).await, Ok(vec![1]));
    assert!(!registry.subjects().await.expect("a list").contains(&subject));
    assert_eq!(missing(registry.latest(&subject).await), Missing::Subject);
    assert!(setup.connect().schema(id).await.is_ok());
    assert_eq!(missing(registry.delete_subject(&subject, Deletion::Soft).await), Missing::Subject);
    // It comes back as the next version, with the same id.
    assert_eq!(register(registry, &subject, &json(OBJECT)).await, id);
    assert_eq!(registry.latest(&subject).await.map(|latest| latest.version), Ok(2));
    assert_eq!(registry.delete_subject(&subject, Deletion::Soft).await, Ok(vec![2]));
    let gone = registry.delete_subject(&subject, Deletion::Permanent).await.expect("it is deleted");
    assert!(gone.contains(&2), "{gone:?}");
    assert_eq!(missing(registry.versions(&subject).await), Missing::Subject);
}

#[tokio::test]
async fn single_versions_are_deleted() {
    let setup = Setup::start().await;
    let (registry, subject) = (&setup.registry, setup.subject("versions"));
    registry.set_level(Some(&subject), Level::None).await.expect("it is set");
    for text in ["\"int\"", "\"long\"", "\"string\""] {
        register(registry, &subject, &avro(text)).await;
    }
    registry.delete_version(&subject, 3, Deletion::Soft).await.expect("it is deleted");
    assert_eq!(registry.versions(&subject).await, Ok(vec![1, 2]));
    assert_eq!(registry.latest(&subject).await.map(|latest| latest.version), Ok(2));
    assert_eq!(missing(registry.version(&subject, 3).await), Missing::Version);
    assert_eq!(missing(registry.delete_version(&subject, 2, Deletion::Permanent).await), Missing::Version);
    registry.delete_version(&subject, 3, Deletion::Permanent).await.expect("it is deleted");
}

#[tokio::test]
async fn subjects_may_have_any_name() {
    let setup = Setup::start().await;
    for name in ["a b", "a/b", "ä", "a%2Fb", "a?b&c=d", "com.example.Order-value"] {
        // AxonOps' registry answers with the name as it was in the path.
        if setup.is_real && name.contains(['/', '%', '?']) {
            continue;
        }
        let subject = setup.subject(name);
        register(&setup.registry, &subject, &avro(ORDER)).await;
        assert_eq!(setup.registry.latest(&subject).await.map(|latest| latest.subject), Ok(subject));
    }
}
