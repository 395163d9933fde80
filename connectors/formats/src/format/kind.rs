//! The list of formats: their names, the types that each supports, and constructors for decoders and encoders.
//!
//! This is the only such list. To add a format, add a line to each `match` here and a file next to this one.

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DataType, FieldRef};

use super::batch::Selected;
use super::compact::{self, CompactDecoder, CompactEncoder};
use super::debezium::{DebeziumDecoder, Envelope};
use super::delimited::{DelimitedDecoder, DelimitedEncoder};
use super::json::{JsonDecoder, JsonEncoder, Times};
use super::kafka::{KafkaDecoder, KafkaEncoder};
use super::none::{NoneDecoder, NoneEncoder};
use super::protobuf::{self, ProtobufDecoder, ProtobufEncoder};
use super::types::sql_name;
use super::{Decoder, Encoder, Layout, avro, registered};
use crate::record::Side;
use crate::schema::SchemaKind;

/// A format: a way of encoding columns in a payload.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{AsArray, BinaryArray};
/// use arrow::datatypes::{DataType, Field, Int64Type};
/// use headwater_formats::format::{FormatKind, Layout, Presence};
///
/// let field = |name, kind| Arc::new(Field::new(name, kind, true));
/// let fields = vec![field("ID", DataType::Int64), field("NAME", DataType::Utf8)];
/// let layout = Layout::of(fields);
/// let format: FormatKind = "json".parse()?;
///
/// // Only ID is asked for; the second payload is bad, the third has no ID.
/// let payloads = [r#"{"id": 7, "name": "Ada"}"#, r#"{"id": "x"}"#, "{}"];
/// let decoded = format.decoder(&layout, &[0])?.decode(&BinaryArray::from_iter_values(payloads));
/// let ids: Vec<_> = decoded.columns[0].as_primitive::<Int64Type>().iter().collect();
/// assert_eq!(ids, [Some(7), None, None]);
/// assert_eq!(decoded.bad[0].reason, "$.ID: the text is not a valid BIGINT (byte 7)");
/// # Ok::<(), headwater_formats::format::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FormatKind {
    /// A JSON object for each record, or a bare value.
    Json,
    /// Avro, read by the registered schema that it was written with.
    Avro,
    /// A Protobuf message of a registered schema for each record.
    Protobuf,
    /// JSON with a registered JSON Schema.
    JsonSr,
    /// One line of delimited text.
    Delimited,
    /// One bare column in the encoding of Kafka's own serializers.
    Kafka,
    /// No columns and no payload; for keys.
    None,
    /// A Protobuf message for each record, whose fields follow from the columns.
    ProtobufNosr,
    /// The columns as bytes, for topics that belong to a query; users cannot name it.
    Compact,
}

/// The name of the format in definitions that are kept.
const COMPACT: &str = "COMPACT";

/// Names of ksqlDB's formats that are not supported yet.
const LATER: [&str; 1] = ["JSON_SCHEMA"];

/// The reason why a format cannot be used, for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There is no format with this name.
    #[error("format \"{name}\" does not exist")]
    Unknown {
        /// The name as given.
        name: String,
        /// The format with the nearest name, if one is near enough.
        nearest: Option<FormatKind>,
    },
    /// A format of ksqlDB that is not supported yet.
    #[error("format {0} is not supported yet")]
    NotYet(String),
    /// The format cannot hold these columns in this layout.
    #[error("{0}")]
    Unfit(String),
}

impl FormatError {
    pub(crate) fn unknown_type(type_name: &str) -> Self {
        Self::Unfit(format!("no format can hold the type {type_name}"))
    }

    pub(crate) fn projection(field: usize) -> Self {
        Self::Unfit(format!("field {field} does not exist or was requested twice"))
    }

    /// What the user can do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("Did you mean {nearest}?")),
            Self::Unknown { nearest: None, .. } | Self::NotYet(_) => {
                let names: Vec<_> = FormatKind::ALL.iter().map(ToString::to_string).collect();
                Some(format!("The formats are {}.", names.join(", ")))
            }
            Self::Unfit(_) => None,
        }
    }
}

impl fmt::Display for FormatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::JsonSr => "JSON_SR",
            Self::Delimited => "DELIMITED",
            Self::Kafka => "KAFKA",
            Self::None => "NONE",
            Self::ProtobufNosr => "PROTOBUF_NOSR",
            Self::Compact => COMPACT,
        })
    }
}

impl FromStr for FormatKind {
    type Err = FormatError;

    /// Reads a name in any case, one that users may give: [`FormatKind::Compact`] has none. A format that is not
    /// supported yet and an unknown name are different errors.
    fn from_str(name: &str) -> Result<Self, FormatError> {
        let upper = name.trim().to_uppercase();
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.to_string() == upper) {
            return Ok(kind);
        }
        if LATER.contains(&upper.as_str()) {
            return Err(FormatError::NotYet(upper));
        }
        let distance = |kind: &Self| strsim::damerau_levenshtein(&kind.to_string(), &upper);
        let near = |kind: &Self| distance(kind) <= upper.chars().count() / 2;
        let nearest = Self::ALL.into_iter().filter(near).min_by_key(distance);
        Err(FormatError::Unknown { name: name.to_owned(), nearest })
    }
}

impl FormatKind {
    /// All formats that users can name, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Json,
        Self::Avro,
        Self::Protobuf,
        Self::JsonSr,
        Self::Delimited,
        Self::Kafka,
        Self::ProtobufNosr,
        Self::None,
    ];

    /// The format of a definition that is kept: one that users can name, or that of a topic that belongs to a query.
    pub fn of_definition(name: &str) -> Result<Self, FormatError> {
        if name == COMPACT { Ok(Self::Compact) } else { name.parse() }
    }

    /// True for the name of a format of ksqlDB that is not supported yet.
    pub fn is_unbuilt(name: &str) -> bool {
        LATER.iter().any(|later| name.eq_ignore_ascii_case(later))
    }

    /// True for the name of a format with a schema registry, so that columns can be inferred.
    pub fn is_registered(name: &str) -> bool {
        name.parse().is_ok_and(|kind: Self| kind.schema_kind().is_some())
    }

    /// The language of the schemas that payloads are written with; none for a format without a schema registry.
    pub fn schema_kind(self) -> Option<SchemaKind> {
        match self {
            Self::Avro => Some(SchemaKind::Avro),
            Self::Protobuf => Some(SchemaKind::Protobuf),
            Self::JsonSr => Some(SchemaKind::Json),
            _ => None,
        }
    }

    /// The format of payloads whose schemas are in this language.
    pub fn of_schemas(kind: SchemaKind) -> Self {
        match kind {
            SchemaKind::Avro => Self::Avro,
            SchemaKind::Protobuf => Self::Protobuf,
            SchemaKind::Json => Self::JsonSr,
        }
    }

    /// True if the format can be used for this side of a record.
    pub fn supports_side(self, side: Side) -> bool {
        self != Self::None || side == Side::Key
    }

    /// True if a single column can be written as a record with one field.
    pub fn supports_wrapping(self) -> bool {
        matches!(self, Self::Json | Self::Avro | Self::JsonSr) || self.always_wraps()
    }

    /// True if a single column can be written as a record with one field, and also without it.
    pub fn wraps_or_not(self) -> bool {
        self.supports_wrapping() && !self.always_wraps()
    }

    /// True if a payload is always a record with fields, for keys too, even if there is only one.
    pub fn always_wraps(self) -> bool {
        matches!(self, Self::Protobuf | Self::ProtobufNosr)
    }

    /// Whether a single column is written as a record with one field by default.
    pub fn wraps_by_default(self, side: Side) -> bool {
        self.always_wraps() || self.supports_wrapping() && side == Side::Value
    }

    /// True if a delimiter can be set.
    pub fn supports_delimiter(self) -> bool {
        self == Self::Delimited
    }

    /// True if it can be set how null is told from a default.
    pub fn supports_presence(self) -> bool {
        matches!(self, Self::Protobuf | Self::ProtobufNosr)
    }

    /// True if the format can hold a column of this type.
    pub fn supports_type(self, data_type: &DataType) -> bool {
        use DataType::{Binary, Float64, Int32, Int64, List, Map, Struct, Utf8};
        match (self, data_type) {
            (Self::None, _) => false,
            (Self::Compact, other) => compact::supports(other),
            (Self::Protobuf | Self::ProtobufNosr, other) => protobuf::supports(other),
            (Self::Avro, other) => avro::supports_type(other),
            (Self::Kafka, other) => matches!(other, Int32 | Int64 | Float64 | Utf8 | Binary),
            (Self::Delimited, other) => !other.is_nested(),
            (Self::Json | Self::JsonSr, List(item)) => self.supports_type(item.data_type()),
            (Self::Json | Self::JsonSr, Struct(fields)) => {
                fields.iter().all(|field| self.supports_type(field.data_type()))
            }
            (Self::Json | Self::JsonSr, Map(entries, _)) => match entries.data_type() {
                Struct(fields) if fields.len() == 2 => {
                    fields[0].data_type() == &Utf8 && self.supports_type(fields[1].data_type())
                }
                _ => false,
            },
            (Self::Json | Self::JsonSr, _) => true,
        }
    }

    /// True if no payload can be bad, so that payloads whose columns are not requested need not be checked.
    pub fn takes_any_payload(self, layout: &Layout) -> bool {
        let is_plain = |field: &FieldRef| matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
        self == Self::None || self == Self::Kafka && layout.fields.iter().all(is_plain)
    }

    /// Checks that the format supports a layout; the error names the format and what does not fit.
    pub fn check(&self, layout: &Layout, side: Side) -> Result<(), FormatError> {
        let unfit = |reason: String| Err(FormatError::Unfit(reason));
        if !self.supports_side(side) {
            let columns = if layout.fields.is_empty() { String::new() } else { format!(": {}", listed(layout)) };
            return unfit(format!("format {self} holds no columns, so it cannot be used for the {side}{columns}"));
        }
        if *self == Self::None && !layout.fields.is_empty() {
            return unfit(format!("format {self} holds no columns, but there are {side} columns: {}", listed(layout)));
        }
        // A key without columns has no payload.
        if *self == Self::Kafka && layout.fields.len() != 1 && !(side == Side::Key && layout.fields.is_empty()) {
            let found = if layout.fields.is_empty() { "none".to_owned() } else { listed(layout) };
            return unfit(format!("format {self} holds exactly one {side} column, not {found}"));
        }
        // The rows in envelopes are records.
        if layout.fields.len() == 1 && layout.envelope == Envelope::Bare {
            self.check_wrapping(layout.wrapped, side)?;
        }
        if *self == Self::Delimited {
            check_delimiter(layout.delimiter)?;
        }
        if let Some(field) = layout.fields.iter().find(|field| side == Side::Key && contains_map(field.data_type())) {
            let (name, type_name) = (field.name(), sql_name(field.data_type()));
            return unfit(format!("key column \"{name}\" has the type {type_name}: a key cannot contain a MAP"));
        }
        self.check_types(layout, &format!("{side} "))
    }

    /// Checks whether a single column can be written in a record, or without one.
    fn check_wrapping(self, wrapped: bool, side: Side) -> Result<(), FormatError> {
        let verb = match wrapped {
            true if !self.always_wraps() && (side == Side::Key || !self.supports_wrapping()) => "cannot wrap",
            false if self.always_wraps() => "always wraps",
            _ => return Ok(()),
        };
        Err(FormatError::Unfit(format!("format {self} {verb} a single {side} column")))
    }

    fn check_types(self, layout: &Layout, side: &str) -> Result<(), FormatError> {
        layout.fields.iter().try_for_each(|field| self.check_type(side, field.name(), field.data_type()))
    }

    fn check_type(self, side: &str, name: &str, data_type: &DataType) -> Result<(), FormatError> {
        if !self.supports_type(data_type) {
            let type_name = sql_name(data_type);
            let why = match self {
                Self::Json | Self::Avro => ": its maps have STRING keys",
                Self::JsonSr => ": like those of JSON, its maps have STRING keys",
                Self::Protobuf | Self::ProtobufNosr if has_other_keys(data_type) => ": its maps have STRING keys",
                Self::Protobuf | Self::ProtobufNosr => ": its arrays contain neither an ARRAY nor a MAP",
                _ => "",
            };
            let reason = format!("format {self} cannot hold {side}column \"{name}\" of type {type_name}{why}");
            return Err(FormatError::Unfit(reason));
        }
        Ok(())
    }

    /// Creates a decoder for the fields with the indices in `projection`, in that order. Other fields are checked
    /// too, so which payloads are bad, and why, does not depend on the projection. Fails if a field does not exist,
    /// is requested twice or has a type that the format does not support; and, for a format with a schema registry, if
    /// the schema of the layout is not one, or has nothing with its full name.
    ///
    /// Such a format reads payloads by the ids in front of them, and gets the schemas by [`Decoder::learn`]; that of the
    /// layout is known from the start. If it has no id, payloads are bare.
    pub fn decoder(&self, layout: &Layout, projection: &[usize]) -> Result<Box<dyn Decoder>, FormatError> {
        if layout.envelope == Envelope::Bare {
            return self.bare_decoder(layout, projection, Times::Numbers);
        }
        self.check_types(layout, "")?;
        let row = |inner: &Layout, all: &[usize]| self.bare_decoder(inner, all, Times::Zoned);
        Ok(Box::new(DebeziumDecoder::try_new(layout, projection, row)?))
    }

    /// A decoder for fields without an envelope. Only JSON has several forms of times.
    fn bare_decoder(
        self,
        layout: &Layout,
        projection: &[usize],
        times: Times,
    ) -> Result<Box<dyn Decoder>, FormatError> {
        self.check_types(layout, "")?;
        let selected = || Selected::try_new(layout, projection);
        Ok(match self {
            Self::Json => Box::new(JsonDecoder::new(selected()?, layout.is_record(), times)),
            Self::Delimited => Box::new(DelimitedDecoder::new(selected()?, layout.delimiter)),
            Self::Kafka => Box::new(KafkaDecoder::try_new(layout, selected()?)?),
            Self::None => selected().map(|_| Box::new(NoneDecoder))?,
            Self::Avro => registered::decoder(SchemaKind::Avro, layout, projection, times)?,
            Self::Protobuf => registered::decoder(SchemaKind::Protobuf, layout, projection, times)?,
            Self::JsonSr => registered::decoder(SchemaKind::Json, layout, projection, times)?,
            Self::ProtobufNosr => Box::new(ProtobufDecoder::try_new(layout, projection)?),
            Self::Compact => Box::new(CompactDecoder::try_new(layout, projection)?),
        })
    }

    /// Creates an encoder for all fields. Fails if a field has a type that the format does not support; and, for a format
    /// with a schema registry, if the layout has no schema, or one that cannot hold the fields.
    pub fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, FormatError> {
        self.check_types(layout, "")?;
        if layout.envelope != Envelope::Bare {
            return Err(FormatError::Unfit("change events of Debezium can be read, but not written".to_owned()));
        }
        Ok(match self {
            Self::Json => Box::new(JsonEncoder::new(layout)),
            Self::Delimited => Box::new(DelimitedEncoder::new(layout)),
            Self::Kafka => Box::new(KafkaEncoder::try_new(layout)?),
            Self::None => Box::new(NoneEncoder),
            Self::Avro => registered::encoder(*self, SchemaKind::Avro, layout)?,
            Self::Protobuf => registered::encoder(*self, SchemaKind::Protobuf, layout)?,
            Self::JsonSr => registered::encoder(*self, SchemaKind::Json, layout)?,
            Self::ProtobufNosr => Box::new(ProtobufEncoder::try_new(layout)?),
            Self::Compact => Box::new(CompactEncoder::new(layout)),
        })
    }
}

/// The columns of a layout with their types.
fn listed(layout: &Layout) -> String {
    let column = |field: &FieldRef| format!("\"{}\" {}", field.name(), sql_name(field.data_type()));
    layout.fields.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn contains_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => contains_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| contains_map(field.data_type())),
        _ => false,
    }
}

/// True if a MAP in the type has keys that are not of type STRING.
fn has_other_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                pair.first().is_none_or(|key| key.data_type() != &DataType::Utf8)
                    || pair.iter().any(|field| has_other_keys(field.data_type()))
            }
            _ => true,
        },
        DataType::List(item) => has_other_keys(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_other_keys(field.data_type())),
        _ => false,
    }
}

fn check_delimiter(delimiter: u8) -> Result<(), FormatError> {
    match delimiter {
        b'"' | b'\r' | b'\n' | 0x80.. => {
            let reason = format!("{:?} cannot be the delimiter of format DELIMITED", delimiter as char);
            Err(FormatError::Unfit(reason))
        }
        _ => Ok(()),
    }
}

/// Reads the setting `VALUE_DELIMITER` or `KEY_DELIMITER`: `SPACE`, `TAB` or one character.
pub fn parse_delimiter(text: &str) -> Result<u8, FormatError> {
    let delimiter = match text.to_uppercase().as_str() {
        "SPACE" => b' ',
        "TAB" => b'\t',
        _ => match text.as_bytes() {
            [one] => *one,
            _ => {
                let reason = format!("delimiter \"{text}\" must be SPACE, TAB or one ASCII character");
                return Err(FormatError::Unfit(reason));
            }
        },
    };
    check_delimiter(delimiter).map(|()| delimiter)
}
