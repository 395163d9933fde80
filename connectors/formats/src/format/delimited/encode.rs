//! Encodes columns to DELIMITED payloads, with the quoting rules of commons-csv.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::format::batch::{Payloads, conform, is_present};
use crate::format::number::{write_decimal, write_double};
use crate::format::{Encoded, Encoder, Layout, sql_name};

/// Encodes DELIMITED; see [`super`].
pub(crate) struct DelimitedEncoder {
    layout: Layout,
    /// The field being written, before it is quoted.
    field: Vec<u8>,
}

impl DelimitedEncoder {
    /// An encoder for all fields of the layout.
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), field: Vec::new() }
    }

    fn write_line(&mut self, columns: &[ArrayRef], row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(self.layout.delimiter);
            }
            self.field.clear();
            if column.is_valid(row) {
                write_value(column, row, &mut self.field)?;
            } else if columns.len() > 1 {
                // Null is an empty field; as the only field it is quoted, because an empty line would not be a
                // record.
                continue;
            }
            write_field(&self.field, index == 0, self.layout.delimiter, out);
        }
        Ok(())
    }
}

impl Encoder for DelimitedEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            let bare_null = !self.layout.is_record() && columns[0].is_null(row);
            match is_present(null_rows, row) && !bare_null {
                true => payloads.push(|out| self.write_line(&columns, row, out)),
                false => payloads.push_null(),
            }
        }
        payloads.finish()
    }
}

fn write_value(column: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let text = match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time32(_) => column.as_primitive::<Time32MillisecondType>().value(row).to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
        DataType::Binary => BASE64.encode(column.as_binary::<i32>().value(row)),
        DataType::Utf8 => {
            out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes());
            return Ok(());
        }
        DataType::Float64 => {
            write_double(column.as_primitive::<Float64Type>().value(row), out);
            return Ok(());
        }
        DataType::Decimal128(_, scale) => {
            write_decimal(&column.as_primitive::<Decimal128Type>().value(row).to_string(), *scale, out);
            return Ok(());
        }
        DataType::Decimal256(_, scale) => {
            write_decimal(&column.as_primitive::<Decimal256Type>().value(row).to_string(), *scale, out);
            return Ok(());
        }
        other => return Err(format!("format DELIMITED cannot hold {}", sql_name(other))),
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn write_field(field: &[u8], first: bool, delimiter: u8, out: &mut Vec<u8>) {
    if !needs_quotes(field, first, delimiter) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Whether commons-csv quotes a field, which includes a first field that is empty (if it is the only one, the line
/// would be empty) or does not begin with an ASCII letter or digit, a field that begins with a character up to `#`
/// (which starts a comment for some readers), and a field that ends with a space.
fn needs_quotes(field: &[u8], first: bool, delimiter: u8) -> bool {
    let (Some(begin), Some(end)) = (field.first(), field.last()) else { return first };
    *begin <= b'#'
        || *end <= b' '
        || (first && !begin.is_ascii_alphanumeric())
        || field.iter().any(|byte| matches!(byte, b'"' | b'\r' | b'\n') || *byte == delimiter)
}
