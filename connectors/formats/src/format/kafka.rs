//! KAFKA: one bare column, in the encoding of Kafka's own serializers. INT and BIGINT have four and eight bytes, the
//! most significant first, and so has DOUBLE, by its bits; STRING is UTF-8 (read with [`decode_utf8`]), and BYTES are
//! unchanged.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
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
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            match is_present(null_rows, row) && columns[0].is_valid(row) {
                true => payloads.push(|out| write(&columns[0], row, out)),
                false => payloads.push_null(),
            }
        }
        payloads.finish()
    }
}

fn write(column: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    match column.data_type() {
        DataType::Int32 => out.extend(column.as_primitive::<Int32Type>().value(row).to_be_bytes()),
        DataType::Int64 => out.extend(column.as_primitive::<Int64Type>().value(row).to_be_bytes()),
        DataType::Float64 => out.extend(column.as_primitive::<Float64Type>().value(row).to_be_bytes()),
        DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => out.extend_from_slice(column.as_binary::<i32>().value(row)),
        other => return Err(format!("format KAFKA cannot hold {}", sql_name(other))),
    }
    Ok(())
}
