//! Schemas of any kind: JSON Schemas that are put together at random, and schemas of columns with words of each other.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use headwater_formats::format::{Layout, Names, infer};
use headwater_formats::schema::{Reference, Schema, SchemaKind, WriterSchema};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{Case, FormatKind, seeds};
use crate::random::damage;

/// Goal: no schema makes the inference panic or run away, and a decoder and an encoder of what is inferred work. Method:
/// schemas of columns in which words are exchanged, and JSON Schemas at random.
#[test]
fn schemas_of_any_kind_are_inferred_or_refused() {
    let mut accepted = 0;
    let mut count = 0;
    for (seed, format, mut rng) in seeds(150) {
        let rng = &mut rng;
        let schema = any_schema(rng, format);
        count += 1;
        let Ok(inferred) = infer(&schema, None, Names::Upper, "ROWVAL") else { continue };
        accepted += 1;
        let writer = WriterSchema { id: Some(7), schema, full_name: None };
        let layout =
            Layout { wrapped: inferred.is_record, schema: Some(Arc::new(writer)), ..Layout::of(inferred.fields) };
        let all: Vec<_> = (0..layout.fields.len()).collect();
        let payloads: Vec<_> = (0..5).map(|_| payload(rng)).collect();
        let payloads = BinaryArray::from_iter_values(&payloads);
        // A type that the language has and the format has not is refused.
        let Ok(mut decoder) = format.decoder(&layout, &all) else { continue };
        let decoded = decoder.decode(&payloads);
        let none = format.decoder(&layout, &[]).unwrap().decode(&payloads);
        assert_eq!(decoded.bad, none.bad, "{format}, seed {seed}");
        if let Ok(mut encoder) = format.encoder(&layout) {
            encoder.encode(&decoded.columns, payloads.len(), None);
        }
    }
    assert!(accepted > count / 20 && accepted < count, "schemas of both kinds are tried: {accepted} of {count}");
}

fn payload(rng: &mut StdRng) -> Vec<u8> {
    let header = [0, 0, 0, 0, 7];
    let rest: Vec<u8> = match rng.random() {
        true => b"{\"a\": [{\"key\": 1, \"value\": {}}], \"b\": 7}"[..rng.random_range(0..40)].to_vec(),
        false => (0..rng.random_range(0..40)).map(|_| rng.random_range(0..6)).collect(),
    };
    [&header[..], &rest].concat()
}

fn any_schema(rng: &mut StdRng, format: FormatKind) -> Arc<Schema> {
    let kind = format.schema_kind().unwrap();
    if kind == SchemaKind::Json && rng.random_bool(0.6) {
        let other = Arc::new(Schema { kind, text: document(rng).to_string().into(), references: Vec::new() });
        let references = vec![Reference { name: "other.json".to_owned(), schema: other }];
        let mut text = document(rng).to_string();
        if rng.random_bool(0.1) {
            text = String::from_utf8_lossy(&damage(rng, text.as_bytes())).into_owned();
        }
        return Arc::new(Schema { kind, text: text.into(), references });
    }
    let text = Case::new(rng, format).schema().text.to_string();
    let text = if rng.random_bool(0.3) { text } else { reworded(rng, &text) };
    Arc::new(Schema { kind, text: text.into(), references: Vec::new() })
}

/// The text with some of its words and signs changed.
fn reworded(rng: &mut StdRng, text: &str) -> String {
    let mut pieces: Vec<&str> = text.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
    for _ in 0..rng.random_range(1..4) {
        let (at, other) = (rng.random_range(0..pieces.len()), rng.random_range(0..pieces.len()));
        match rng.random_range(0..4) {
            0 if pieces.len() > 1 => drop(pieces.remove(at)),
            1 => pieces.insert(at, pieces[other]),
            2 => pieces.swap(at, other),
            _ => pieces[at] = pieces[other],
        }
    }
    pieces.concat()
}

/// A JSON Schema with definitions, which may lead back to themselves.
fn document(rng: &mut StdRng) -> Value {
    let mut root = any_type(rng, 4);
    if root.is_object() {
        root["definitions"] = json!({ "a": any_type(rng, 2), "b": any_type(rng, 2) });
        if rng.random_bool(0.3) {
            root["$id"] = "self.json".into();
        }
    }
    root
}

fn any_type(rng: &mut StdRng, depth: u32) -> Value {
    let mut schema = match rng.random_range(0..if depth == 0 { 9 } else { 16 }) {
        0 => json!({ "type": "string" }),
        1 => json!({ "type": "integer" }),
        2 => json!({ "type": "number" }),
        3 => json!({ "type": ["null", "boolean"] }),
        4 => json!({ "enum": ["a", "b", any_constant(rng)] }),
        5 => json!({ "const": any_constant(rng) }),
        6 => any_constant(rng),
        7 | 8 => json!({ "$ref": any_reference(rng) }),
        9 => json!({ "type": "array", "items": any_type(rng, depth - 1) }),
        10 => json!({ "type": "object", "additionalProperties": any_type(rng, depth - 1) }),
        11 => {
            let key = ["oneOf", "anyOf", "allOf"][rng.random_range(0..3)];
            let count = rng.random_range(0..3);
            let mut parts: Vec<_> = (0..count).map(|_| any_type(rng, depth - 1)).collect();
            parts.push(json!({ "type": "null" }));
            json!({ key: parts })
        }
        12 => json!({ "type": "array", "connect.type": "map", "items": any_type(rng, depth - 1) }),
        _ => {
            let names = ["a", "A", "b", "key", "value", ""];
            let count = rng.random_range(0..4);
            let properties = (0..count).map(|_| (names[rng.random_range(0..6)].to_owned(), any_type(rng, depth - 1)));
            json!({ "type": "object", "properties": properties.collect::<serde_json::Map<_, _>>() })
        }
    };
    if schema.is_object() && rng.random_bool(0.3) {
        let (key, value) = any_member(rng);
        schema[key] = value;
    }
    schema
}

fn any_member(rng: &mut StdRng) -> (&'static str, Value) {
    match rng.random_range(0..6) {
        0 => ("connect.index", any_constant(rng)),
        1 => ("connect.type", ["int8", "bytes", "map", "float32", "int64"][rng.random_range(0..5)].into()),
        2 => {
            let name = ["Decimal", "Date", "Time", "Timestamp", "Other"][rng.random_range(0..5)];
            ("title", format!("org.apache.kafka.connect.data.{name}").into())
        }
        3 => {
            let number = |rng: &mut StdRng| rng.random_range(-2..80).to_string();
            ("connect.parameters", json!({ "scale": number(rng), "connect.decimal.precision": number(rng) }))
        }
        4 => ("type", any_constant(rng)),
        _ => ("items", any_constant(rng)),
    }
}

fn any_constant(rng: &mut StdRng) -> Value {
    [json!(null), json!(true), json!(7), json!(-0.5), json!("x"), json!([1]), json!({})][rng.random_range(0..7)].clone()
}

fn any_reference(rng: &mut StdRng) -> &'static str {
    const ALL: [&str; 9] = [
        "#",
        "#/definitions/a",
        "#/definitions/b",
        "other.json",
        "other.json#/definitions/a",
        "self.json",
        "self.json#/properties/a",
        "#/definitions/none",
        "none.json#",
    ];
    ALL[rng.random_range(0..ALL.len())]
}
