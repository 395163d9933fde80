//! A payload is bad or it is not, whichever columns are asked for.
//!
//! Goal: for every format, every type and every projection, none of its columns included, the same
//! payloads are bad for the same reason, and the columns that are asked for are those of a decoder of
//! all. Method: from each seed random types, payloads that were written for them and payloads of
//! another type's values (so that misfits of every kind come at every depth), a part of them damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

#[path = "support/random.rs"]
mod random;

use arrow::array::BinaryArray;
use arrow::datatypes::Field;
use headwater_formats::format::{Decoded, FormatKind, Layout};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

use random::{damage, random_column, random_layout};

const SEEDS: u64 = 600;
const ROWS: usize = 30;

#[test]
fn json_records_are_bad_or_not_whoever_reads() {
    hold(FormatKind::Json, 3, |rng| rng.random_range(1..8));
}

#[test]
fn bare_json_is_bad_or_not_whoever_reads() {
    hold(FormatKind::Json, 3, |_| 1);
}

#[test]
fn delimited_lines_are_bad_or_not_whoever_reads() {
    hold(FormatKind::Delimited, 0, |rng| rng.random_range(1..8));
}

#[test]
fn kafka_payloads_are_bad_or_not_whoever_reads() {
    hold(FormatKind::Kafka, 0, |_| 1);
}

#[test]
fn protobuf_messages_are_bad_or_not_whoever_reads() {
    hold(FormatKind::ProtobufNosr, 3, |rng| rng.random_range(1..8));
}

fn hold(kind: FormatKind, depth: u32, columns: fn(&mut StdRng) -> usize) {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = columns(&mut rng);
        let layout = random_layout(&mut rng, kind, depth, count);
        let payloads = payloads(&mut rng, kind, depth, &layout);
        let all: Vec<usize> = (0..count).collect();
        let expected = decode(kind, &layout, &all, &payloads);
        good += ROWS - expected.bad.len();
        bad += expected.bad.len();
        for _ in 0..4 {
            let keep = rng.random_range(0.0..1.0);
            let projection: Vec<usize> = (0..count).rev().filter(|_| rng.random_bool(keep)).collect();
            compare(seed, &projection, &expected, &decode(kind, &layout, &projection, &payloads));
        }
        compare(seed, &[], &expected, &decode(kind, &layout, &[], &payloads));
        assert!(!kind.takes_any_payload(&layout) || expected.bad.is_empty(), "seed {seed}: {:?}", expected.bad);
    }
    println!("{kind}: {good} good payloads, {bad} bad ones");
    assert!(good > bad / 20 && bad > good / 20, "{kind}: both kinds of payloads are tried: {good} and {bad}");
}

/// Two batches through one decoder, which may remember something of the first.
fn decode(kind: FormatKind, layout: &Layout, projection: &[usize], payloads: &BinaryArray) -> Decoded {
    let mut decoder = kind.decoder(layout, projection).unwrap();
    decoder.decode(payloads);
    decoder.decode(payloads)
}

fn compare(seed: u64, projection: &[usize], expected: &Decoded, found: &Decoded) {
    assert_eq!(found.bad, expected.bad, "seed {seed}, columns {projection:?}");
    assert_eq!(found.absent, expected.absent, "seed {seed}, columns {projection:?}");
    for (column, field) in found.columns.iter().zip(projection) {
        assert_eq!(column, &expected.columns[*field], "seed {seed}, column {field} of {projection:?}");
    }
}

/// Payloads of the layout, among them some in which a field has another type's values or a byte another value.
fn payloads(rng: &mut StdRng, kind: FormatKind, depth: u32, layout: &Layout) -> BinaryArray {
    let written = |rng: &mut StdRng, layout: &Layout| {
        let columns: Vec<_> = layout.fields.iter().map(|field| random_column(rng, field.data_type(), ROWS)).collect();
        kind.encoder(layout).unwrap().encode(&columns, ROWS, None).payloads
    };
    let (as_declared, changed) = (written(rng, layout), changed(rng, kind, depth, layout));
    let of_others = written(rng, &changed);
    let payload = |row: usize| {
        let from = if rng.random_bool(0.5) { &as_declared } else { &of_others };
        let bytes = from.iter().nth(row).flatten()?;
        Some(if rng.random_bool(0.2) { damage(rng, bytes) } else { bytes.to_vec() })
    };
    (0..ROWS).map(payload).collect::<Vec<_>>().iter().map(Option::as_deref).collect()
}

/// The layout with another type for one of its fields, or for a part of it.
fn changed(rng: &mut StdRng, kind: FormatKind, depth: u32, layout: &Layout) -> Layout {
    let other = random_layout(rng, kind, depth, layout.fields.len());
    let at = rng.random_range(0..layout.fields.len());
    let mut changed = layout.clone();
    changed.fields[at] = Arc::new(Field::new(layout.fields[at].name(), other.fields[at].data_type().clone(), true));
    changed
}
