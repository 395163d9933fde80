//! The message of a layout: the fields of PROTOBUF_NOSR, which no one declares. They are numbered from 1 in the order of
//! the columns, as in ksqlDB, and so are those of each STRUCT.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, TimeUnit};

use super::message::{Field, Kind, Label, Message, Primitive, Written};
use crate::format::column::valid_decimal;
use crate::format::kind::FormatError;
use crate::format::{Presence, sql_name};

/// True if a message can have a field for a column of this type. An array cannot contain another, or a MAP: both are
/// repeated fields, and a field that repeats cannot repeat again.
pub(in super::super) fn supports(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => {
            !matches!(item.data_type(), DataType::List(_) | DataType::Map(..)) && supports(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| supports(field.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                fields[0].data_type() == &DataType::Utf8 && supports(fields[1].data_type())
            }
            _ => false,
        },
        DataType::Decimal128(precision, scale) => valid_decimal(*precision, *scale, 38),
        DataType::Decimal256(precision, scale) => valid_decimal(*precision, *scale, 76),
        other => scalar(other, Presence::Implicit).is_some(),
    }
}

/// The message with a field for each column.
pub(super) fn message_of(columns: &[FieldRef], presence: Presence) -> Result<Message, FormatError> {
    let field = |(column, number): (&FieldRef, u32)| field(column.name(), column.data_type(), number, presence);
    let fields = columns.iter().zip(1..).map(field).collect::<Result<_, _>>()?;
    Ok(Message { fields, ..Message::default() })
}

fn field(name: &str, data_type: &DataType, number: u32, presence: Presence) -> Result<Field, FormatError> {
    let refused = || FormatError::unknown_type(&sql_name(data_type));
    let (label, kind) = match data_type {
        DataType::List(item) => {
            let kind = value(item.data_type(), presence)?;
            let packed = matches!(&kind, Kind::Primitive(primitive) if primitive.is_packable());
            (Label::Repeated { packed }, kind)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => (Label::Map, entry(fields[1].data_type(), presence)?),
            _ => return Err(refused()),
        },
        other => match value(other, presence)? {
            kind @ Kind::Primitive(_) if presence == Presence::Implicit => (Label::Implicit, kind),
            kind => (Label::Optional, kind),
        },
    };
    Ok(Field { number, name: name.to_owned(), label, kind, written: Written::default() })
}

/// The message of a map's entries.
fn entry(value: &DataType, presence: Presence) -> Result<Kind, FormatError> {
    let kind = Kind::Primitive(Primitive::String);
    let written = Written::default();
    let key = Field { number: 1, name: "key".to_owned(), label: Label::Implicit, kind, written };
    let value = field("value", value, 2, presence)?;
    Ok(Kind::Message(Arc::new(Message { fields: vec![key, value], ..Message::default() })))
}

/// The type of a value that does not repeat.
fn value(data_type: &DataType, presence: Presence) -> Result<Kind, FormatError> {
    match data_type {
        DataType::Struct(fields) => Ok(Kind::Message(Arc::new(message_of(fields, presence)?))),
        other => scalar(other, presence).ok_or_else(|| FormatError::unknown_type(&sql_name(other))),
    }
}

fn scalar(data_type: &DataType, presence: Presence) -> Option<Kind> {
    let primitive = match data_type {
        DataType::Boolean => Primitive::Bool,
        DataType::Int32 => Primitive::Int32,
        DataType::Int64 => Primitive::Int64,
        DataType::Float64 => Primitive::Double,
        DataType::Utf8 => Primitive::String,
        DataType::Binary => Primitive::Bytes,
        DataType::Date32 => return Some(Kind::Date),
        DataType::Time32(TimeUnit::Millisecond) => return Some(Kind::Time),
        DataType::Timestamp(TimeUnit::Millisecond, None) => return Some(Kind::Timestamp),
        DataType::Decimal128(..) | DataType::Decimal256(..) => {
            return Some(Kind::Decimal { precision: None, scale: None });
        }
        _ => return None,
    };
    Some(if presence == Presence::Wrapper { Kind::Wrapper(primitive) } else { Kind::Primitive(primitive) })
}
