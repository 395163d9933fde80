//! Random types, columns and damage, from a seed: what the tests of formats share.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Field, FieldRef, Fields, Int32Type,
    Int64Type, Time32MillisecondType, TimeUnit, TimestampMillisecondType, i256,
};
use headwater_formats::format::{FormatKind, Layout, Presence};
use rand::Rng;
use rand::rngs::StdRng;

/// The bytes, half of the time with one of them changed, missing or the last.
pub fn damage(rng: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..6) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        _ => {}
    }
    bytes
}

/// A random layout whose names every format has.
pub fn random_named_layout(rng: &mut StdRng, kind: FormatKind, depth: u32, count: usize) -> Layout {
    let layout = random_layout(rng, kind, depth, count);
    let renamed =
        |(at, field): (usize, &FieldRef)| Arc::new(Field::new(format!("C{at}"), named(field.data_type()), true));
    Layout { fields: layout.fields.iter().enumerate().map(renamed).collect(), ..layout }
}

fn named(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", named(item.data_type()), true))),
        DataType::Map(entries, _) => {
            let DataType::Struct(entry) = entries.data_type() else { panic!("a map has entries") };
            let value = Field::new("value", named(entry[1].data_type()), true);
            let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
        }
        DataType::Struct(fields) => {
            let field = |(at, field): (usize, &FieldRef)| Field::new(format!("F{at}"), named(field.data_type()), true);
            DataType::Struct(fields.iter().enumerate().map(field).collect())
        }
        other => other.clone(),
    }
}

pub fn random_layout(rng: &mut StdRng, kind: FormatKind, depth: u32, count: usize) -> Layout {
    let fields = (0..count).map(|at| Arc::new(random_field(rng, kind, depth, at))).collect();
    let wrapped = count > 1 || kind.always_wraps() || kind.supports_wrapping() && rng.random_bool(0.5);
    let delimiter = [b',', b'|', b' ', b'\t'][rng.random_range(0..4)];
    let presence = match kind.supports_presence() {
        true => [Presence::Implicit, Presence::Optional, Presence::Wrapper][rng.random_range(0..3)],
        false => Presence::Implicit,
    };
    Layout { wrapped, delimiter, presence, ..Layout::of(fields) }
}

pub fn random_field(rng: &mut StdRng, kind: FormatKind, depth: u32, at: usize) -> Field {
    let name = ["PLAIN", "lower", "has space", "q\"uote\\", "\u{e9}\u{1f600}", "", "\n", "X"][at];
    let data_type = loop {
        let data_type = random_type(rng, depth);
        if kind.supports_type(&data_type) {
            break data_type;
        }
    };
    Field::new(name, data_type, true)
}

pub fn random_type(rng: &mut StdRng, depth: u32) -> DataType {
    match rng.random_range(0..if depth == 0 { 11 } else { 14 }) {
        0 => DataType::Boolean,
        1 => DataType::Int32,
        2 => DataType::Int64,
        3 => DataType::Float64,
        4 => DataType::Decimal128(rng.random_range(10..=38), rng.random_range(0..=10)),
        5 => DataType::Decimal256(rng.random_range(39..=76), rng.random_range(0..=39)),
        6 => DataType::Utf8,
        7 => DataType::Binary,
        8 => DataType::Date32,
        9 => DataType::Time32(TimeUnit::Millisecond),
        10 => DataType::Timestamp(TimeUnit::Millisecond, None),
        11 => DataType::List(Arc::new(Field::new("item", random_type(rng, depth - 1), true))),
        12 => {
            let value = Field::new("value", random_type(rng, depth - 1), true);
            let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
        }
        _ => {
            let count = rng.random_range(1..4);
            DataType::Struct((0..count).map(|at| random_field(rng, FormatKind::Json, depth - 1, at)).collect())
        }
    }
}

pub fn random_column(rng: &mut StdRng, kind: &DataType, rows: usize) -> ArrayRef {
    match kind {
        DataType::Boolean => Arc::new(some(rng, rows, |rng| rng.random::<bool>()).collect::<BooleanArray>()),
        DataType::Int32 => primitive::<Int32Type>(rng, rows, |rng| rng.random()),
        DataType::Int64 => primitive::<Int64Type>(rng, rows, |rng| rng.random()),
        DataType::Date32 => primitive::<Date32Type>(rng, rows, |rng| rng.random()),
        DataType::Timestamp(..) => primitive::<TimestampMillisecondType>(rng, rows, |rng| rng.random()),
        DataType::Time32(_) => primitive::<Time32MillisecondType>(rng, rows, |rng| rng.random_range(0..86_400_000)),
        DataType::Float64 => Arc::new(some(rng, rows, random_double).collect::<Float64Array>()),
        DataType::Decimal128(precision, _) => {
            let limit = 10_i128.pow((*precision).into());
            let column = primitive::<Decimal128Type>(rng, rows, |rng| rng.random::<i128>() % limit);
            Arc::new(column.as_primitive::<Decimal128Type>().clone().with_data_type(kind.clone()))
        }
        DataType::Decimal256(precision, _) => {
            let limit = i256::from_i128(10).wrapping_pow((*precision).into());
            let wide = |rng: &mut StdRng| i256::from_parts(rng.random(), rng.random()).wrapping_rem(limit);
            let column = primitive::<Decimal256Type>(rng, rows, wide);
            Arc::new(column.as_primitive::<Decimal256Type>().clone().with_data_type(kind.clone()))
        }
        DataType::Utf8 => Arc::new(some(rng, rows, random_text).collect::<StringArray>()),
        DataType::Binary => {
            let bytes = |rng: &mut StdRng| (0..rng.random_range(1..9)).map(|_| rng.random()).collect::<Vec<u8>>();
            Arc::new(some(rng, rows, bytes).collect::<BinaryArray>())
        }
        DataType::List(item) => {
            let (offsets, nulls) = random_lists(rng, rows);
            let items = random_column(rng, item.data_type(), *offsets.last().unwrap() as usize);
            Arc::new(ListArray::new(item.clone(), offsets, items, Some(nulls)))
        }
        DataType::Map(entries, _) => random_map(rng, entries, rows),
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| random_column(rng, field.data_type(), rows)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, Some(random_nulls(rng, rows))))
        }
        other => panic!("no format holds {other}"),
    }
}

fn random_map(rng: &mut StdRng, entries: &Arc<Field>, rows: usize) -> ArrayRef {
    let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
    let (offsets, nulls) = random_lists(rng, rows);
    let count = *offsets.last().unwrap() as usize;
    let keys: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..count).map(|at| format!("{}{at}", random_text(rng)))));
    let values = random_column(rng, fields[1].data_type(), count);
    let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
    Arc::new(MapArray::new(entries.clone(), offsets, pairs, Some(nulls), false))
}

/// Random values, one in eight missing.
fn some<T>(rng: &mut StdRng, rows: usize, value: impl Fn(&mut StdRng) -> T) -> impl Iterator<Item = Option<T>> {
    (0..rows).map(move |_| (!rng.random_bool(0.125)).then(|| value(rng)))
}

fn primitive<T: ArrowPrimitiveType>(
    rng: &mut StdRng,
    rows: usize,
    value: impl Fn(&mut StdRng) -> T::Native,
) -> ArrayRef {
    Arc::new(some(rng, rows, value).collect::<PrimitiveArray<T>>())
}

fn random_nulls(rng: &mut StdRng, rows: usize) -> NullBuffer {
    (0..rows).map(|_| !rng.random_bool(0.125)).collect::<Vec<_>>().into()
}

/// Lists of up to three items; those that are null have none.
fn random_lists(rng: &mut StdRng, rows: usize) -> (OffsetBuffer<i32>, NullBuffer) {
    let nulls = random_nulls(rng, rows);
    let lengths = (0..rows).map(|row| if nulls.is_valid(row) { rng.random_range(0..4) } else { 0 });
    (OffsetBuffer::from_lengths(lengths.collect::<Vec<_>>()), nulls)
}

pub fn random_double(rng: &mut StdRng) -> f64 {
    match rng.random_range(0..6) {
        0 => [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, f64::NAN][rng.random_range(0..7)],
        1 => rng.random_range(-1000..1000).into(),
        2 => rng.random_range(-1.0..1.0),
        _ => {
            let double = f64::from_bits(rng.random());
            if double.is_nan() { 1.0 } else { double }
        }
    }
}

/// A text that is not empty, with everything an encoder must take care of.
pub fn random_text(rng: &mut StdRng) -> String {
    const PIECES: [&str; 16] =
        ["a", "B", "7", " ", ",", "|", "\t", "\"", "\\", "\n", "\r\n", "\u{1}", "\u{7f}", "\u{e9}", "\u{1f600}", "#"];
    (0..rng.random_range(1..8)).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect()
}
