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

use super::WHOLE;
use super::known;
use super::layout::message_of;
use super::message::{Message, Primitive};
use super::wire::{BYTES, FIXED32, FIXED64, VARINT, put_bytes, put_message};
use super::write_plan::{Form, KeyPart, Part, Shape, Source, Symbols, UnionPart, Value};
use crate::format::batch::{Payloads, conform, is_present};
use crate::format::fault::{Fault, NULL_REFUSED, Outcome};
use crate::format::float::write_float;
use crate::format::framing::header;
use crate::format::kind::FormatError;
use crate::format::varint::{put_varint, zigzag};
use crate::format::{Encoded, Encoder, Layout};
use crate::schema::SchemaId;

/// Encodes rows as payloads of one message; see [`super`].
pub(in super::super) struct ProtobufEncoder {
    layout: Layout,
    /// What is in front of each payload.
    header: Vec<u8>,
    form: Form,
}

impl ProtobufEncoder {
    /// An encoder for the message of a layout. Fails for a type that no message has.
    pub(in super::super) fn try_new(layout: &Layout) -> Result<Self, FormatError> {
        let message = message_of(&layout.fields, layout.presence)?;
        let form = Form::in_order(&message, &layout.fields).map_err(FormatError::Unfit)?;
        Ok(Self { layout: layout.clone(), header: Vec::new(), form })
    }

    /// An encoder for the message of a schema. Payloads begin with the id of the schema and the indexes of the message,
    /// if they are given. Fails if the message cannot hold a column.
    pub(super) fn registered(
        layout: &Layout,
        message: &Message,
        frame: Option<(SchemaId, &[u32])>,
    ) -> Result<Self, FormatError> {
        let unfit = |reason: String| FormatError::Unfit(format!("the schema does not fit the columns: {reason}"));
        let form = Form::by_name(message, &layout.fields).map_err(unfit)?;
        let header = frame.map(|(id, indexes)| frame_of(id, indexes)).unwrap_or_default();
        Ok(Self { layout: layout.clone(), header, form })
    }
}

/// The id of a schema and the indexes of a message in it. The first message of a file has an abbreviation.
fn frame_of(id: SchemaId, indexes: &[u32]) -> Vec<u8> {
    let mut frame = header(id).to_vec();
    match indexes {
        [0] => frame.push(0),
        _ => {
            put_varint(zigzag(indexes.len() as i64), &mut frame);
            indexes.iter().for_each(|index| put_varint(zigzag((*index).into()), &mut frame));
        }
    }
    frame
}

impl Encoder for ProtobufEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let columns = match conform(columns, &self.layout) {
            Ok(columns) => columns,
            Err(reason) => return Payloads::refuse(rows, &reason),
        };
        let writer = MessageWriter::new(&self.form, &columns);
        let mut payloads = Payloads::new(rows);
        for row in 0..rows {
            match is_present(null_rows, row) {
                true => payloads.push(|out| {
                    out.extend_from_slice(&self.header);
                    writer.write(row, out).map_err(|fault| fault.reason(WHOLE))
                }),
                false => payloads.push_null(),
            }
        }
        payloads.finish()
    }
}

/// The fields of a message, each with its array.
struct MessageWriter<'a> {
    fields: Vec<FieldWriter<'a>>,
    unions: &'a [UnionPart],
}

impl<'a> MessageWriter<'a> {
    fn new(form: &'a Form, columns: &'a [ArrayRef]) -> Self {
        Self { fields: form.parts.iter().map(|part| FieldWriter::new(part, columns)).collect(), unions: &form.unions }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        for union in self.unions {
            let present = |part: &&usize| is_present(self.fields[**part].nulls.as_ref(), row);
            if union.parts.iter().filter(present).count() > 1 {
                return Err(Fault::new(None, "several fields of the oneof have a value").in_field(&union.name));
            }
        }
        for field in &self.fields {
            field.write(row, out).map_err(|fault| fault.in_field(field.name))?;
        }
        Ok(())
    }
}

/// One field with its array.
struct FieldWriter<'a> {
    name: &'a str,
    tag: u64,
    nulls: Option<NullBuffer>,
    /// What is written for null; if there is none, the row is bad.
    null: Option<&'a [u8]>,
    often: Often<'a>,
    values: Values<'a>,
}

/// How often the field is written for a row.
enum Often<'a> {
    /// Once for null, without a value of a column.
    Never,
    /// Not at all for null and for the default.
    Implicit,
    /// Not at all for null.
    Optional,
    /// Once for each element.
    Repeated(Elements<'a>),
    /// Once, with all elements.
    Packed(Elements<'a>),
    /// Once for each entry. The values of the field are those of the entries.
    Map(&'a [i32], KeyPart, &'a StringArray, Box<FieldWriter<'a>>),
}

/// The elements of each row.
struct Elements<'a> {
    offsets: &'a [i32],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> FieldWriter<'a> {
    fn new(part: &'a Part, columns: &'a [ArrayRef]) -> Self {
        match part.source {
            Source::Nowhere => Self::of(part, None, Often::Never, Values::None),
            Source::Column(column) => Self::of_column(part, columns[column].nulls().cloned(), &columns[column]),
            Source::Member(column, child) => {
                let union = columns[column].as_struct();
                let nulls = NullBuffer::union(union.nulls(), union.column(child).nulls());
                Self::of_column(part, nulls, union.column(child))
            }
        }
    }

    fn of_column(part: &'a Part, nulls: Option<NullBuffer>, column: &'a ArrayRef) -> Self {
        let (often, values) = match &part.shape {
            Shape::Implicit => (Often::Implicit, Values::new(&part.value, column)),
            Shape::Optional => (Often::Optional, Values::new(&part.value, column)),
            Shape::Repeated { packed } => {
                let list = column.as_list::<i32>();
                let elements = Elements { offsets: list.value_offsets(), nulls: list.values().nulls() };
                let often = if *packed { Often::Packed(elements) } else { Often::Repeated(elements) };
                (often, Values::new(&part.value, list.values()))
            }
            Shape::Map { key, value } => {
                let map = column.as_map();
                let value = Self::of_column(value, map.values().nulls().cloned(), map.values());
                (Often::Map(map.value_offsets(), *key, map.keys().as_string(), Box::new(value)), Values::None)
            }
        };
        Self::of(part, nulls, often, values)
    }

    fn of(part: &'a Part, nulls: Option<NullBuffer>, often: Often<'a>, values: Values<'a>) -> Self {
        let wire = if let Often::Packed(_) = often { BYTES } else { values.wire() };
        let tag = u64::from(part.number << 3 | wire);
        Self { name: &part.name, tag, nulls, null: part.null.as_deref(), often, values }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        if matches!(self.often, Often::Never) || !is_present(self.nulls.as_ref(), row) {
            out.extend_from_slice(self.null.ok_or_else(|| Fault::of_row(NULL_REFUSED))?);
            return Ok(());
        }
        match &self.often {
            Often::Never => Ok(()),
            Often::Implicit => self.write_unless_default(row, out),
            Often::Optional => self.write_value(row, out),
            Often::Repeated(elements) => elements.each(row, |at| self.write_value(at, out)),
            Often::Packed(elements) if elements.is_empty(row) => Ok(()),
            Often::Packed(elements) => {
                put_varint(self.tag, out);
                put_message(out, |out| elements.each(row, |at| self.values.write(at, out)))
            }
            Often::Map(offsets, key, keys, value) => {
                let entries = offsets[row] as usize..offsets[row + 1] as usize;
                entries.into_iter().try_for_each(|at| self.write_entry(at, *key, keys.value(at), value, out))
            }
        }
    }

    #[inline]
    fn write_unless_default(&self, row: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match &self.values {
            Values::Symbol(names, symbols) => {
                let number = number_of(names.value(row), symbols)?;
                if number != 0 {
                    put_varint(self.tag, out);
                    put_varint(i64::from(number) as u64, out);
                }
                Ok(())
            }
            values if values.is_default(row) => Ok(()),
            _ => self.write_value(row, out),
        }
    }

    #[inline]
    fn write_value(&self, at: usize, out: &mut Vec<u8>) -> Outcome<()> {
        put_varint(self.tag, out);
        self.values.write(at, out)
    }

    /// Writes an entry of a map, key and value even if they are defaults, as nearly all writers do. A value that is null
    /// is left out.
    fn write_entry(
        &self,
        at: usize,
        key: KeyPart,
        text: &str,
        value: &FieldWriter<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome<()> {
        put_varint(self.tag, out);
        put_message(out, |out| {
            key.write(text, out)?;
            match &value.often {
                Often::Implicit if is_present(value.nulls.as_ref(), at) => value.write_value(at, out),
                _ => value.write(at, out),
            }
        })
        .map_err(|fault| fault.in_entry(text.as_bytes()))
    }
}

impl KeyPart {
    fn write(self, text: &str, out: &mut Vec<u8>) -> Outcome<()> {
        match self.is_wrapped {
            false => self.write_as(self.number, text, out),
            true => {
                put_varint(u64::from(self.number << 3 | BYTES), out);
                put_message(out, |out| self.write_as(1, text, out))
            }
        }
    }

    fn write_as(self, number: u32, text: &str, out: &mut Vec<u8>) -> Outcome<()> {
        put_varint(u64::from(number << 3 | self.primitive.wire()), out);
        let bits = match self.primitive {
            Primitive::String => {
                put_bytes(text.as_bytes(), out);
                return Ok(());
            }
            Primitive::Bool => text.parse::<bool>().ok().map(u64::from),
            primitive => text.parse::<i64>().ok().and_then(|integer| primitive.bits_of(integer)),
        };
        let bits = bits.ok_or_else(|| Fault::new(None, "the key is not one of the type that the schema has"))?;
        put_bits(self.primitive.wire(), bits, out);
        Ok(())
    }
}

/// Appends the bits of a number.
#[inline]
fn put_bits(wire: u32, bits: u64, out: &mut Vec<u8>) {
    match wire {
        FIXED64 => out.extend_from_slice(&bits.to_le_bytes()),
        FIXED32 => out.extend_from_slice(&(bits as u32).to_le_bytes()),
        _ => put_varint(bits, out),
    }
}

impl Elements<'_> {
    fn is_empty(&self, row: usize) -> bool {
        self.offsets[row] == self.offsets[row + 1]
    }

    fn each(&self, row: usize, mut write: impl FnMut(usize) -> Outcome<()>) -> Outcome<()> {
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
    Float(&'a [f64]),
    /// Integers that are written in another way than their columns have them.
    Integer(Integers<'a>, Primitive),
    /// Texts that are the names of an enum's values.
    Symbol(&'a StringArray, &'a Symbols),
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

/// Integers of either width.
#[derive(Clone, Copy)]
enum Integers<'a> {
    Int(&'a [i32]),
    Bigint(&'a [i64]),
}

impl Integers<'_> {
    #[inline]
    fn get(self, at: usize) -> i64 {
        match self {
            Self::Int(values) => values[at].into(),
            Self::Bigint(values) => values[at],
        }
    }
}

impl<'a> Values<'a> {
    fn new(value: &'a Value, column: &'a ArrayRef) -> Self {
        match value {
            Value::Scalar(primitive) => Self::of_primitive(*primitive, column),
            Value::Wrapper(primitive) => Self::Wrapper(Box::new(Self::of_primitive(*primitive, column))),
            Value::Enum(symbols) => Self::Symbol(column.as_string(), symbols),
            Value::Message(form) => Self::Message(MessageWriter::new(form, column.as_struct().columns())),
            Value::Known => Self::of_scalar(column),
            Value::Entry => Self::None,
        }
    }

    fn of_primitive(primitive: Primitive, column: &'a ArrayRef) -> Self {
        let plain = Self::of_scalar(column);
        match (primitive, plain) {
            (Primitive::Float, Self::Double(values)) => Self::Float(values),
            (Primitive::Int32, plain @ Self::Int(_)) => plain,
            (Primitive::Int64 | Primitive::Uint64, plain @ Self::Bigint(_)) => plain,
            (primitive, Self::Int(values)) => Self::Integer(Integers::Int(values), primitive),
            (primitive, Self::Bigint(values)) => Self::Integer(Integers::Bigint(values), primitive),
            (_, plain) => plain,
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
            Self::Float(values) => (values[at] as f32).to_bits() == 0,
            Self::Integer(values, _) => values.get(at) == 0,
            Self::Text(values) => values.value_length(at) == 0,
            Self::Bytes(values) => values.value_length(at) == 0,
            _ => false,
        }
    }

    /// Appends a value without its tag.
    #[inline]
    fn write(&self, at: usize, out: &mut Vec<u8>) -> Outcome<()> {
        match self {
            Self::Boolean(values) => out.push(values.value(at).into()),
            Self::Int(values) => put_varint(i64::from(values[at]) as u64, out),
            Self::Bigint(values) => put_varint(values[at] as u64, out),
            Self::Double(values) => out.extend_from_slice(&values[at].to_le_bytes()),
            Self::Text(values) => put_bytes(values.value(at).as_bytes(), out),
            Self::Bytes(values) => put_bytes(values.value(at), out),
            Self::Float(values) => return write_float(values[at], out),
            Self::Integer(values, primitive) => return write_integer(values.get(at), *primitive, out),
            Self::Symbol(names, symbols) => put_varint(i64::from(number_of(names.value(at), symbols)?) as u64, out),
            _ => return put_message(out, |out| self.write_message(at, out)),
        }
        Ok(())
    }

    /// The wire type of a value.
    fn wire(&self) -> u32 {
        match self {
            Self::Boolean(_) | Self::Int(_) | Self::Bigint(_) | Self::Symbol(..) => VARINT,
            Self::Double(_) => FIXED64,
            Self::Float(_) => FIXED32,
            Self::Integer(_, primitive) => primitive.wire(),
            _ => BYTES,
        }
    }

    /// Appends the fields of a value that is a message.
    fn write_message(&self, at: usize, out: &mut Vec<u8>) -> Outcome<()> {
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

fn write_integer(integer: i64, primitive: Primitive, out: &mut Vec<u8>) -> Outcome<()> {
    let bits = primitive.bits_of(integer);
    let bits = bits.ok_or_else(|| Fault::new(None, format!("{integer} is out of range for the type of the field")))?;
    put_bits(primitive.wire(), bits, out);
    Ok(())
}

/// The number of an enum's value.
fn number_of(name: &str, symbols: &Symbols) -> Outcome<i32> {
    let unknown = || Fault::of_row(format!("\"{name}\" is not a value of the enum {}", symbols.name()));
    symbols.number_of(name).ok_or_else(unknown)
}
