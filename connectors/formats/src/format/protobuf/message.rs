//! Messages: the fields that payloads consist of, whichever way they were declared. Decoders and encoders are made for a
//! message and the columns of a layout together.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::wire::{BYTES, FIXED32, FIXED64, VARINT};
use crate::format::varint::{unzigzag, zigzag};

/// A message with its fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    /// Its full name; empty for the message of a layout.
    pub(super) name: String,
    /// The fields in ascending order of their numbers.
    pub(super) fields: Vec<Field>,
    /// The oneofs: sets of fields of which a message has one at most.
    pub(super) unions: Vec<Union>,
    /// Its groups, a form of fields in proto2. They can be neither read nor written, and are not among the fields.
    pub(super) groups: Vec<Group>,
    /// The numbers of the fields in the order of their declaration; empty if that is the order of the numbers.
    pub(super) declared: Vec<u32>,
}

/// A oneof: of several of its fields in a payload, the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Union {
    /// Its name as a column: as in Kafka Connect, with its index.
    pub(super) name: String,
    /// The numbers of its fields.
    pub(super) members: Vec<u32>,
}

/// A group of fields.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) is_required: bool,
}

/// A field of a message.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) label: Label,
    pub(super) kind: Kind,
    /// When it is written.
    pub(super) written: Written,
}

/// When a field with a single value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Written {
    /// If the label says so: never for null, and for a default only if its absence would be null.
    #[default]
    ByLabel,
    /// Unless it is null, defaults included: an optional field of proto2.
    UnlessNull,
    /// Always: a required field of proto2. Null is its default; a message has none.
    Always,
}

/// How often a field occurs, and what its absence means.
#[derive(Debug, PartialEq)]
pub(super) enum Label {
    /// Absence is the default of its type: zero, false or empty. Not for messages.
    Implicit,
    /// Absence is this value.
    Default(DefaultValue),
    /// Absence is null.
    Optional,
    /// Any number of times; the numbers of several elements share one length if `packed`.
    Repeated { packed: bool },
    /// Any number of times; its kind is a message with the fields key (1) and value (2).
    Map,
}

/// The value of a field that is absent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DefaultValue {
    /// A number by its value.
    Integer(i64),
    /// A number by its bits.
    Bits(u64),
    /// A text or bytes.
    Bytes(Vec<u8>),
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
    /// `confluent.type.Decimal`, with the precision and the scale that its field gives.
    Decimal { precision: Option<u32>, scale: Option<u32> },
    /// An enum, which is read as the name of its value.
    Enum(Arc<Enum>),
    /// Another message.
    Message(Arc<Message>),
    /// A message that cannot be read, and why: it contains itself, or is too deep.
    Refused(String),
}

/// The names of an enum's values.
#[derive(Debug, PartialEq)]
pub(super) struct Enum {
    pub(super) name: String,
    /// In ascending order of the numbers; several names of a number are in the order of their declaration.
    pub(super) names: Vec<(i32, String)>,
    /// Whether a value without a name is one of an unknown field, as in proto2.
    pub(super) is_closed: bool,
}

/// The types that Protobuf calls scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    String,
    Bytes,
}

impl Primitive {
    /// The wire type of its values.
    pub(super) fn wire(self) -> u32 {
        match self {
            Self::Bool | Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 | Self::Sint64 => {
                VARINT
            }
            Self::Fixed64 | Self::Sfixed64 | Self::Double => FIXED64,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => FIXED32,
            Self::String | Self::Bytes => BYTES,
        }
    }

    /// The integer that the bits of a value mean.
    #[inline]
    pub(super) fn integer(self, bits: u64) -> i64 {
        match self {
            Self::Int32 | Self::Sfixed32 => (bits as i32).into(),
            Self::Uint32 | Self::Fixed32 => (bits as u32).into(),
            Self::Sint32 => (unzigzag(bits & 0xffff_ffff) as i32).into(),
            Self::Sint64 => unzigzag(bits),
            _ => bits as i64,
        }
    }

    /// The bits of an integer in a payload, if the type has it. Of a type of 64 bits without a sign it has all.
    #[inline]
    pub(super) fn bits_of(self, integer: i64) -> Option<u64> {
        let is_in_range = match self {
            Self::Int32 | Self::Sint32 | Self::Sfixed32 => i32::try_from(integer).is_ok(),
            Self::Uint32 | Self::Fixed32 => u32::try_from(integer).is_ok(),
            _ => true,
        };
        is_in_range.then(|| self.bits(integer))
    }

    /// The double that the bits of a value mean.
    #[inline]
    pub(super) fn double(self, bits: u64) -> f64 {
        match self {
            Self::Float => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        }
    }

    /// The bits of an integer, as they are in a payload.
    pub(super) fn bits(self, integer: i64) -> u64 {
        match self {
            Self::Sint32 | Self::Sint64 => zigzag(integer),
            _ => integer as u64,
        }
    }

    /// True if a column of this type can hold its values.
    pub(super) fn fits(self, data_type: &DataType) -> bool {
        match self {
            Self::Bool => data_type == &DataType::Boolean,
            Self::Int32 | Self::Sint32 | Self::Sfixed32 => matches!(data_type, DataType::Int32 | DataType::Int64),
            Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint64
            | Self::Fixed32
            | Self::Fixed64
            | Self::Sfixed64 => data_type == &DataType::Int64,
            Self::Float | Self::Double => data_type == &DataType::Float64,
            Self::String => data_type == &DataType::Utf8,
            Self::Bytes => data_type == &DataType::Binary,
        }
    }

    /// True if elements can share one length.
    pub(super) fn is_packable(self) -> bool {
        self.wire() != BYTES
    }

    /// True if the keys of a map can be of the type.
    pub(super) fn is_key(self) -> bool {
        !matches!(self, Self::Float | Self::Double | Self::Bytes)
    }
}

impl Message {
    /// The fields in the order of their declaration.
    pub(super) fn declared(&self) -> impl Iterator<Item = &Field> {
        let is_numbered = self.declared.is_empty();
        let by_number = self.fields.iter().filter(move |_| is_numbered);
        let at = |number: &u32| self.fields.binary_search_by_key(number, |field| field.number).ok();
        self.declared.iter().filter_map(at).map(|at| &self.fields[at]).chain(by_number)
    }

    /// The key and the value, if the message can be the entry of a map: its fields have these names. Kafka Connect
    /// registers maps as repeated messages whose names end with `Entry`.
    pub(super) fn as_entry(&self) -> Option<(&Field, &Field)> {
        let [key, value] = self.fields.as_slice() else { return None };
        let is_key = match key.kind {
            Kind::Primitive(primitive) | Kind::Wrapper(primitive) => primitive.is_key(),
            _ => false,
        };
        let is_single = !matches!(key.label, Label::Repeated { .. } | Label::Map);
        let has_names = key.name == "key" && value.name == "value";
        let has_others = !self.unions.is_empty() || !self.groups.is_empty();
        (is_key && is_single && has_names && !has_others).then_some((key, value))
    }

    /// True if the message is the entry of a map for Kafka Connect.
    pub(super) fn is_connect_entry(&self) -> bool {
        self.name.ends_with("Entry") && self.as_entry().is_some()
    }
}

impl Kind {
    /// The wire type of its values.
    pub(super) fn wire(&self) -> u32 {
        match self {
            Self::Primitive(primitive) => primitive.wire(),
            Self::Enum(_) => VARINT,
            _ => BYTES,
        }
    }

    /// The name of the type in messages for users.
    pub(super) fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Primitive(primitive) => primitive.name(),
            Self::Wrapper(primitive) => primitive.wrapper_name(),
            Self::Date => "google.type.Date",
            Self::Time => "google.type.TimeOfDay",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Decimal { .. } => "confluent.type.Decimal",
            Self::Enum(names) => return format!("enum {}", names.name).into(),
            Self::Message(message) => return format!("message {}", message.name).into(),
            Self::Refused(_) => "message",
        })
    }
}

impl Primitive {
    /// Its name in a file.
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }

    /// The name of the message that wraps it.
    fn wrapper_name(self) -> &'static str {
        match self {
            Self::Bool => "google.protobuf.BoolValue",
            Self::Int32 => "google.protobuf.Int32Value",
            Self::Int64 => "google.protobuf.Int64Value",
            Self::Uint32 => "google.protobuf.UInt32Value",
            Self::Uint64 => "google.protobuf.UInt64Value",
            Self::Float => "google.protobuf.FloatValue",
            Self::Double => "google.protobuf.DoubleValue",
            Self::String => "google.protobuf.StringValue",
            Self::Bytes => "google.protobuf.BytesValue",
            // The other types have none.
            other => other.name(),
        }
    }
}

impl Field {
    /// The name of its type in messages for users, with what it repeats.
    pub(super) fn type_name(&self) -> String {
        match (&self.label, &self.kind) {
            (Label::Map, Kind::Message(entry)) => match entry.as_entry() {
                Some((key, value)) => format!("map<{}, {}>", key.kind.name(), value.kind.name()),
                None => self.kind.name().into_owned(),
            },
            (Label::Repeated { .. }, kind) => format!("repeated {}", kind.name()),
            (_, kind) => kind.name().into_owned(),
        }
    }

    /// What is read if the field is absent: the bits of a number, or a part of the bytes.
    pub(super) fn default(&self) -> (u64, &[u8]) {
        match (&self.label, &self.kind) {
            (Label::Default(DefaultValue::Integer(integer)), Kind::Primitive(primitive)) => {
                (primitive.bits(*integer), &[])
            }
            (Label::Default(DefaultValue::Integer(integer)), _) => (*integer as u64, &[]),
            (Label::Default(DefaultValue::Bits(bits)), _) => (*bits, &[]),
            (Label::Default(DefaultValue::Bytes(bytes)), _) => (bytes.len() as u64, bytes),
            _ => (0, &[]),
        }
    }
}

impl Enum {
    /// The name of a value: the first one that is declared.
    #[inline]
    pub(super) fn name_of(&self, number: i32) -> Option<&str> {
        let index = self.names.partition_point(|(smaller, _)| *smaller < number);
        self.names.get(index).filter(|(found, _)| *found == number).map(|(_, name)| name.as_str())
    }
}
