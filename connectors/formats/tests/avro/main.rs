//! AVRO beside Avro's own library, over random schemas and values.
//!
//! Goals: what we write we read back, and the library reads it; what the library writes we read, value for value, and
//! write again byte for byte; and no payload and no schema, however damaged, does more than make its row bad. The
//! ordinary tests take seconds; the ignored ones are the same with more records (`cargo test --release -- --ignored`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

mod generate;
#[path = "../support/random.rs"]
mod random;
mod same;

use std::sync::Arc;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow::array::{Array, BinaryArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use headwater_formats::format::avro::{
    AvroSchema, DEFAULT_FULL_NAME, bare_decoder, decoder, encoder, infer, schema_of,
};
use headwater_formats::format::{Decoded, FormatKind, Layout, Names};
use headwater_formats::schema::{Schema, SchemaKind, WriterSchema};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use generate::{random_record, random_value};
use random::{damage, random_column, random_named_layout};

const ROWS: usize = 20;

#[test]
fn what_is_written_is_read_back() {
    round_trips(150);
}

#[test]
#[ignore = "takes minutes"]
fn what_is_written_is_read_back_100_000() {
    round_trips(5_000);
}

#[test]
fn the_peer_writes_what_we_read_and_write() {
    peer_writes(150);
}

#[test]
#[ignore = "takes minutes"]
fn the_peer_writes_what_we_read_and_write_100_000() {
    peer_writes(5_000);
}

#[test]
fn damaged_payloads_cost_their_row_and_nothing_else() {
    damaged_payloads(150);
}

#[test]
#[ignore = "takes minutes"]
fn damaged_payloads_10_000_000() {
    damaged_payloads(500_000);
}

#[test]
fn damaged_schemas_are_refused_or_not() {
    damaged_schemas(3_000);
}

#[test]
#[ignore = "takes minutes"]
fn damaged_schemas_1_000_000() {
    damaged_schemas(1_000_000);
}

fn round_trips(seeds: u64) {
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let layout = random_columns(&mut rng);
        let columns: Vec<_> =
            layout.fields.iter().map(|field| random_column(&mut rng, field.data_type(), ROWS)).collect();
        let text = schema_of(&layout, DEFAULT_FULL_NAME).unwrap();
        let encoded = encoder(&layout, &parsed(&text), Some(7)).unwrap().encode(&columns, ROWS, None);
        assert_eq!(encoded.bad, [], "seed {seed}");
        let projection: Vec<_> = (0..columns.len()).rev().filter(|_| rng.random_bool(0.7)).collect();
        let decoded = decode_registered(&layout, &projection, &text, &encoded.payloads);
        assert_eq!(decoded.bad, [], "seed {seed}: {text}");
        for (column, field) in decoded.columns.iter().zip(&projection) {
            assert_eq!(column, &columns[*field], "seed {seed}, column {field}: {text}");
        }
        the_peer_reads(&text, &encoded.payloads, seed);
    }
}

/// The peer reads each payload to its end and writes it again.
fn the_peer_reads(text: &str, payloads: &BinaryArray, seed: u64) {
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    for payload in payloads.iter().flatten() {
        let mut rest = &payload[5..];
        let value = reader.read_value(&mut rest).unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
        assert!(rest.is_empty(), "seed {seed}");
        let again = writer.write_value_to_vec(value).unwrap();
        // Maps come in any order.
        assert_eq!(again.len(), payload.len() - 5, "seed {seed}: {text}");
    }
}

fn decode_registered(layout: &Layout, projection: &[usize], text: &str, payloads: &BinaryArray) -> Decoded {
    let mut decoder = decoder(layout, projection).unwrap();
    let schema = Schema { kind: SchemaKind::Avro, text: text.into(), references: Vec::new() };
    let present = payloads.null_count() < payloads.len();
    assert_eq!(decoder.missing_schemas(payloads), if present { vec![7] } else { vec![] });
    decoder.learn(7, Ok(Arc::new(schema)));
    decoder.decode(payloads)
}

fn peer_writes(seeds: u64) {
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let json = random_record(&mut rng, 3, &mut 0);
        let text = json.to_string();
        let peer = apache_avro::Schema::parse_str(&text).unwrap();
        let writer = GenericDatumWriter::builder(&peer).build().unwrap();
        let values: Vec<_> = (0..ROWS).map(|_| random_value(&mut rng, &json)).collect();
        let payloads = values.iter().map(|value| Some(writer.write_value_to_vec(value.clone()).unwrap()));
        let payloads: BinaryArray = payloads.collect();
        let schema = Arc::new(parsed(&text));
        let inferred = infer(&schema, Names::AsWritten, "ROWVAL");
        assert_eq!(inferred.dropped, [], "seed {seed}: {text}");
        let layout = Layout::of(inferred.fields);
        let all: Vec<_> = (0..layout.fields.len()).collect();
        let decoded = bare_decoder(&layout, &all, schema.clone()).unwrap().decode(&payloads);
        assert_eq!(decoded.bad, [], "seed {seed}: {text}");
        for (row, value) in values.iter().enumerate() {
            let Value::Record(fields) = value else { panic!("a record was generated") };
            for (at, (_, value)) in fields.iter().enumerate() {
                same::assert_same(&json["fields"][at]["type"], value, &decoded.columns[at], row);
            }
        }
        let again = encoder(&layout, &schema, None).unwrap().encode(&decoded.columns, ROWS, None);
        assert_eq!(again.bad, [], "seed {seed}: {text}");
        assert_eq!(again.payloads, payloads, "seed {seed}: {text}");
    }
}

fn damaged_payloads(seeds: u64) {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let json = random_record(&mut rng, 2, &mut 0);
        let text = json.to_string();
        let peer = apache_avro::Schema::parse_str(&text).unwrap();
        let writer = GenericDatumWriter::builder(&peer).build().unwrap();
        let whole: Vec<_> =
            (0..ROWS).map(|_| writer.write_value_to_vec(random_value(&mut rng, &json)).unwrap()).collect();
        let payloads: BinaryArray = whole.iter().map(|bytes| Some(damage(&mut rng, bytes))).collect();
        let schema = Arc::new(parsed(&text));
        let inferred = infer(&schema, Names::Upper, "ROWVAL");
        let layout = Layout::of(narrowed(&mut rng, inferred.fields));
        let all: Vec<_> = (0..layout.fields.len()).collect();
        let expected = decode(&layout, &all, &schema, &payloads);
        good += ROWS - expected.bad.len();
        bad += expected.bad.len();
        check_rows(&expected, &payloads);
        for _ in 0..3 {
            let keep = rng.random_range(0.0..1.0);
            let projection: Vec<usize> = all.iter().rev().copied().filter(|_| rng.random_bool(keep)).collect();
            let found = decode(&layout, &projection, &schema, &payloads);
            assert_eq!(found.bad, expected.bad, "seed {seed}, columns {projection:?}: {text}");
            for (column, field) in found.columns.iter().zip(&projection) {
                assert_eq!(column, &expected.columns[*field], "seed {seed}, column {field} of {projection:?}");
            }
        }
    }
    println!("{good} good payloads, {bad} bad ones");
    assert!(good > bad / 20 && bad > good / 20, "both kinds of payloads are tried: {good} and {bad}");
}

/// Some of the columns, now and then of another type.
fn narrowed(rng: &mut StdRng, fields: Vec<FieldRef>) -> Vec<FieldRef> {
    let others = [DataType::Utf8, DataType::Int64, DataType::Float64, DataType::Binary];
    let mut kept = Vec::new();
    for field in fields {
        match rng.random_range(0..10) {
            0 => {}
            1 => kept.push(Arc::new(Field::new(field.name(), others[rng.random_range(0..4)].clone(), true))),
            _ => kept.push(field),
        }
    }
    kept
}

/// Two batches through one decoder, which may remember something of the first.
fn decode(layout: &Layout, projection: &[usize], schema: &Arc<AvroSchema>, payloads: &BinaryArray) -> Decoded {
    let mut decoder = bare_decoder(layout, projection, schema.clone()).unwrap();
    decoder.decode(payloads);
    decoder.decode(payloads)
}

/// Bad rows are null, and nothing takes much more room than the payloads.
fn check_rows(decoded: &Decoded, payloads: &BinaryArray) {
    let bytes = payloads.values().len();
    for column in &decoded.columns {
        column.to_data().validate_full().unwrap();
        assert!(decoded.bad.iter().all(|bad| column.is_null(bad.row)));
        assert!(column.get_array_memory_size() < 200 * bytes + 100_000, "{bytes} bytes");
    }
}

fn damaged_schemas(seeds: u64) {
    let mut accepted = 0;
    let mut last = "\"null\"".to_owned();
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let text = match rng.random() {
            true => random_record(&mut rng, 2, &mut 0).to_string(),
            false => schema_of(&random_columns(&mut rng), DEFAULT_FULL_NAME).unwrap(),
        };
        let reworded = reworded(&mut rng, &text);
        let text = String::from_utf8_lossy(&damage(&mut rng, reworded.as_bytes())).into_owned();
        let Ok(schema) = AvroSchema::parse_text(&text) else { continue };
        accepted += 1;
        let inferred = infer(&schema, Names::Upper, "ROWVAL");
        let layout = Layout { wrapped: inferred.is_record, ..Layout::of(inferred.fields) };
        let all: Vec<_> = (0..layout.fields.len()).collect();
        let payload: Vec<u8> = (0..40).map(|_| rng.random_range(0..6)).collect();
        let decoded = bare_decoder(&layout, &all, Arc::new(schema.clone()))
            .unwrap()
            .decode(&BinaryArray::from_vec(vec![&payload]));
        if let Ok(mut encoder) = encoder(&layout, &schema, None) {
            encoder.encode(&decoded.columns, 1, None);
        }
        read_as(&layout, &text, &last, &payload);
        last = text;
    }
    println!("{accepted} of {seeds} schemas accepted");
    assert!(accepted > seeds / 20 && accepted < seeds, "{accepted} of {seeds}");
}

/// A payload of one schema is read into the columns of another, or is bad, whatever columns are asked for.
fn read_as(layout: &Layout, reader: &str, writer: &str, payload: &[u8]) {
    let registered = |text: &str| Schema { kind: SchemaKind::Avro, text: text.into(), references: Vec::new() };
    let taken_from = WriterSchema { id: Some(1), schema: Arc::new(registered(reader)), full_name: None };
    let layout = Layout { reader: Some(Arc::new(taken_from)), ..layout.clone() };
    let payload = [&[0, 0, 0, 0, 7], payload].concat();
    let read = |projection: &[usize]| {
        let mut decoder = decoder(&layout, projection).unwrap();
        decoder.learn(7, Ok(Arc::new(registered(writer))));
        decoder.decode(&BinaryArray::from_vec(vec![&payload]))
    };
    let all: Vec<_> = (0..layout.fields.len()).collect();
    let whole = read(&all);
    whole.columns.iter().for_each(|column| column.to_data().validate_full().unwrap());
    assert_eq!(whole.bad, read(&[]).bad, "{reader} of {writer}");
}

/// A schema in which one word is another.
fn reworded(rng: &mut StdRng, text: &str) -> String {
    const WORDS: [&str; 12] = [
        "\"null\"",
        "\"int\"",
        "\"R1\"",
        "\"record\"",
        "\"name\"",
        "\"type\"",
        "[]",
        "{}",
        "7",
        "\"f0\"",
        "\"map\"",
        "\"long\"",
    ];
    let quoted: Vec<_> = text.match_indices('"').map(|(at, _)| at).collect();
    let pair = 2 * rng.random_range(0..quoted.len() / 2);
    let (start, end) = (quoted[pair], quoted[pair + 1] + 1);
    format!("{}{}{}", &text[..start], WORDS[rng.random_range(0..WORDS.len())], &text[end..])
}

fn parsed(text: &str) -> AvroSchema {
    AvroSchema::parse_text(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A random layout with names that Avro has.
fn random_columns(rng: &mut StdRng) -> Layout {
    let count = rng.random_range(1..6);
    random_named_layout(rng, FormatKind::Json, 3, count)
}
