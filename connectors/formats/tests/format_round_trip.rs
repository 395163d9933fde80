//! decode(encode(x)) = x, for every format and every type it holds.
//!
//! Goal: what a format writes it reads back unchanged. Method: from each seed random types (nested
//! at will where the format nests), random columns of them with nulls, and a random projection; a
//! seed that fails is printed. Values a format cannot tell from others are left out: DELIMITED has
//! no empty texts, and a bare null is a null payload.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

#[path = "support/random.rs"]
mod random;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Field;
use headwater_formats::format::{FormatKind, Layout};
use headwater_formats::record::Side;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use random::{damage, random_column, random_layout};

const SEEDS: u64 = 400;
const ROWS: usize = 20;

#[test]
fn json_reads_back_what_it_writes() {
    round_trips(FormatKind::Json, 3, |rng| rng.random_range(1..8));
}

#[test]
fn bare_json_reads_back_what_it_writes() {
    round_trips(FormatKind::Json, 3, |_| 1);
}

#[test]
fn delimited_reads_back_what_it_writes() {
    round_trips(FormatKind::Delimited, 0, |rng| rng.random_range(1..8));
}

#[test]
fn kafka_reads_back_what_it_writes() {
    round_trips(FormatKind::Kafka, 0, |_| 1);
}

#[test]
fn compact_reads_back_what_it_writes() {
    round_trips(FormatKind::Compact, 3, |rng| rng.random_range(0..8));
}

#[test]
fn damaged_payloads_cost_their_row_and_nothing_else() {
    damaged_rows(|rng| [FormatKind::Json, FormatKind::Delimited, FormatKind::Kafka][rng.random_range(0..3)]);
}

#[test]
fn damaged_compact_payloads_cost_their_row_and_nothing_else() {
    damaged_rows(|_| FormatKind::Compact);
}

fn damaged_rows(kind: fn(&mut StdRng) -> FormatKind) {
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let kind = kind(&mut rng);
        let count = if kind == FormatKind::Kafka { 1 } else { rng.random_range(1..8) };
        let layout = random_layout(&mut rng, kind, 3, count);
        let column = |field: &Arc<Field>| random_column(&mut rng, field.data_type(), ROWS);
        let columns: Vec<_> = layout.fields.iter().map(column).collect();
        let whole = kind.encoder(&layout).unwrap().encode(&columns, ROWS, None).payloads;
        let damaged: Vec<_> = whole.iter().map(|payload| payload.map(|bytes| damage(&mut rng, bytes))).collect();
        let all: Vec<_> = (0..count).collect();
        let decoded = kind.decoder(&layout, &all).unwrap().decode(&BinaryArray::from_iter(&damaged));
        let bad: Vec<_> = decoded.bad.iter().map(|bad| bad.row).collect();
        for (found, written) in decoded.columns.iter().zip(&columns) {
            found.to_data().validate_full().unwrap();
            for (row, payload) in damaged.iter().enumerate() {
                let untouched = payload.as_deref() == whole.is_valid(row).then(|| whole.value(row));
                assert!(!bad.contains(&row) || found.is_null(row) && !untouched, "{kind}, seed {seed}, row {row}");
                assert!(!untouched || found.slice(row, 1) == written.slice(row, 1), "{kind}, seed {seed}, row {row}");
            }
        }
    }
}

fn round_trips(kind: FormatKind, depth: u32, columns: fn(&mut StdRng) -> usize) {
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = columns(&mut rng);
        let layout = random_layout(&mut rng, kind, depth, count);
        assert_eq!(kind.check(&layout, Side::Value), Ok(()), "seed {seed}");
        let column = |field: &Arc<Field>| random_column(&mut rng, field.data_type(), ROWS + 5).slice(2, ROWS);
        let columns: Vec<_> = layout.fields.iter().map(column).collect();
        round_trip(&mut rng, kind, &layout, &columns).unwrap_or_else(|why| panic!("{kind}, seed {seed}: {why}"));
    }
}

fn round_trip(rng: &mut StdRng, kind: FormatKind, layout: &Layout, columns: &[ArrayRef]) -> Result<(), String> {
    let null_rows = NullBuffer::from((0..ROWS).map(|_| rng.random_bool(0.9)).collect::<Vec<_>>());
    let encoded = kind.encoder(layout).unwrap().encode(columns, ROWS, Some(&null_rows));
    let projection: Vec<_> = (0..columns.len()).rev().filter(|_| rng.random_bool(0.8)).collect();
    let mut decoder = kind.decoder(layout, &projection).unwrap();
    for _ in 0..2 {
        let decoded = decoder.decode(&encoded.payloads);
        if !encoded.bad.is_empty() || !decoded.bad.is_empty() {
            return Err(format!("{:?} {:?}", encoded.bad, decoded.bad));
        }
        for (found, field) in decoded.columns.iter().zip(&projection) {
            found.to_data().validate_full().map_err(|error| error.to_string())?;
            let expected = hide(&columns[*field], &null_rows);
            if found.as_ref() != expected.as_ref() {
                return Err(format!("{:?}\nexpected {expected:?}\nfound {found:?}", layout.fields[*field]));
            }
        }
    }
    Ok(())
}

/// The column, null where there is no payload.
fn hide(column: &ArrayRef, null_rows: &NullBuffer) -> ArrayRef {
    let absent = BooleanArray::new(!null_rows.inner(), None);
    arrow::compute::nullif(column, &absent).unwrap()
}
