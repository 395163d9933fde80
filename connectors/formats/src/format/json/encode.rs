//! Encodes columns to JSON payloads, byte for byte as ksqlDB writes them.
//!
//! Fields are in order, and null is written as `null`. A DECIMAL is a number with all digits of its scale, a DOUBLE
//! is written as Java prints it (`1.0E10`), BYTES are base64, and DATE, TIME and TIMESTAMP are integers. JSON has no
//! numbers for NaN and the infinities: they are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, as Jackson
//! writes them, which the decoder also accepts.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMillisecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::dialect::Dialect;
use crate::format::batch::{Payloads, conform, is_present};
use crate::format::number::{write_decimal, write_double};
use crate::format::{Encoded, Encoder, Layout};

/// Encodes JSON; see [`super`].
pub(crate) struct JsonEncoder {
    layout: Layout,
    /// What is in front of each payload.
    header: Vec<u8>,
    dialect: Dialect,
    /// The beginning of each field, `"NAME":`.
    leads: Vec<Vec<u8>>,
    /// What is left out of each field; empty if nothing is.
    omissions: Vec<Omission>,
}

/// What is left out of a value.
pub(crate) struct Omission {
    /// Whether the value itself is left out of its object if it is null.
    pub(crate) is_omitted: bool,
    /// That of the fields of a STRUCT, or of the items of an ARRAY or the values of a MAP; empty if nothing is.
    pub(crate) within: Vec<Omission>,
}

impl JsonEncoder {
    /// An encoder for all fields of the layout.
    pub(crate) fn new(layout: &Layout) -> Self {
        Self::with(layout, Dialect::Plain, Vec::new())
    }

    /// An encoder for all fields of the layout, with another form of maps and something in front of each payload.
    pub(crate) fn with(layout: &Layout, dialect: Dialect, header: Vec<u8>) -> Self {
        let leads = layout.fields.iter().map(|field| lead(field.name())).collect();
        Self { layout: layout.clone(), header, dialect, leads, omissions: Vec::new() }
    }

    /// The encoder with something left out of each field.
    pub(crate) fn leaving_out(self, omissions: Vec<Omission>) -> Self {
        Self { omissions, ..self }
    }

    fn write_cells(&self, cells: &[Cells<'_>], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        match omitted(&self.omissions) {
            None => self.write_batch(cells, rows, null_rows, |row, out| write_members(&self.leads, cells, row, out)),
            Some(omitted) => self.write_batch(cells, rows, null_rows, |row, out| {
                write_present(&self.leads, &omitted, cells, row, out);
            }),
        }
    }

    #[inline]
    fn write_batch(
        &self,
        cells: &[Cells<'_>],
        rows: usize,
        null_rows: Option<&NullBuffer>,
        write_object: impl Fn(usize, &mut Vec<u8>),
    ) -> Encoded {
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            match cells {
                _ if !is_present(null_rows, row) => payloads.push_null(),
                [bare] if !self.layout.is_record() && bare.is_null(row) => payloads.push_null(),
                [bare] if !self.layout.is_record() => payloads.push(|out| {
                    out.extend_from_slice(&self.header);
                    bare.write(row, out);
                    Ok(())
                }),
                _ => payloads.push(|out| {
                    out.extend_from_slice(&self.header);
                    write_object(row, out);
                    Ok(())
                }),
            }
        }
        payloads.finish()
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let cells = columns.iter().enumerate();
        let cells = cells.map(|(at, column)| Cells::try_new(column, self.dialect, within(&self.omissions, at)));
        match cells.collect::<Result<Vec<_>, _>>() {
            Ok(cells) => self.write_cells(&cells, rows, null_rows),
            Err(reason) => Payloads::refuse(rows, &reason),
        }
    }
}

/// A column, downcast once for each batch.
enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Int(&'a PrimitiveArray<Int32Type>),
    Bigint(&'a PrimitiveArray<Int64Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>),
    WideDecimal(&'a PrimitiveArray<Decimal256Type>),
    String(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time32MillisecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMillisecondType>),
    Array(&'a ListArray, Box<Cells<'a>>),
    Map(Dialect, &'a MapArray, &'a StringArray, Box<Cells<'a>>),
    Struct(&'a StructArray, Vec<Vec<u8>>, Vec<Cells<'a>>),
    /// A STRUCT of which some fields are left out if they are null.
    Sparse(&'a StructArray, Vec<Vec<u8>>, Vec<bool>, Vec<Cells<'a>>),
}

/// For each field, whether it is left out if it is null; none if none is.
fn omitted(omissions: &[Omission]) -> Option<Vec<bool>> {
    let is_omitted = |omission: &Omission| omission.is_omitted;
    omissions.iter().any(is_omitted).then(|| omissions.iter().map(is_omitted).collect())
}

/// What is left out of the values in the one of this index.
fn within(omissions: &[Omission], at: usize) -> &[Omission] {
    omissions.get(at).map_or(&[], |omission| &omission.within)
}

impl<'a> Cells<'a> {
    /// The cells of a column; `omissions` says what is left out of the values within its own.
    fn try_new(column: &'a ArrayRef, dialect: Dialect, omissions: &[Omission]) -> Result<Self, String> {
        Self::open(column, dialect, omissions)
            .ok_or_else(|| format!("JSON has no {}", crate::format::sql_name(column.data_type())))
    }

    fn open(column: &'a ArrayRef, dialect: Dialect, omissions: &[Omission]) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Boolean => Self::Boolean(column.as_boolean_opt()?),
            DataType::Int32 => Self::Int(column.as_primitive_opt()?),
            DataType::Int64 => Self::Bigint(column.as_primitive_opt()?),
            DataType::Float64 => Self::Double(column.as_primitive_opt()?),
            DataType::Decimal128(..) => Self::Decimal(column.as_primitive_opt()?),
            DataType::Decimal256(..) => Self::WideDecimal(column.as_primitive_opt()?),
            DataType::Utf8 => Self::String(column.as_string_opt()?),
            DataType::Binary => Self::Bytes(column.as_binary_opt()?),
            DataType::Date32 => Self::Date(column.as_primitive_opt()?),
            DataType::Time32(_) => Self::Time(column.as_primitive_opt()?),
            DataType::Timestamp(..) => Self::Timestamp(column.as_primitive_opt()?),
            DataType::List(_) => {
                let list = column.as_list_opt()?;
                Self::Array(list, Box::new(Self::open(list.values(), dialect, within(omissions, 0))?))
            }
            DataType::Map(..) => {
                let map = column.as_map_opt()?;
                let values = Box::new(Self::open(map.values(), dialect, within(omissions, 0))?);
                Self::Map(dialect, map, map.keys().as_string_opt()?, values)
            }
            DataType::Struct(fields) => {
                let record = column.as_struct_opt()?;
                let leads = fields.iter().map(|field| lead(field.name())).collect();
                let children = record.columns().iter().enumerate();
                let children = children.map(|(at, child)| Self::open(child, dialect, within(omissions, at)));
                let children = children.collect::<Option<_>>()?;
                match omitted(omissions) {
                    None => Self::Struct(record, leads, children),
                    Some(omitted) => Self::Sparse(record, leads, omitted, children),
                }
            }
            _ => return None,
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(array) => array,
            Self::Int(array) => array,
            Self::Bigint(array) => array,
            Self::Double(array) => array,
            Self::Decimal(array) => array,
            Self::WideDecimal(array) => array,
            Self::String(array) => array,
            Self::Bytes(array) => array,
            Self::Date(array) => array,
            Self::Time(array) => array,
            Self::Timestamp(array) => array,
            Self::Array(array, _) => array,
            Self::Map(_, array, ..) => array,
            Self::Struct(array, ..) | Self::Sparse(array, ..) => array,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int(array) => write_integer(array.value(row).into(), out),
            Self::Date(array) => write_integer(array.value(row).into(), out),
            Self::Time(array) => write_integer(array.value(row).into(), out),
            Self::Bigint(array) => write_integer(array.value(row), out),
            Self::Timestamp(array) => write_integer(array.value(row), out),
            Self::Double(array) => write_number(array.value(row), out),
            Self::Decimal(array) => write_unscaled(array, row, out),
            Self::WideDecimal(array) => write_unscaled(array, row, out),
            Self::String(array) => write_string(array.value(row).as_bytes(), out),
            Self::Bytes(array) => write_string(BASE64.encode(array.value(row)).as_bytes(), out),
            Self::Array(array, items) => write_items(array, items, row, out),
            Self::Map(Dialect::Plain, array, keys, values) => write_map(array, keys, values, row, out),
            Self::Map(Dialect::Connect, array, keys, values) => write_entries(array, keys, values, row, out),
            Self::Struct(_, leads, children) => write_members(leads, children, row, out),
            Self::Sparse(_, leads, omitted, children) => write_present(leads, omitted, children, row, out),
        }
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        return write_double(value, out);
    }
    out.push(b'"');
    write_double(value, out);
    out.push(b'"');
}

fn write_unscaled<T: DecimalType>(array: &PrimitiveArray<T>, row: usize, out: &mut Vec<u8>)
where
    T::Native: ToString,
{
    let scale = match array.data_type() {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    };
    write_decimal(&array.value(row).to_string(), scale, out);
}

fn write_items(array: &ListArray, items: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
    let range = array.value_offsets()[row] as usize..array.value_offsets()[row + 1] as usize;
    out.push(b'[');
    for (index, item) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        items.write(item, out);
    }
    out.push(b']');
}

/// Writes a map as an object.
fn write_map(array: &MapArray, keys: &StringArray, values: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
    let range = array.value_offsets()[row] as usize..array.value_offsets()[row + 1] as usize;
    out.push(b'{');
    for (index, entry) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(keys.value(entry).as_bytes(), out);
        out.push(b':');
        values.write(entry, out);
    }
    out.push(b'}');
}

/// Writes a map as an array of entries.
fn write_entries(array: &MapArray, keys: &StringArray, values: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
    let range = array.value_offsets()[row] as usize..array.value_offsets()[row + 1] as usize;
    out.push(b'[');
    for (index, entry) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        write_string(keys.value(entry).as_bytes(), out);
        out.extend_from_slice(b",\"value\":");
        values.write(entry, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_members(leads: &[Vec<u8>], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (lead, cell)) in leads.iter().zip(cells).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(lead);
        cell.write(row, out);
    }
    out.push(b'}');
}

/// Writes an object without the members that are null and left out then.
fn write_present(leads: &[Vec<u8>], omitted: &[bool], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    for ((lead, cell), is_omitted) in leads.iter().zip(cells).zip(omitted) {
        if *is_omitted && cell.is_null(row) {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(lead);
        cell.write(row, out);
    }
    out.push(b'}');
}

/// The beginning of a member: the field's name and a colon.
fn lead(name: &str) -> Vec<u8> {
    let mut lead = Vec::new();
    write_string(name.as_bytes(), &mut lead);
    lead.push(b':');
    lead
}

/// Writes a text as a JSON string, escaping only what must be escaped.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The position of the first byte that must be escaped. It checks eight bytes at a time, as most texts have no such
/// byte.
fn first_escaped(text: &[u8]) -> Option<usize> {
    let words = text.chunks_exact(8);
    let tail = text.len() - words.remainder().len();
    let found = words.map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).position(has_escaped);
    let from = found.map_or(tail, |word| word * 8);
    text[from..].iter().position(|byte| is_escaped(*byte)).map(|at| from + at)
}

fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1F)
}

/// Whether any of eight bytes must be escaped: the high bit of each byte is set if the byte was below a limit.
fn has_escaped(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) != 0
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        _ => return out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_find_what_one_at_a_time_finds() {
        for byte in 0..=255_u8 {
            for at in 0..19 {
                let mut text = *b"plain text of 19 by";
                text[at] = byte;
                assert_eq!(first_escaped(&text), text.iter().position(|b| is_escaped(*b)), "{byte} at {at}");
            }
        }
    }
}
