//! Encodes columns to payloads: computes the size of each payload first, then writes all bytes into one buffer.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::super::batch::{Payloads, conform, is_present};
use super::super::{BadRow, Encoded, Encoder, Layout};
use super::VERSION;

/// Encodes all fields of a layout.
pub(in super::super) struct CompactEncoder {
    layout: Layout,
}

impl CompactEncoder {
    /// An encoder for a layout whose types the format supports.
    pub(in super::super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone() }
    }
}

impl Encoder for CompactEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let Ok(count) = u32::try_from(rows) else { return Payloads::refuse(rows, FULL) };
        let mut present: Vec<u32> = (0..count).filter(|row| is_present(null_rows, *row as usize)).collect();
        let mut sizes = Sizes(vec![0; rows]);
        write(&columns, &present, &mut sizes);
        let (offsets, bad) = place(&mut sizes.0);
        if !bad.is_empty() {
            present.retain(|row| sizes.0[*row as usize] > 0);
        }
        let at = offsets[..rows].iter().map(|offset| *offset as usize).collect();
        let mut out = Bytes { data: vec![0; offsets[rows] as usize], at };
        write(&columns, &present, &mut out);
        let nulls = (present.len() < rows).then(|| sizes.0.iter().map(|bytes| *bytes > 0).collect::<NullBuffer>());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Encoded { payloads: BinaryArray::new(offsets, Buffer::from_vec(out.data), nulls), bad }
    }
}

const FULL: &str = "the payloads of this batch exceed 2 GiB";

/// The start of each payload, and the end of the last one. Payloads that no longer fit are bad and get size 0.
fn place(sizes: &mut [usize]) -> (Vec<i32>, Vec<BadRow>) {
    let (mut offsets, mut bad, mut end) = (Vec::with_capacity(sizes.len() + 1), Vec::new(), 0_i32);
    offsets.push(end);
    for (row, size) in sizes.iter_mut().enumerate() {
        match i32::try_from(*size).ok().and_then(|size| end.checked_add(size)) {
            Some(next) => end = next,
            None => {
                *size = 0;
                bad.push(BadRow { row, reason: FULL.to_owned() });
            }
        }
        offsets.push(end);
    }
    (offsets, bad)
}

/// Receives the bytes of payloads; those of one payload arrive in order.
trait Out {
    fn put(&mut self, payload: u32, bytes: &[u8]);
}

/// Counts the bytes of each payload.
struct Sizes(Vec<usize>);

impl Out for Sizes {
    #[inline]
    fn put(&mut self, payload: u32, bytes: &[u8]) {
        self.0[payload as usize] += bytes.len();
    }
}

/// The bytes of all payloads, and the position at which each of them continues.
struct Bytes {
    data: Vec<u8>,
    at: Vec<usize>,
}

impl Out for Bytes {
    #[inline]
    fn put(&mut self, payload: u32, bytes: &[u8]) {
        let at = &mut self.at[payload as usize];
        self.data[*at..*at + bytes.len()].copy_from_slice(bytes);
        *at += bytes.len();
    }
}

/// A value, as its payload and its index in the column. The values of a payload are consecutive.
type Place = (u32, u32);

/// Writes the payloads of some rows.
fn write(columns: &[ArrayRef], rows: &[u32], out: &mut impl Out) {
    rows.iter().for_each(|row| out.put(*row, &[VERSION]));
    for eight in columns.chunks(8) {
        let nulls: Vec<Option<&NullBuffer>> = eight.iter().map(|column| column.nulls()).collect();
        for row in rows {
            out.put(*row, &[bits(nulls.iter().map(|nulls| !is_present(*nulls, *row as usize)))]);
        }
    }
    for column in columns {
        let nulls = column.nulls();
        let present = rows.iter().filter(|row| is_present(nulls, **row as usize)).map(|row| (*row, *row));
        values(column, &present.collect::<Vec<_>>(), out);
    }
}

/// Writes values that may be null.
fn column(array: &ArrayRef, places: &[Place], out: &mut impl Out) {
    let nulls = array.nulls();
    for run in places.chunk_by(|one, next| one.0 == next.0) {
        for eight in run.chunks(8) {
            out.put(run[0].0, &[bits(eight.iter().map(|(_, at)| !is_present(nulls, *at as usize)))]);
        }
    }
    match array.null_count() {
        0 => values(array, places, out),
        _ => {
            let present = places.iter().copied().filter(|(_, at)| is_present(nulls, *at as usize));
            values(array, &present.collect::<Vec<_>>(), out);
        }
    }
}

fn bits(nulls: impl Iterator<Item = bool>) -> u8 {
    nulls.enumerate().fold(0, |byte, (bit, null)| byte | u8::from(null) << bit)
}

/// Writes values that are not null.
fn values(array: &ArrayRef, places: &[Place], out: &mut impl Out) {
    match array.data_type() {
        DataType::Boolean => {
            let array = array.as_boolean();
            places.iter().for_each(|(payload, at)| out.put(*payload, &[u8::from(array.value(*at as usize))]));
        }
        DataType::Int32 => numbers::<Int32Type, 4>(array, places, out, i32::to_le_bytes),
        DataType::Date32 => numbers::<Date32Type, 4>(array, places, out, i32::to_le_bytes),
        DataType::Time32(_) => numbers::<Time32MillisecondType, 4>(array, places, out, i32::to_le_bytes),
        DataType::Int64 => numbers::<Int64Type, 8>(array, places, out, i64::to_le_bytes),
        DataType::Timestamp(..) => numbers::<TimestampMillisecondType, 8>(array, places, out, i64::to_le_bytes),
        DataType::Float64 => numbers::<Float64Type, 8>(array, places, out, f64::to_le_bytes),
        DataType::Decimal128(..) => numbers::<Decimal128Type, 16>(array, places, out, i128::to_le_bytes),
        DataType::Decimal256(..) => numbers::<Decimal256Type, 32>(array, places, out, |value| value.to_le_bytes()),
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            bytes(places, |at| array.value(at).as_bytes(), out);
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            bytes(places, |at| array.value(at), out);
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            column(array.values(), &elements(array.offsets(), places, out), out);
        }
        DataType::Map(..) => {
            let array = array.as_map();
            let entries = elements(array.offsets(), places, out);
            values(array.keys(), &entries, out);
            column(array.values(), &entries, out);
        }
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|field| column(field, places, out)),
        other => unreachable!("{other} is refused when the encoder is created"),
    }
}

fn numbers<T: ArrowPrimitiveType, const N: usize>(
    array: &ArrayRef,
    places: &[Place],
    out: &mut impl Out,
    to_bytes: impl Fn(T::Native) -> [u8; N],
) {
    let numbers = array.as_primitive::<T>().values();
    places.iter().for_each(|(payload, at)| out.put(*payload, &to_bytes(numbers[*at as usize])));
}

fn bytes<'a>(places: &[Place], value: impl Fn(usize) -> &'a [u8], out: &mut impl Out) {
    for (payload, at) in places {
        let value = value(*at as usize);
        length(*payload, value.len(), out);
        out.put(*payload, value);
    }
}

/// Writes the length of each list. Returns the places of the elements.
fn elements(offsets: &OffsetBuffer<i32>, places: &[Place], out: &mut impl Out) -> Vec<Place> {
    let mut elements = Vec::new();
    for (payload, at) in places {
        let (start, end) = (offsets[*at as usize], offsets[*at as usize + 1]);
        length(*payload, (end - start) as usize, out);
        elements.extend((start..end).map(|element| (*payload, element as u32)));
    }
    elements
}

fn length(payload: u32, mut length: usize, out: &mut impl Out) {
    while length >= 0x80 {
        out.put(payload, &[length as u8 | 0x80]);
        length >>= 7;
    }
    out.put(payload, &[length as u8]);
}
