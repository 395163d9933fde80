//! KAFKA: one bare column, in the encoding of Kafka's own serializers. INT and BIGINT have four and eight bytes, the
//! most significant first, and so has DOUBLE, by its bits; STRING is UTF-8 (read with [`decode_utf8`]), and BYTES are
//! unchanged.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::batch::{Payloads, Rows, Selected, conform, is_present};
use super::column::{Column, Values};
use super::kind::FormatError;
use super::scalar::Scalar;
use super::text::COLUMN_FULL;
use super::types::sql_name;
use super::{Decoded, Decoder, Encoded, Encoder, Layout};
use crate::decode_utf8;

/// The decoder of the only column.
pub(super) struct KafkaDecoder {
    /// The column, if it is requested.
    columns: Vec<Column>,
    /// Its type.
    scalar: Option<Scalar>,
}

impl KafkaDecoder {
    /// Fails if the layout does not have exactly one column.
    pub(super) fn try_new(layout: &Layout, selected: Selected) -> Result<Self, FormatError> {
        check_single(layout)?;
        Ok(Self { columns: selected.columns, scalar: Scalar::of(layout.fields[0].data_type()) })
    }
}

impl Decoder for KafkaDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let mut rows = Rows::new(&mut self.columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| match columns {
                [column] => read(payload, column),
                _ => check(payload, self.scalar),
            });
        }
        rows.finish()
    }
}

fn read(payload: &[u8], column: &mut Column) -> Result<(), String> {
    match &mut column.values {
        Values::Int(values) => values.push(i32::from_be_bytes(sized(payload, "INT")?)),
        Values::Bigint(values) => values.push(i64::from_be_bytes(sized(payload, "BIGINT")?)),
        Values::Double(values) => values.push(f64::from_be_bytes(sized(payload, "DOUBLE")?)),
        Values::String(bytes) => bytes.push(decode_utf8(payload).as_bytes()).map_err(|_| COLUMN_FULL)?,
        Values::Bytes(bytes) => bytes.push(payload).map_err(|_| COLUMN_FULL)?,
        other => return Err(format!("format KAFKA cannot hold {}", other.sql_name())),
    }
    column.close();
    Ok(())
}

/// Returns the error with which [`read`] would reject a payload.
fn check(payload: &[u8], scalar: Option<Scalar>) -> Result<(), String> {
    match scalar {
        Some(Scalar::Int) => sized::<4>(payload, "INT").map(drop),
        Some(Scalar::Bigint) => sized::<8>(payload, "BIGINT").map(drop),
        Some(Scalar::Double) => sized::<8>(payload, "DOUBLE").map(drop),
        _ => Ok(()),
    }
}

fn sized<const N: usize>(payload: &[u8], type_name: &str) -> Result<[u8; N], String> {
    payload.try_into().map_err(|_| format!("{type_name} takes {N} bytes, but the payload has {}", payload.len()))
}

fn check_single(layout: &Layout) -> Result<(), FormatError> {
    match layout.fields.len() {
        1 => Ok(()),
        other => Err(FormatError::Unfit(format!("format KAFKA holds exactly one column, not {other}"))),
    }
}

/// The encoder of the only column; null becomes a null payload.
pub(super) struct KafkaEncoder {
    layout: Layout,
}

impl KafkaEncoder {
    /// Fails if the layout does not have exactly one column.
    pub(super) fn try_new(layout: &Layout) -> Result<Self, FormatError> {
        check_single(layout)?;
        Ok(Self { layout: layout.clone() })
    }
}

impl Encoder for KafkaEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let nulls = NullBuffer::union(null_rows, columns[0].nulls());
        match columns[0].data_type() {
            DataType::Int32 => numbers::<Int32Type, 4>(&columns[0], nulls.as_ref(), |number| number.to_be_bytes()),
            DataType::Int64 => numbers::<Int64Type, 8>(&columns[0], nulls.as_ref(), |number| number.to_be_bytes()),
            DataType::Float64 => numbers::<Float64Type, 8>(&columns[0], nulls.as_ref(), |number| number.to_be_bytes()),
            DataType::Utf8 => {
                let texts = columns[0].as_string::<i32>();
                payloads(rows, nulls.as_ref(), |row, out| put(out, texts.value(row).as_bytes()))
            }
            DataType::Binary => {
                let bytes = columns[0].as_binary::<i32>();
                payloads(rows, nulls.as_ref(), |row, out| put(out, bytes.value(row)))
            }
            other => {
                let reason = format!("format KAFKA cannot hold {}", sql_name(other));
                payloads(rows, nulls.as_ref(), |_, _| Err(reason.clone()))
            }
        }
    }
}

/// The payloads of a column of numbers, each with the bytes of one.
fn numbers<T: ArrowPrimitiveType, const BYTES: usize>(
    column: &ArrayRef,
    nulls: Option<&NullBuffer>,
    bytes: impl Fn(T::Native) -> [u8; BYTES],
) -> Encoded {
    let numbers = column.as_primitive::<T>();
    payloads(numbers.len(), nulls, |row, out| put(out, &bytes(numbers.value(row))))
}

/// Appends bytes, which always succeeds.
fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    out.extend_from_slice(bytes);
    Ok(())
}

/// The payloads that `write` appends.
fn payloads(
    rows: usize,
    nulls: Option<&NullBuffer>,
    write: impl Fn(usize, &mut Vec<u8>) -> Result<(), String>,
) -> Encoded {
    let mut payloads = Payloads::new(rows);
    for row in 0..rows {
        match is_present(nulls, row) {
            true => payloads.push(|out| write(row, out)),
            false => payloads.push_null(),
        }
    }
    payloads.finish()
}
