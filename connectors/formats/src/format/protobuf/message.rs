//! Messages: the fields that payloads consist of, whichever way they were declared. Decoders and encoders are made for a
//! message and the columns of a layout together.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::wire::{BYTES, FIXED64, VARINT};

/// A message with its fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    /// The fields in ascending order of their numbers.
    pub(super) fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) label: Label,
    pub(super) kind: Kind,
}

/// How often a field occurs, and what its absence means.
#[derive(Debug, PartialEq)]
pub(super) enum Label {
    /// Absence is the default of its type: zero, false or empty. Not for messages.
    Implicit,
    /// Absence is null.
    Optional,
    /// Any number of times; the numbers of several elements share one length if `packed`.
    Repeated { packed: bool },
    /// Any number of times; its kind is a message with the fields key (1) and value (2).
    Map,
}

/// The type of one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A number, a text or bytes.
    Primitive(Primitive),
    /// `google.protobuf.Int32Value` and its siblings: a message with a single value.
    Wrapper(Primitive),
    /// `google.type.Date`.
    Date,
    /// `google.type.TimeOfDay`.
    Time,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `confluent.type.Decimal`.
    Decimal,
    /// Another message.
    Message(Arc<Message>),
}

/// The types that Protobuf calls scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Bool,
    Int32,
    Int64,
    Double,
    String,
    Bytes,
}

impl Primitive {
    /// The wire type of its values.
    pub(super) fn wire(self) -> u32 {
        match self {
            Self::Bool | Self::Int32 | Self::Int64 => VARINT,
            Self::Double => FIXED64,
            Self::String | Self::Bytes => BYTES,
        }
    }

    /// The integer that the bits of a value mean.
    #[inline]
    pub(super) fn integer(self, bits: u64) -> i64 {
        match self {
            Self::Int32 => (bits as i32).into(),
            _ => bits as i64,
        }
    }

    /// True if a column of this type can hold its values.
    pub(super) fn fits(self, data_type: &DataType) -> bool {
        match self {
            Self::Bool => data_type == &DataType::Boolean,
            Self::Int32 => matches!(data_type, DataType::Int32 | DataType::Int64),
            Self::Int64 => data_type == &DataType::Int64,
            Self::Double => data_type == &DataType::Float64,
            Self::String => data_type == &DataType::Utf8,
            Self::Bytes => data_type == &DataType::Binary,
        }
    }

    /// True if elements can share one length.
    pub(super) fn is_packable(self) -> bool {
        self.wire() != BYTES
    }
}

impl Kind {
    /// The wire type of its values.
    pub(super) fn wire(&self) -> u32 {
        match self {
            Self::Primitive(primitive) => primitive.wire(),
            _ => BYTES,
        }
    }
}
