//! Texts of schemas: what is understood, and what is wrong with others.

use std::sync::Arc;

use super::super::super::Names;
use super::super::super::types::sql_name;
use super::super::{AvroSchema, infer};
use super::schema;
use crate::schema::{Reference, Schema, SchemaKind};

#[test]
fn what_is_wrong_is_said() {
    let refused = |text: &str| AvroSchema::parse_text(text).unwrap_err();
    for (text, reason) in [
        ("{", "the schema is not JSON: EOF while parsing an object at line 1 column 1"),
        ("7", "expected a type, found 7"),
        ("{}", "a type has no \"type\""),
        (r#""Order""#, "the type \"Order\" is not defined"),
        (r#"["int", "int"]"#, "\"int\" appears twice in a union"),
        (r#"["int", ["null"]]"#, "a union cannot contain a union"),
        (r#"{"type": "array"}"#, "an array has no \"items\""),
        (r#"{"type": "map", "values": "x"}"#, "values: the type \"x\" is not defined"),
        (r#"{"type": "fixed", "name": "F", "size": -1}"#, "fixed F has no valid \"size\""),
        (r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#, "\"A\" appears twice in enum E"),
        (r#"{"type": "record", "name": "R"}"#, "record R has no array of \"fields\""),
        (r#"{"type": "record", "fields": []}"#, "a type record has no \"name\""),
        (r#"{"type": "record", "name": "1R", "fields": []}"#, "\"1R\" is not a valid name"),
        (r#"{"type": "record", "name": "int", "fields": []}"#, "\"int\" is not a valid name"),
        (
            r#"{"type": "record", "name": "R", "namespace": "a.b", "fields": [{"name": "f", "type": "g"}]}"#,
            "record a.b.R: field \"f\": the type \"g\" is not defined",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "f", "type": "int"}, {"name": "f", "type": "int"}]}"#,
            "record R has two fields \"f\"",
        ),
        (
            r#"["int", {"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}]"#,
            "the type \"F\" is defined twice",
        ),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(refused(&deep).contains("recursion limit"));
}

#[test]
fn names_have_namespaces() {
    let text = r#"{"type": "record", "name": "Outer", "namespace": "a.b", "fields": [
        {"name": "one", "type": {"type": "record", "name": "c.Inner", "fields": [
            {"name": "two", "type": {"type": "enum", "name": "Kind", "symbols": ["A"]}}]}},
        {"name": "three", "type": "c.Kind"},
        {"name": "four", "type": {"type": "fixed", "name": "Four", "namespace": "", "size": 4}},
        {"name": "five", "type": ["Four", "a.b.Outer", "null", {"type": "c.Inner"}]}]}"#;
    assert_eq!(schema(text), schema(&text.replace("\"a.b.Outer\"", "\"Outer\"")));
}

#[test]
fn a_bare_name_is_a_schema() {
    assert_eq!(schema("string"), schema("\"string\""));
    assert_eq!(schema(r#"{"type": {"type": "string"}}"#), schema("\"string\""));
}

#[test]
fn logical_types_that_do_not_fit_are_ignored() {
    for text in [
        r#"{"type": "string", "logicalType": "date"}"#,
        r#"{"type": "string", "logicalType": "decimal", "precision": 4}"#,
        r#"{"type": "string", "logicalType": "unheard-of"}"#,
    ] {
        assert_eq!(schema(text), schema("\"string\""), "{text}");
    }
    for text in [
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 0}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": "2"}"#,
    ] {
        assert_eq!(schema(text), schema("\"bytes\""), "{text}");
    }
}

#[test]
fn schemas_refer_to_others() {
    let avro =
        |text: &str, references: Vec<Reference>| Schema { kind: SchemaKind::Avro, text: text.into(), references };
    let reference = |name: &str, schema: &Schema| Reference { name: name.to_owned(), schema: Arc::new(schema.clone()) };
    let money = avro(r#"{"type": "record", "name": "a.Money", "fields": [{"name": "cents", "type": "long"}]}"#, vec![]);
    let line = r#"{"type": "record", "name": "a.Line", "fields": [{"name": "price", "type": "Money"}]}"#;
    let line = avro(line, vec![reference("a.Money", &money)]);
    let order = r#"{"type": "record", "name": "a.Order", "fields":
        [{"name": "total", "type": "a.Money"}, {"name": "line", "type": "Line"}]}"#;
    let order = avro(order, vec![reference("a.Line", &line), reference("a.Money", &money)]);
    let inferred = infer(&AvroSchema::parse(&order).unwrap(), Names::Upper, "ROWVAL");
    let types: Vec<_> = inferred.fields.iter().map(|field| sql_name(field.data_type())).collect();
    assert_eq!(types, ["STRUCT<CENTS BIGINT>", "STRUCT<PRICE STRUCT<CENTS BIGINT>>"]);
    let missing = Schema { references: Vec::new(), ..order.clone() };
    let reason = "record a.Order: field \"total\": the type \"a.Money\" is not defined";
    assert_eq!(AvroSchema::parse(&missing).unwrap_err(), reason);
    let broken = Schema { references: vec![reference("a.Money", &avro("7", vec![]))], ..order };
    assert_eq!(AvroSchema::parse(&broken).unwrap_err(), "in the reference \"a.Money\": expected a type, found 7");
}

/// Several schemas may refer to one, each by a name of its own.
#[test]
fn references_may_meet_again() {
    let avro = |text: &str, references: &[(&str, &Arc<Schema>)]| {
        let reference =
            |(name, schema): &(&str, &Arc<Schema>)| Reference { name: (*name).to_owned(), schema: Arc::clone(schema) };
        let references = references.iter().map(reference).collect();
        Arc::new(Schema { kind: SchemaKind::Avro, text: text.into(), references })
    };
    let money = avro(r#"{"type": "fixed", "name": "a.Money", "size": 4}"#, &[]);
    let line = r#"{"type": "record", "name": "a.Line", "fields": [{"name": "price", "type": "Money"}]}"#;
    let line = avro(line, &[("money.avsc", &money)]);
    let order = r#"{"type": "record", "name": "a.Order", "fields":
        [{"name": "total", "type": "a.Money"}, {"name": "line", "type": "Line"}]}"#;
    let inferred = |order: &Schema| infer(&AvroSchema::parse(order).unwrap(), Names::Upper, "ROWVAL").fields.len();
    assert_eq!(inferred(&avro(order, &[("the line", &line), ("money", &money)])), 2);
    assert_eq!(inferred(&avro(order, &[("money", &money), ("the line", &line)])), 2);
    // Each refers to the next one twice: a walk along every way would not end.
    let mut int = avro("\"int\"", &[]);
    for _ in 0..32 {
        int = avro("\"int\"", &[("one", &int), ("two", &int)]);
    }
    assert_eq!(*AvroSchema::parse(&int).unwrap().root(), *schema("\"int\"").root());
}

/// What Avro's own library parses we parse, too, and the reverse, but for what is said in `parse`.
#[test]
fn the_peer_agrees() {
    for text in [
        r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "R"], "default": null}]}"#,
        r#"{"type": "fixed", "name": "a.b.F", "size": 3}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}"#,
        r#"{"type": "array", "items": {"type": "map", "values": {"type": "long", "logicalType": "timestamp-micros"}}}"#,
        r#"["null", "string", {"type": "bytes", "logicalType": "decimal", "precision": 4}]"#,
        r#""nothing""#,
        r#"["int", ["string"]]"#,
        r#"["int", "int"]"#,
        r#"{"type": "map"}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#,
    ] {
        let (ours, peer) = (AvroSchema::parse_text(text), apache_avro::Schema::parse_str(text));
        assert_eq!(ours.is_ok(), peer.is_ok(), "{text}: {ours:?}, {peer:?}");
    }
}
