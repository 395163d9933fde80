//! PROTOBUF_NOSR beyond examples: what is written is read back, a peer reads it and writes it, and bytes of any kind
//! cost their row and nothing else.
//!
//! Method: from each seed random types and random columns of them; a seed that fails is printed. A message cannot hold
//! every null, so the columns are first made ones that can be written, and those that are read back are derived from
//! them: see `Nulls`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

#[path = "../support/random.rs"]
mod random;

mod nulls;
mod peer;
mod schemas;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Field;
use headwater_formats::format::{FormatKind, Layout};
use headwater_formats::record::Side;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use nulls::{Nulls, Place};
use random::{damage, random_column, random_layout};

const SEEDS: u64 = 400;
const ROWS: usize = 20;
const NOSR: FormatKind = FormatKind::ProtobufNosr;

/// A layout, columns that can be written with it, and what they are read back as.
struct Case {
    layout: Layout,
    written: Vec<ArrayRef>,
    read: Vec<ArrayRef>,
}

impl Case {
    fn new(rng: &mut StdRng, rows: usize, odd_doubles: bool) -> Self {
        let count = rng.random_range(1..8);
        let layout = random_layout(rng, NOSR, 3, count);
        assert_eq!(NOSR.check(&layout, Side::Value), Ok(()));
        let column = |field: &Arc<Field>| random_column(rng, field.data_type(), rows + 5).slice(2, rows);
        let columns: Vec<_> = layout.fields.iter().map(column).collect();
        let all = |nulls: Nulls| columns.iter().map(|column| nulls.of(column, Place::Field)).collect();
        let written = all(Nulls { odd_doubles, ..Nulls::writable() });
        let read = all(Nulls { odd_doubles, ..Nulls::readable(layout.presence) });
        Self { layout, written, read }
    }

    fn encode(&self, null_rows: Option<&NullBuffer>) -> BinaryArray {
        let rows = self.written[0].len();
        let encoded = NOSR.encoder(&self.layout).unwrap().encode(&self.written, rows, null_rows);
        assert_eq!(encoded.bad, []);
        encoded.payloads
    }
}

#[test]
fn protobuf_reads_back_what_it_writes() {
    for seed in 0..SEEDS {
        let rng = &mut StdRng::seed_from_u64(seed);
        let case = Case::new(rng, ROWS, true);
        let null_rows = NullBuffer::from((0..ROWS).map(|_| rng.random_bool(0.9)).collect::<Vec<_>>());
        let payloads = case.encode(Some(&null_rows));
        let projection: Vec<_> = (0..case.read.len()).rev().filter(|_| rng.random_bool(0.8)).collect();
        let mut decoder = NOSR.decoder(&case.layout, &projection).unwrap();
        for _ in 0..2 {
            let decoded = decoder.decode(&payloads);
            assert_eq!(decoded.bad, [], "seed {seed}");
            for (found, field) in decoded.columns.iter().zip(&projection) {
                found.to_data().validate_full().unwrap();
                let expected = hide(&case.read[*field], &null_rows);
                assert_equal(found, &expected, &format!("seed {seed}, {:?}", case.layout.presence));
            }
        }
    }
}

/// Compares row by row, so that a failure shows one.
fn assert_equal(found: &ArrayRef, expected: &ArrayRef, context: &str) {
    let shown = |column: &ArrayRef, row| arrow::util::display::array_value_to_string(column, row).unwrap();
    for row in 0..expected.len() {
        let is_equal = found.slice(row, 1) == expected.slice(row, 1);
        assert!(is_equal, "{context}, row {row}\n{}\n{}", shown(found, row), shown(expected, row));
    }
}

/// The column, null where there is no payload.
fn hide(column: &ArrayRef, null_rows: &NullBuffer) -> ArrayRef {
    let absent = BooleanArray::new(!null_rows.inner(), None);
    arrow::compute::nullif(column, &absent).unwrap()
}

#[test]
fn damaged_payloads_cost_their_row_and_nothing_else() {
    for seed in 0..SEEDS {
        let rng = &mut StdRng::seed_from_u64(seed);
        let case = Case::new(rng, ROWS, true);
        let whole = case.encode(None);
        let damaged: Vec<_> = whole.iter().map(|payload| damage(rng, payload.unwrap())).collect();
        let all: Vec<_> = (0..case.read.len()).collect();
        let payloads = BinaryArray::from_iter_values(&damaged);
        let decoded = NOSR.decoder(&case.layout, &all).unwrap().decode(&payloads);
        let bad: Vec<_> = decoded.bad.iter().map(|bad| bad.row).collect();
        for (found, expected) in decoded.columns.iter().zip(&case.read) {
            found.to_data().validate_full().unwrap();
            for (row, payload) in damaged.iter().enumerate() {
                let untouched = payload == whole.value(row);
                assert!(!bad.contains(&row) || found.is_null(row) && !untouched, "seed {seed}, row {row}");
                assert!(!untouched || found.slice(row, 1) == expected.slice(row, 1), "seed {seed}, row {row}");
            }
        }
    }
}

/// Goal: no bytes make a decoder panic, or take more room than they are worth. Method: payloads that are cut, joined,
/// overwritten and random, in which lengths lie.
#[test]
fn bytes_of_any_kind_are_read_or_refused() {
    for seed in 0..SEEDS {
        let rng = &mut StdRng::seed_from_u64(seed);
        let case = Case::new(rng, ROWS, true);
        let whole = case.encode(None);
        let mutated: Vec<_> = (0..200).map(|_| mutated(rng, &whole)).collect();
        let payloads = BinaryArray::from_iter_values(&mutated);
        let all: Vec<_> = (0..case.read.len()).collect();
        let decoded = NOSR.decoder(&case.layout, &all).unwrap().decode(&payloads);
        let checked = NOSR.decoder(&case.layout, &[]).unwrap().decode(&payloads);
        assert_eq!(decoded.bad, checked.bad, "seed {seed}");
        let taken: usize = decoded.columns.iter().map(|column| column.get_array_memory_size()).sum();
        let (bytes, rows) = (payloads.values().len(), mutated.len());
        assert!(taken < 500 * bytes + 10_000 * rows, "seed {seed}: {taken} bytes for {bytes} in {rows} rows");
        for column in &decoded.columns {
            column.to_data().validate_full().unwrap();
        }
    }
}

fn mutated(rng: &mut StdRng, whole: &BinaryArray) -> Vec<u8> {
    let one = |rng: &mut StdRng| whole.value(rng.random_range(0..whole.len())).to_vec();
    let mut bytes = match rng.random_range(0..4) {
        0 => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
        1 => [one(rng), one(rng)].concat(),
        _ => one(rng),
    };
    for _ in 0..rng.random_range(0..4) {
        if !bytes.is_empty() {
            let at = rng.random_range(0..bytes.len());
            let byte =
                [0, 1, 2, 0x0a, 0x7f, 0x80, 0xff, bytes[at] ^ 1 << rng.random_range(0..8)][rng.random_range(0..8)];
            match rng.random_range(0..3) {
                0 => bytes.insert(at, byte),
                1 => bytes.truncate(at),
                _ => bytes[at] = byte,
            }
        }
    }
    bytes
}
