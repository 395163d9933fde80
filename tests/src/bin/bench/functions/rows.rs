//! The batch that expressions are evaluated over: columns of every type, the same in every run.

use std::sync::Arc;

use arrow::array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Number of rows of a batch, as is usual in a query.
const ROWS: usize = 8_192;
/// One value in this many is null.
pub const NULL_EVERY: usize = 20;
const SEED: u64 = 7;
const WORDS: [&str; 8] = ["orange", "pear", "Quince", "apple tart", "fig", "blackcurrant", "Mango", "date"];

/// The batch.
pub fn batch() -> RecordBatch {
    let rng = &mut StdRng::seed_from_u64(SEED);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("I", Arc::new(Int32Array::from(column(rng, |rng| rng.random_range(-1_000..1_000))))),
        ("J", Arc::new(Int32Array::from(column(rng, |rng| rng.random_range(1..100))))),
        ("L", Arc::new(Int64Array::from(column(rng, |rng| rng.random_range(0..1_i64 << 40))))),
        ("D", Arc::new(Float64Array::from(column(rng, |rng| rng.random_range(0.0..1e4))))),
        ("P", Arc::new(decimals(rng))),
        ("B", Arc::new(BooleanArray::from(column(rng, |rng| rng.random_bool(0.5))))),
        ("S", Arc::new(texts(rng, |rng| format!("{} and {}", word(rng), word(rng))))),
        ("R", Arc::new(texts(rng, |rng| word(rng).to_owned()))),
        ("N", Arc::new(texts(rng, |rng| rng.random_range(0..100_000).to_string()))),
        ("CSV", Arc::new(texts(rng, |rng| [word(rng), word(rng), word(rng), word(rng)].join(",")))),
        ("JS", Arc::new(texts(rng, json))),
        ("URL", Arc::new(texts(rng, url))),
        ("TS", Arc::new(texts(rng, |rng| format!("2024-0{}-1{} 10:11:12", digit(rng), digit(rng))))),
        ("DS", Arc::new(texts(rng, |rng| format!("2024-0{}-1{}", digit(rng), digit(rng))))),
        ("T", Arc::new(TimestampMillisecondArray::from(column(rng, |rng| rng.random_range(0..1_700_000_000_000))))),
        ("DT", Arc::new(Date32Array::from(column(rng, |rng| rng.random_range(0..20_000))))),
        ("Y", Arc::new(bytes(rng))),
        ("A", Arc::new(lists(rng))),
        ("A2", Arc::new(lists(rng))),
        ("M", Arc::new(maps(rng))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("columns of one length")
}

fn column<T>(rng: &mut StdRng, value: impl Fn(&mut StdRng) -> T) -> Vec<Option<T>> {
    (0..ROWS).map(|row| (row % NULL_EVERY != 0).then(|| value(rng))).collect()
}

fn texts(rng: &mut StdRng, text: impl Fn(&mut StdRng) -> String) -> StringArray {
    column(rng, text).into_iter().collect()
}

fn word(rng: &mut StdRng) -> &'static str {
    WORDS[rng.random_range(0..WORDS.len())]
}

fn digit(rng: &mut StdRng) -> u32 {
    rng.random_range(1..9)
}

fn json(rng: &mut StdRng) -> String {
    let (name, price, city) = (word(rng), rng.random_range(0..1_000), word(rng));
    format!(r#"{{"name":"{name}","price":{price},"address":{{"city":"{city}","zip":[1,2,3]}},"tags":["a","b"]}}"#)
}

fn url(rng: &mut StdRng) -> String {
    format!("https://www.example.com:8080/shop/{}?id={}&page=2#top", word(rng).replace(' ', "-"), digit(rng))
}

fn decimals(rng: &mut StdRng) -> Decimal128Array {
    let values = column(rng, |rng| rng.random_range(-1_000_000..1_000_000_i128));
    Decimal128Array::from(values).with_precision_and_scale(10, 2).expect("ten digits are enough")
}

fn bytes(rng: &mut StdRng) -> BinaryArray {
    column(rng, |rng| rng.random::<[u8; 12]>()).into_iter().collect()
}

fn lists(rng: &mut StdRng) -> ListArray {
    let mut lists = ListBuilder::new(Int32Builder::new());
    for row in 0..ROWS {
        for _ in 0..rng.random_range(1..9) {
            lists.values().append_value(rng.random_range(0..20));
        }
        lists.append(row % NULL_EVERY != 0);
    }
    lists.finish()
}

fn maps(rng: &mut StdRng) -> MapArray {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..ROWS {
        for word in WORDS.iter().take(rng.random_range(1..5)) {
            maps.keys().append_value(word);
            maps.values().append_value(rng.random_range(0..20));
        }
        maps.append(row % NULL_EVERY != 0).expect("as many keys as values");
    }
    maps.finish()
}
