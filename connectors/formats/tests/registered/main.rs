//! AVRO, PROTOBUF and JSON_SR beyond examples: columns become schemas and schemas the same columns, what is written is
//! read back, several writers share a batch, and no bytes and no schema do more than make their rows bad.
//!
//! Method: from each seed random types and random columns of them; a seed that fails is printed. A Protobuf message
//! cannot hold every null, so the columns are first made ones that can be written (see `nulls`).
//!
//! The usual run is short. `REGISTERED_SEEDS=100000 cargo test --release -p headwater-formats --test registered` is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

#[path = "../protobuf/nulls.rs"]
mod nulls;
mod peer;
#[path = "../support/random.rs"]
mod random;
mod schemas;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, new_null_array};
use arrow::datatypes::{DataType, FieldRef};
use headwater_formats::format::{Decoded, FormatKind, Layout, Names, default_full_name, infer, schema_of};
use headwater_formats::record::Side;
use headwater_formats::schema::{Schema, SchemaId, WriterSchema};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use nulls::{Nulls, Place};
use random::{damage, random_column, random_named_layout};

const ROWS: usize = 20;
const FORMATS: [FormatKind; 3] = [FormatKind::Avro, FormatKind::Protobuf, FormatKind::JsonSr];

/// How many seeds are tried: more of them on request.
#[allow(clippy::disallowed_methods, reason = "a test has no other settings")]
fn seeds(usual: u64) -> impl Iterator<Item = (u64, FormatKind, StdRng)> {
    let asked = std::env::var("REGISTERED_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    (0..asked.unwrap_or(usual)).map(|seed| {
        let format = FORMATS[(seed % 3) as usize];
        (seed, format, StdRng::seed_from_u64(seed))
    })
}

/// A layout with names that every format has, columns that can be written with it, and what they are read back as.
struct Case {
    format: FormatKind,
    layout: Layout,
    written: Vec<ArrayRef>,
    read: Vec<ArrayRef>,
}

impl Case {
    fn new(rng: &mut StdRng, format: FormatKind) -> Self {
        let count = rng.random_range(1..8);
        let layout = random_named_layout(rng, format, 3, count);
        assert_eq!(format.check(&layout, Side::Value), Ok(()));
        Self::of(rng, format, layout)
    }

    fn of(rng: &mut StdRng, format: FormatKind, layout: Layout) -> Self {
        let column = |field: &FieldRef| random_column(rng, field.data_type(), ROWS + 5).slice(2, ROWS);
        let columns: Vec<_> = layout.fields.iter().map(column).collect();
        let all = |nulls: Nulls| columns.iter().map(|column| nulls.of(column, Place::Field)).collect();
        let (written, read) = match format {
            FormatKind::Protobuf => (all(Nulls::writable()), all(Nulls::readable(layout.presence))),
            _ => (columns.clone(), columns),
        };
        Self { format, layout, written, read }
    }

    /// The same with doubles that every writer keeps.
    fn without_odd_doubles(self) -> Self {
        let nulls = Nulls { odd_doubles: false, ..Nulls::writable() };
        let written = self.written.iter().map(|column| nulls.of(column, Place::Field)).collect();
        Self { written, ..self }
    }

    fn schema(&self) -> Arc<Schema> {
        let kind = self.format.schema_kind().unwrap();
        let full_name = default_full_name(kind, Side::Value, "SINK");
        Arc::new(schema_of(kind, &self.layout, &full_name).unwrap())
    }

    /// The layout with its schema.
    fn with_schema(&self, id: Option<SchemaId>) -> Layout {
        let writer = WriterSchema { id, schema: self.schema(), full_name: None };
        Layout { schema: Some(Arc::new(writer)), ..self.layout.clone() }
    }

    fn encode(&self, id: Option<SchemaId>) -> BinaryArray {
        let mut encoder = self.format.encoder(&self.with_schema(id)).unwrap();
        let encoded = encoder.encode(&self.written, ROWS, None);
        assert_eq!(encoded.bad, []);
        encoded.payloads
    }

    fn all(&self) -> Vec<usize> {
        (0..self.read.len()).collect()
    }
}

/// Compares row by row, so that a failure shows one.
fn assert_equal(found: &ArrayRef, expected: &ArrayRef, context: &str) {
    found.to_data().validate_full().unwrap();
    assert_eq!(found.len(), expected.len(), "{context}");
    let shown = |column: &ArrayRef, row| arrow::util::display::array_value_to_string(column, row).unwrap();
    for row in 0..expected.len() {
        let is_equal = found.slice(row, 1) == expected.slice(row, 1);
        assert!(is_equal, "{context}, row {row}\n{}\n{}", shown(found, row), shown(expected, row));
    }
}

#[test]
fn what_is_written_is_read_back() {
    for (seed, format, mut rng) in seeds(75) {
        let rng = &mut rng;
        let case = Case::new(rng, format);
        let id = rng.random_bool(0.7).then(|| rng.random());
        let payloads = case.encode(id);
        let projection: Vec<_> = case.all().into_iter().rev().filter(|_| rng.random_bool(0.8)).collect();
        // A schema with an id may also be learnt.
        let is_learnt = id.is_some() && rng.random();
        let layout = if is_learnt { case.layout.clone() } else { case.with_schema(id) };
        let mut decoder = format.decoder(&layout, &projection).unwrap();
        let missing = decoder.missing_schemas(&payloads);
        let is_empty = payloads.null_count() == payloads.len();
        assert_eq!(missing, if is_learnt && !is_empty { vec![id.unwrap()] } else { vec![] }, "seed {seed}");
        missing.into_iter().for_each(|id| decoder.learn(id, Ok(case.schema())));
        for _ in 0..2 {
            let decoded = decoder.decode(&payloads);
            assert_eq!(decoded.bad, [], "{format}, seed {seed}: {}", case.schema().text);
            for (found, field) in decoded.columns.iter().zip(&projection) {
                assert_equal(found, &case.read[*field], &format!("{format}, seed {seed}"));
            }
        }
    }
}

#[test]
fn schemas_of_columns_are_inferred_as_the_same_columns() {
    for (seed, format, mut rng) in seeds(75) {
        let case = Case::new(&mut rng, format);
        let schema = case.schema();
        let bare_name = case.layout.fields[0].name();
        let inferred = infer(&schema, None, Names::AsWritten, bare_name).unwrap();
        assert_eq!(inferred.dropped, [], "{format}, seed {seed}: {}", schema.text);
        // A bare STRUCT of AVRO or JSON_SR is taken for a record: nothing tells them apart.
        let is_struct = matches!(case.layout.fields[0].data_type(), DataType::Struct(_));
        if case.layout.is_record() || format == FormatKind::Protobuf || !is_struct {
            assert_eq!(inferred.fields, case.layout.fields, "{format}, seed {seed}: {}", schema.text);
            assert_eq!(inferred.is_record, case.layout.is_record(), "{format}, seed {seed}");
        }
    }
}

/// Goal: versions of a schema that lack columns, or have them in another order, are read side by side. Method: writers
/// with parts of the columns, whose payloads are shuffled into one batch.
#[test]
fn several_writers_share_a_batch() {
    for (seed, format, mut rng) in seeds(45) {
        let rng = &mut rng;
        let case = Case::new(rng, format);
        if !case.layout.is_record() {
            continue;
        }
        let mut writers = Vec::new();
        for id in 1..4 {
            let mut kept: Vec<_> = case.all().into_iter().filter(|_| rng.random_bool(0.7)).collect();
            kept.shuffle(rng);
            let layout = Layout {
                fields: kept.iter().map(|field| case.layout.fields[*field].clone()).collect(),
                wrapped: true,
                ..case.layout.clone()
            };
            let writer = Case::of(rng, format, layout);
            // A record without fields is none.
            if !kept.is_empty() {
                writers.push((id, kept, writer));
            }
        }
        let mut decoder = format.decoder(&case.layout, &case.all()).unwrap();
        let payloads: Vec<_> = writers.iter().map(|(id, _, writer)| writer.encode(Some(*id))).collect();
        let picks: Vec<_> = (0..if writers.is_empty() { 0 } else { ROWS })
            .map(|_| (rng.random_range(0..writers.len()), rng.random_range(0..ROWS)))
            .collect();
        let batch: BinaryArray = picks
            .iter()
            .map(|(writer, row)| payloads[*writer].is_valid(*row).then(|| payloads[*writer].value(*row)))
            .collect();
        for id in decoder.missing_schemas(&batch) {
            decoder.learn(id, Ok(writers.iter().find(|(other, ..)| *other == id).unwrap().2.schema()));
        }
        let decoded = decoder.decode(&batch);
        assert_eq!(decoded.bad, [], "{format}, seed {seed}");
        for (field, found) in decoded.columns.iter().enumerate() {
            for (at, (writer, row)) in picks.iter().enumerate() {
                let (_, kept, writer) = &writers[*writer];
                let expected = match kept.iter().position(|kept| *kept == field) {
                    Some(column) => writer.read[column].slice(*row, 1),
                    None => new_null_array(found.data_type(), 1),
                };
                assert_equal(&found.slice(at, 1), &expected, &format!("{format}, seed {seed}, column {field}"));
            }
        }
    }
}

/// Goal: no bytes make a decoder panic, or take more room than they are worth, and which are bad does not depend on the
/// columns. Method: payloads that are cut, joined, overwritten and random, with and without the right header.
#[test]
fn bytes_of_any_kind_are_read_or_refused() {
    let (mut good, mut bad) = (0, 0);
    for (seed, format, mut rng) in seeds(45) {
        let rng = &mut rng;
        let case = Case::new(rng, format);
        let whole = case.encode(Some(7));
        let mutated: Vec<_> = (0..100).map(|_| mutated(rng, &whole)).collect();
        let payloads = BinaryArray::from_iter_values(&mutated);
        let decode = |projection: &[usize]| -> Decoded {
            let mut decoder = case.format.decoder(&case.with_schema(Some(7)), projection).unwrap();
            decoder.missing_schemas(&payloads);
            decoder.decode(&payloads)
        };
        let all = decode(&case.all());
        let some: Vec<_> = case.all().into_iter().rev().filter(|_| rng.random_bool(0.5)).collect();
        for projection in [&[][..], &some] {
            let found = decode(projection);
            assert_eq!((&found.bad, &found.absent), (&all.bad, &all.absent), "{format}, seed {seed}");
            for (column, field) in found.columns.iter().zip(projection) {
                assert_equal(column, &all.columns[*field], &format!("{format}, seed {seed}"));
            }
        }
        bad += all.bad.len();
        good += mutated.len() - all.bad.len();
        let taken: usize = all.columns.iter().map(|column| column.get_array_memory_size()).sum();
        let (bytes, rows) = (payloads.values().len(), mutated.len());
        assert!(taken < 500 * bytes + 10_000 * rows, "seed {seed}: {taken} bytes for {bytes} in {rows} rows");
        for column in &all.columns {
            column.to_data().validate_full().unwrap();
            assert!(all.bad.iter().all(|bad| column.is_null(bad.row)), "{format}, seed {seed}");
        }
    }
    assert!(good > bad / 20 && bad > good / 20, "both kinds of payloads are tried: {good} and {bad}");
}

fn mutated(rng: &mut StdRng, whole: &BinaryArray) -> Vec<u8> {
    let one = |rng: &mut StdRng| whole.value(rng.random_range(0..whole.len())).to_vec();
    let mut bytes = match rng.random_range(0..5) {
        0 => [&[0, 0, 0, 0, 7][..], &(0..rng.random_range(0..40)).map(|_| rng.random()).collect::<Vec<_>>()].concat(),
        1 => [one(rng), one(rng)].concat(),
        _ => one(rng),
    };
    for _ in 0..rng.random_range(0..4) {
        if bytes.len() > 5 {
            let first = if rng.random_bool(0.9) { 5 } else { 0 };
            let at = rng.random_range(first..bytes.len());
            let byte = [0, 1, 2, b'"', b'[', b'{', 0x80, 0xff, bytes[at] ^ 1 << rng.random_range(0..8)]
                [rng.random_range(0..9)];
            match rng.random_range(0..3) {
                0 => bytes.insert(at, byte),
                1 => bytes.truncate(at),
                _ => bytes[at] = byte,
            }
        }
    }
    damage(rng, &bytes)
}
