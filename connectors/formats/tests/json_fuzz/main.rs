//! The JSON decoder against serde_json, on random JSON and on random damage to it.
//!
//! Goal: our own scanner accepts a payload exactly when serde_json reads its first value and every
//! field fits its column, whether it is asked for or not, and then gives the same values; whatever
//! the bytes are it neither panics nor makes an invalid array. Method: payloads from a seeded generator, half of them damaged, go in
//! batches through decoders that live for the whole run (so that what they remember of earlier
//! payloads is put to the test too), for all fields, some and none; `oracle` says from
//! serde_json's reading what each must give.
//!
//! The usual run is short. For a long one:
//!
//! ```text
//! FUZZ_SEED=1 FUZZ_COUNT=5000000 cargo test --release -p headwater-formats --test json_fuzz -- --ignored
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

mod generate;
mod oracle;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::{DataType, Field, Fields};
use headwater_formats::format::{BadRow, Decoder, FormatKind, Layout};
use rand::SeedableRng;
use rand::rngs::StdRng;

use oracle::Verdict;

const BATCH_ROWS: usize = 64;

#[test]
fn decoding_agrees_with_serde_json() {
    fuzz(0x00C0_FFEE, 40_000);
}

#[test]
#[ignore = "long: millions of payloads"]
fn decoding_agrees_with_serde_json_at_length() {
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    fuzz(number("FUZZ_SEED", 1), number("FUZZ_COUNT", 5_000_000));
}

fn fuzz(seed: u64, count: u64) {
    let fields = fields();
    let mut subjects: Vec<_> = [&[0, 1, 2, 3, 4, 5, 6, 7][..], &[6, 1], &[]].map(|p| Subject::new(&fields, p)).into();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut accepted = 0;
    let mut done = 0;
    while done < count {
        let payloads: Vec<_> = (0..BATCH_ROWS).map(|_| generate::payload(&mut rng)).collect();
        let bad: Vec<_> = subjects.iter_mut().map(|subject| subject.check(&payloads, seed)).collect();
        assert!(bad.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: it depends on who reads: {bad:?}");
        accepted += (BATCH_ROWS - bad[0].len()) as u64;
        done += BATCH_ROWS as u64;
    }
    println!("seed {seed}: {done} payloads, {accepted} of them accepted");
    assert!(accepted > done / 10 && accepted < done * 9 / 10, "the generator makes good and bad payloads");
}

/// Every kind of column, named as the generator names members.
fn fields() -> Vec<Field> {
    let item = |kind| DataType::List(Arc::new(Field::new("item", kind, true)));
    let record = Fields::from(vec![Field::new("A", DataType::Int64, true), Field::new("S", DataType::Utf8, true)]);
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
    let entries = Field::new("entries", DataType::Struct(entry.into()), false);
    [
        ("BOOL", DataType::Boolean),
        ("A", DataType::Int64),
        ("DBL", DataType::Float64),
        ("DEC", DataType::Decimal128(9, 3)),
        ("S", DataType::Utf8),
        ("ARR", item(DataType::Int64)),
        ("M", DataType::Map(Arc::new(entries), false)),
        ("R", item(DataType::Struct(record))),
    ]
    .map(|(name, kind)| Field::new(name, kind, true))
    .into()
}

/// A decoder under test.
struct Subject {
    /// Every field of a payload.
    fields: Vec<Field>,
    /// Those that are asked for.
    projection: Vec<usize>,
    decoder: Box<dyn Decoder>,
}

impl Subject {
    fn new(fields: &[Field], projection: &[usize]) -> Self {
        let layout = Layout::of(fields.iter().cloned().map(Arc::new).collect());
        let decoder = FormatKind::Json.decoder(&layout, projection).unwrap();
        Self { fields: fields.to_vec(), projection: projection.to_vec(), decoder }
    }

    /// Decodes a batch and holds every row against the oracle; gives what was refused.
    fn check(&mut self, payloads: &[Vec<u8>], seed: u64) -> Vec<BadRow> {
        let decoded = self.decoder.decode(&BinaryArray::from_iter_values(payloads));
        for column in &decoded.columns {
            column.to_data().validate_full().unwrap();
        }
        let mut bad = decoded.bad.iter().peekable();
        for (row, payload) in payloads.iter().enumerate() {
            let reason = bad.next_if(|bad| bad.row == row).map(|bad| bad.reason.as_str());
            let complaint = self.compare(payload, &decoded.columns, row, reason);
            if let Some(complaint) = complaint {
                panic!("seed {seed}: {complaint}\n  we said {reason:?} of {}", payload.escape_ascii());
            }
        }
        decoded.bad
    }

    fn compare(&self, payload: &[u8], columns: &[ArrayRef], row: usize, reason: Option<&str>) -> Option<String> {
        match (oracle::judge(payload, &self.fields), reason) {
            (Verdict::Unknown, _) | (Verdict::Bad(_), Some(_)) => None,
            (Verdict::Bad(why), None) => Some(format!("accepted what is bad: {why}")),
            (Verdict::Good(expected), Some(_)) => {
                expected.iter().all(Option::is_some).then(|| "refused what is good".into())
            }
            (Verdict::Good(expected), None) => self.projection.iter().zip(columns).find_map(|(field, column)| {
                let (expected, found) = (expected[*field].as_ref()?, oracle::cell(column, row));
                let name = self.fields[*field].name();
                (!expected.is(&found)).then(|| format!("{name}: expected {expected:?}, found {found:?}"))
            }),
        }
    }
}
