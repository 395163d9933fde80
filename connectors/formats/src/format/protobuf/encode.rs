//! Encodes columns to payloads: the fields of a message in the order of their numbers, each value in its only form, so
//! that equal rows are equal bytes.
//!
//! A writer is made for the columns of one batch: its nodes have the arrays at hand, so that a row looks up no type.

use arrow::array::{Array as _, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType, i256,
};

use super::fault::{Fault, Read};
use super::known;
use super::layout::message_of;
use super::message::{Field, Kind, Label, Message};
use super::wire::{BYTES, FIXED64, VARINT, put_bytes, put_message, put_varint};
use crate::format::batch::{Payloads, conform, is_present};
use crate::format::kind::FormatError;
use crate::format::{Encoded, Encoder, Layout};

/// Encodes rows as payloads of one message; see [`super`].
pub(in super::super) struct ProtobufEncoder {
    layout: Layout,
    message: Message,
}

impl ProtobufEncoder {
    /// An encoder for the message of a layout. Fails for a type that no message has.
    pub(in super::super) fn try_new(layout: &Layout) -> Result<Self, FormatError> {
        Ok(Self { message: message_of(&layout.fields, layout.presence)?, layout: layout.clone() })
    }
}

impl Encoder for ProtobufEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let writer = MessageWriter::new(&self.message, &columns);
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            match is_present(null_rows, row) {
                true => payloads.push(|out| writer.write(row, out).map_err(|fault| fault.to_string())),
                false => payloads.push_null(),
            }
        }
        payloads.finish()
    }
}

/// The fields of a message, each with its array.
struct MessageWriter<'a> {
    fields: Vec<FieldWriter<'a>>,
}

impl<'a> MessageWriter<'a> {
    /// A writer for the fields of a message, each from the array at its place.
    fn new(message: &'a Message, columns: &'a [ArrayRef]) -> Self {
        let fields = message.fields.iter().zip(columns).map(|(field, column)| FieldWriter::new(field, column));
        Self { fields: fields.collect() }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Read<()> {
        for field in &self.fields {
            field.write(row, out).map_err(|fault| fault.within(field.name))?;
        }
        Ok(())
    }
}

/// One field with its array.
struct FieldWriter<'a> {
    name: &'a str,
    tag: u64,
    nulls: Option<&'a NullBuffer>,
    shape: Shape<'a>,
    values: Values<'a>,
}

/// How often the field is written for a row.
enum Shape<'a> {
    /// Not at all for null and for the default.
    Implicit,
    /// Not at all for null.
    Optional,
    /// Once for each element.
    Repeated(Elements<'a>),
    /// Once, with all elements.
    Packed(Elements<'a>),
    /// Once for each entry. The values of the field are those of the entries.
    Map(&'a [i32], &'a StringArray, Box<FieldWriter<'a>>),
}

/// The elements of each row.
struct Elements<'a> {
    offsets: &'a [i32],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> FieldWriter<'a> {
    fn new(field: &'a Field, column: &'a ArrayRef) -> Self {
        let (shape, values, wire) = match &field.label {
            Label::Implicit | Label::Default(_) => {
                (Shape::Implicit, Values::new(&field.kind, column), field.kind.wire())
            }
            Label::Optional => (Shape::Optional, Values::new(&field.kind, column), field.kind.wire()),
            Label::Repeated { packed } => {
                let list = column.as_list::<i32>();
                let elements = Elements { offsets: list.value_offsets(), nulls: list.values().nulls() };
                let values = Values::new(&field.kind, list.values());
                match packed {
                    true => (Shape::Packed(elements), values, BYTES),
                    false => (Shape::Repeated(elements), values, field.kind.wire()),
                }
            }
            Label::Map => {
                let map = column.as_map();
                let value = Box::new(FieldWriter::new(value_field(&field.kind), map.values()));
                (Shape::Map(map.value_offsets(), map.keys().as_string(), value), Values::None, BYTES)
            }
        };
        let tag = u64::from(field.number << 3 | wire);
        Self { name: &field.name, tag, nulls: column.nulls(), shape, values }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Read<()> {
        if !is_present(self.nulls, row) {
            return Ok(());
        }
        match &self.shape {
            Shape::Implicit if self.values.is_default(row) => Ok(()),
            Shape::Implicit | Shape::Optional => self.write_value(row, out),
            Shape::Repeated(elements) => elements.each(row, |at| self.write_value(at, out)),
            Shape::Packed(elements) if elements.is_empty(row) => Ok(()),
            Shape::Packed(elements) => {
                put_varint(self.tag, out);
                put_message(out, |out| elements.each(row, |at| self.values.write(at, out)))
            }
            Shape::Map(offsets, keys, value) => {
                (offsets[row]..offsets[row + 1]).try_for_each(|at| self.write_entry(at as usize, keys, value, out))
            }
        }
    }

    #[inline]
    fn write_value(&self, at: usize, out: &mut Vec<u8>) -> Read<()> {
        put_varint(self.tag, out);
        self.values.write(at, out)
    }

    /// Writes an entry of a map, key and value even if they are defaults, as nearly all writers do. A value that is null
    /// is left out.
    fn write_entry(&self, at: usize, keys: &StringArray, value: &FieldWriter<'_>, out: &mut Vec<u8>) -> Read<()> {
        put_varint(self.tag, out);
        put_message(out, |out| {
            out.push(0x0a);
            put_bytes(keys.value(at).as_bytes(), out);
            match &value.shape {
                Shape::Implicit if is_present(value.nulls, at) => value.write_value(at, out),
                _ => value.write(at, out),
            }
        })
        .map_err(|fault| fault.in_entry(keys.value(at)))
    }
}

/// The field of the values in the entries of a map.
fn value_field(entry: &Kind) -> &Field {
    match entry {
        Kind::Message(entry) if entry.fields.len() == 2 => &entry.fields[1],
        _ => unreachable!("an entry has a key and a value"),
    }
}

impl Elements<'_> {
    fn is_empty(&self, row: usize) -> bool {
        self.offsets[row] == self.offsets[row + 1]
    }

    fn each(&self, row: usize, mut write: impl FnMut(usize) -> Read<()>) -> Read<()> {
        let start = self.offsets[row] as usize;
        for at in start..self.offsets[row + 1] as usize {
            let written = match is_present(self.nulls, at) {
                true => write(at),
                false => Err(Fault::new(None, "an array in PROTOBUF cannot contain null")),
            };
            written.map_err(|fault| fault.in_item(at - start))?;
        }
        Ok(())
    }
}

/// The values of a field.
enum Values<'a> {
    None,
    Boolean(&'a BooleanArray),
    Int(&'a [i32]),
    Bigint(&'a [i64]),
    Double(&'a [f64]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a [i32]),
    Time(&'a [i32]),
    Timestamp(&'a [i64]),
    Decimal(&'a [i128], u8, i8),
    WideDecimal(&'a [i256], u8, i8),
    Wrapper(Box<Values<'a>>),
    Message(MessageWriter<'a>),
}

impl<'a> Values<'a> {
    fn new(kind: &'a Kind, column: &'a ArrayRef) -> Self {
        match (kind, column.data_type()) {
            (Kind::Wrapper(_), _) => Self::Wrapper(Box::new(Self::of_scalar(column))),
            (Kind::Message(message), DataType::Struct(_)) => {
                Self::Message(MessageWriter::new(message, column.as_struct().columns()))
            }
            _ => Self::of_scalar(column),
        }
    }

    fn of_scalar(column: &'a ArrayRef) -> Self {
        match column.data_type() {
            DataType::Boolean => Self::Boolean(column.as_boolean()),
            DataType::Int32 => Self::Int(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Bigint(column.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Self::Double(column.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => Self::Text(column.as_string()),
            DataType::Binary => Self::Bytes(column.as_binary()),
            DataType::Date32 => Self::Date(column.as_primitive::<Date32Type>().values()),
            DataType::Time32(_) => Self::Time(column.as_primitive::<Time32MillisecondType>().values()),
            DataType::Timestamp(..) => Self::Timestamp(column.as_primitive::<TimestampMillisecondType>().values()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal(column.as_primitive::<Decimal128Type>().values(), *precision, *scale)
            }
            DataType::Decimal256(precision, scale) => {
                Self::WideDecimal(column.as_primitive::<Decimal256Type>().values(), *precision, *scale)
            }
            other => unreachable!("{other} is refused when the encoder is created"),
        }
    }

    /// True for zero, false and empty texts and bytes. The zero with a sign is not the default.
    #[inline]
    fn is_default(&self, at: usize) -> bool {
        match self {
            Self::Boolean(values) => !values.value(at),
            Self::Int(values) => values[at] == 0,
            Self::Bigint(values) => values[at] == 0,
            Self::Double(values) => values[at].to_bits() == 0,
            Self::Text(values) => values.value_length(at) == 0,
            Self::Bytes(values) => values.value_length(at) == 0,
            _ => false,
        }
    }

    /// Appends a value without its tag.
    #[inline]
    fn write(&self, at: usize, out: &mut Vec<u8>) -> Read<()> {
        match self {
            Self::Boolean(values) => out.push(values.value(at).into()),
            Self::Int(values) => put_varint(i64::from(values[at]) as u64, out),
            Self::Bigint(values) => put_varint(values[at] as u64, out),
            Self::Double(values) => out.extend_from_slice(&values[at].to_le_bytes()),
            Self::Text(values) => put_bytes(values.value(at).as_bytes(), out),
            Self::Bytes(values) => put_bytes(values.value(at), out),
            _ => return put_message(out, |out| self.write_message(at, out)),
        }
        Ok(())
    }

    /// The wire type of a scalar.
    fn wire(&self) -> u32 {
        match self {
            Self::Boolean(_) | Self::Int(_) | Self::Bigint(_) => VARINT,
            Self::Double(_) => FIXED64,
            _ => BYTES,
        }
    }

    /// Appends the fields of a value that is a message.
    fn write_message(&self, at: usize, out: &mut Vec<u8>) -> Read<()> {
        match self {
            Self::Date(days) => known::write_date(days[at], out),
            Self::Time(times) => known::write_time(times[at], out)?,
            Self::Timestamp(times) => known::write_timestamp(times[at], out),
            Self::Decimal(numbers, precision, scale) => {
                known::write_decimal(i256::from_i128(numbers[at]), *precision, *scale, out);
            }
            Self::WideDecimal(numbers, precision, scale) => {
                known::write_decimal(numbers[at], *precision, *scale, out);
            }
            Self::Wrapper(values) if values.is_default(at) => {}
            Self::Wrapper(values) => {
                put_varint(u64::from(1 << 3 | values.wire()), out);
                values.write(at, out)?;
            }
            Self::Message(writer) => writer.write(at, out)?,
            _ => unreachable!("a scalar has no fields"),
        }
        Ok(())
    }
}
