//! Schemas of any kind, and payloads of any kind with them.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::{DataType, Field, Fields};
use headwater_formats::format::{Decoder, FormatKind, FramedProtobufDecoder, Layout, Names, infer};
use headwater_formats::schema::{Schema, SchemaKind, WriterSchema};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TEXT: &str = "syntax = \"proto3\"; package p.q; import \"google/protobuf/wrappers.proto\"; \
    import \"google/type/date.proto\"; import \"confluent/meta.proto\"; option java_package = \"x\"; \
    message M { int32 a = 1 [deprecated = true, (confluent.field_meta) = { params: [{ key: \"k\", value: \"v\" }] }]; \
    repeated sint64 b = 2; map<string, N> c = 3; oneof o { string d = 4; N e = 5; } \
    optional E f = 6; google.protobuf.StringValue g = 7; google.type.Date h = 8; M i = 9; reserved 20 to 30; \
    message N { double x = 1; repeated string y = 2; } enum E { option allow_alias = true; ZERO = 0; ONE = 1; UN = 1; } } ";

/// How many schemas are tried: more of them on request.
#[allow(clippy::disallowed_methods, reason = "a test has no other settings")]
fn tries() -> u64 {
    std::env::var("PROTOBUF_SCHEMAS").ok().and_then(|tries| tries.parse().ok()).unwrap_or(400)
}

/// Goal: no schema and no payload make a decoder panic, and what is bad does not depend on the columns. Method: pieces of
/// a schema are left out, doubled and exchanged; payloads are random bytes behind a frame.
#[test]
fn schemas_of_any_kind_are_compiled_or_refused() {
    let (layout, mut compiled) = (layout(), 0);
    let all: Vec<_> = (0..layout.fields.len()).collect();
    for seed in 0..tries() {
        let rng = &mut StdRng::seed_from_u64(seed);
        let text = changed(rng);
        let schema =
            Arc::new(Schema { kind: SchemaKind::Protobuf, text: text.as_str().into(), references: Vec::new() });
        let payloads: Vec<_> = (0..20).map(|_| payload(rng)).collect();
        let payloads = BinaryArray::from_iter_values(&payloads);
        let decode = |projection: &[usize]| {
            let mut decoder = FramedProtobufDecoder::try_new(&layout, projection).unwrap();
            decoder.learn(1, Ok(Arc::clone(&schema)));
            decoder.decode(&payloads)
        };
        let (whole, none) = (decode(&all), decode(&[]));
        assert_eq!(whole.bad, none.bad, "seed {seed}: {text}");
        whole.columns.iter().for_each(|column| column.to_data().validate_full().unwrap());
        compiled += u64::from(whole.bad.len() < payloads.len());
        // Compiling takes the time.
        if seed % 4 == 0 {
            read_and_write(&schema, &payloads);
        }
    }
    assert!(compiled > tries() / 50 && compiled < tries(), "schemas of both kinds are tried: {compiled}");
}

/// Infers the columns of a schema, reads payloads into them and writes those that are good again.
fn read_and_write(schema: &Arc<Schema>, payloads: &BinaryArray) {
    let Ok(inferred) = infer(schema, None, Names::AsWritten, "ROWVAL") else { return };
    let writer = WriterSchema { id: Some(1), schema: Arc::clone(schema), full_name: None };
    let layout = Layout { schema: Some(Arc::new(writer)), ..Layout::of(inferred.fields) };
    let all: Vec<_> = (0..layout.fields.len()).collect();
    // Protobuf has arrays in maps of other messages, which the format does not hold.
    let Ok(mut decoder) = FormatKind::Protobuf.decoder(&layout, &all) else { return };
    let read = decoder.decode(payloads);
    let Ok(mut encoder) = FormatKind::Protobuf.encoder(&layout) else { return };
    let written = encoder.encode(&read.columns, payloads.len(), None);
    let again = decoder.decode(&written.payloads);
    assert_eq!(again.bad, [], "what is written can be read: {}", schema.text);
}

fn layout() -> Layout {
    let record = [("X", DataType::Float64), ("Y", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))))];
    let record =
        DataType::Struct(record.map(|(name, kind)| Field::new(name, kind, true)).into_iter().collect::<Fields>());
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", record.clone(), true)]);
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false);
    let fields = [
        ("A", DataType::Int32),
        ("B", DataType::List(Arc::new(Field::new("item", DataType::Int64, true)))),
        ("C", map),
        ("D", DataType::Utf8),
        ("E", record),
        ("F", DataType::Utf8),
        ("G", DataType::Utf8),
        ("H", DataType::Date32),
    ];
    let fields = fields.map(|(name, kind)| Arc::new(Field::new(name, kind, true))).to_vec();
    Layout::of(fields)
}

/// The text with some of its words and signs changed.
fn changed(rng: &mut StdRng) -> String {
    let mut pieces: Vec<&str> = TEXT.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
    for _ in 0..rng.random_range(0..4) {
        let (at, other) = (rng.random_range(0..pieces.len()), rng.random_range(0..pieces.len()));
        match rng.random_range(0..5) {
            0 => drop(pieces.remove(at)),
            1 => pieces.insert(at, pieces[other]),
            2 => pieces.swap(at, other),
            3 => pieces.truncate(at + 1),
            _ => {
                pieces[at] =
                    ["{", "}", "99999999999999999999 ", "-", "\0", "\u{e9}", "\"", "/*"][rng.random_range(0..8)]
            }
        }
        if pieces.is_empty() {
            break;
        }
    }
    pieces.concat()
}

fn payload(rng: &mut StdRng) -> Vec<u8> {
    let mut payload = vec![0, 0, 0, 0, 1, 0];
    for _ in 0..rng.random_range(0..6) {
        let tag = rng.random_range(1..11) << 3 | [0, 1, 2, 2, 2, 5][rng.random_range(0..6)];
        payload.push(tag);
        payload.extend((0..rng.random_range(0..5)).map(|_| rng.random_range(0..6_u8)));
    }
    payload
}
