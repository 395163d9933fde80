//! How the columns of a layout are written as the fields of a message: a message and a layout, compiled once, and run by
//! [`super::encode`] for each row.
//!
//! Columns and fields are matched by name, as by the decoder ([`super::plan`]). What a message cannot hold is an error
//! here, before a row is written; what depends on a value makes its row bad.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};

use super::message::{Enum, Field, Kind, Label, Message, Primitive, Union, Written};
use super::plan::{MessagePart, member_of, part_of};
use super::wire::{BYTES, FIXED32, FIXED64, put_bytes};
use crate::format::sql_name;
use crate::format::varint::put_varint;

/// What is written of a message.
#[derive(Debug)]
pub(super) struct Form {
    /// In ascending order of the numbers of the fields.
    pub(super) parts: Vec<Part>,
    /// The oneofs of which several fields are written.
    pub(super) unions: Vec<UnionPart>,
}

/// A field that is written.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) source: Source,
    pub(super) shape: Shape,
    pub(super) value: Value,
    /// What is written for null: a required field with its default, or nothing. If there is none, as for a required
    /// message, the row is bad.
    pub(super) null: Option<Vec<u8>>,
}

/// Where the values of a field come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The column of this index.
    Column(usize),
    /// The field of a STRUCT that is a oneof: the index of the column, and of the field.
    Member(usize, usize),
    /// None: it is required, and no column has its name.
    Nowhere,
}

/// How often a field is written.
#[derive(Debug)]
pub(super) enum Shape {
    /// Unless it is null or the default.
    Implicit,
    /// Unless it is null.
    Optional,
    /// Once for each element, or once with all of them.
    Repeated { packed: bool },
    /// Once for each entry. The number and the type of the key, whether it is wrapped, and the field of the values.
    Map { key: KeyPart, value: Box<Part> },
}

/// The key of the entries of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyPart {
    pub(super) number: u32,
    pub(super) primitive: Primitive,
    pub(super) is_wrapped: bool,
}

/// How one value is written.
#[derive(Debug)]
pub(super) enum Value {
    Scalar(Primitive),
    Wrapper(Primitive),
    /// A text that is the name of a value.
    Enum(Arc<Symbols>),
    /// A date, a time of day, a timestamp or a decimal.
    Known,
    Message(Form),
    /// The values of a map are those of its [`Shape`].
    Entry,
}

/// The values of an enum by their names.
#[derive(Debug)]
pub(super) struct Symbols {
    enumeration: Arc<Enum>,
    /// The indexes of the names, sorted by them.
    sorted: Vec<usize>,
}

/// A oneof: of several of its columns, one may have a value.
#[derive(Debug)]
pub(super) struct UnionPart {
    pub(super) name: String,
    /// The indexes of its parts.
    pub(super) parts: Vec<usize>,
}

impl Form {
    /// What is written of a message whose fields are the columns, one for each, in their order.
    pub(super) fn in_order(message: &Message, columns: &[FieldRef]) -> Result<Self, String> {
        let fields = message.fields.iter().zip(columns).enumerate();
        let part = |(at, (field, column)): (usize, (&Field, &FieldRef))| {
            Part::new(field, column.data_type(), Source::Column(at), &|message, children| {
                Self::in_order(message, children)
            })
        };
        Ok(Self { parts: fields.map(part).collect::<Result<_, _>>()?, unions: Vec::new() })
    }

    /// What is written of a message for the columns with the names of its fields. Fails if a column has no field, or a
    /// field of another type, and if a required field has no column and no default.
    pub(super) fn by_name(message: &Message, columns: &[FieldRef]) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let is_free = |field: &Field| parts.iter().all(|part| part.number != field.number);
            match part_of(message, column, columns) {
                Some(MessagePart::Field(field)) if is_free(field) => {
                    parts.push(Part::new(field, column.data_type(), Source::Column(at), &Self::by_name)?);
                }
                Some(MessagePart::Union(union, children)) => {
                    add_members(message, union, at, children, &mut parts)?;
                }
                _ => return Err(format!("{} has no field for column \"{}\"", message.title(), column.name())),
            }
        }
        add_required(message, &mut parts)?;
        parts.sort_by_key(|part| part.number);
        let unions = message.unions.iter().map(|union| UnionPart::new(union, &parts));
        Ok(Self { unions: unions.filter(|union| union.parts.len() > 1).collect(), parts })
    }
}

impl Message {
    /// The message in errors.
    fn title(&self) -> String {
        if self.name.is_empty() { "the message".to_owned() } else { format!("message {}", self.name) }
    }
}

impl UnionPart {
    fn new(union: &Union, parts: &[Part]) -> Self {
        let parts = (0..parts.len()).filter(|at| union.members.contains(&parts[*at].number)).collect();
        Self { name: union.name.clone(), parts }
    }
}

/// Adds the fields of a oneof for the fields of its STRUCT.
fn add_members(
    message: &Message,
    union: &Union,
    column: usize,
    children: &[FieldRef],
    parts: &mut Vec<Part>,
) -> Result<(), String> {
    for (at, child) in children.iter().enumerate() {
        let is_free = |field: &&Field| parts.iter().all(|part| part.number != field.number);
        let field = member_of(message, union, child.name()).filter(is_free);
        let field = field.ok_or_else(|| format!("the oneof {} has no field \"{}\"", union.name, child.name()))?;
        parts.push(Part::new(field, child.data_type(), Source::Member(column, at), &Form::by_name)?);
    }
    Ok(())
}

/// Adds the required fields without a column, with their defaults.
fn add_required(message: &Message, parts: &mut Vec<Part>) -> Result<(), String> {
    if let Some(group) = message.groups.iter().find(|group| group.is_required) {
        return Err(format!("the required field {} is a group, which cannot be written", group.name));
    }
    for field in message.fields.iter().filter(|field| field.written == Written::Always) {
        if parts.iter().any(|part| part.number == field.number) {
            continue;
        }
        let (value, null) = match &field.kind {
            Kind::Primitive(primitive) => (Value::Scalar(*primitive), default_bytes(field)),
            Kind::Enum(_) => (Value::Known, default_bytes(field)),
            _ => return Err(format!("the required field {} has no column", field.name)),
        };
        let (name, number) = (field.name.clone(), field.number);
        parts.push(Part { name, number, source: Source::Nowhere, shape: Shape::Optional, value, null: Some(null) });
    }
    Ok(())
}

/// A field with its default, as it is in a payload.
fn default_bytes(field: &Field) -> Vec<u8> {
    let (bits, bytes) = field.default();
    let mut out = Vec::new();
    let wire = field.kind.wire();
    put_varint(u64::from(field.number << 3 | wire), &mut out);
    match wire {
        BYTES => put_bytes(bytes, &mut out),
        FIXED64 => out.extend_from_slice(&bits.to_le_bytes()),
        FIXED32 => out.extend_from_slice(&(bits as u32).to_le_bytes()),
        _ => put_varint(bits, &mut out),
    }
    out
}

/// Makes the form of a message for the fields of a STRUCT.
type Nested<'a> = &'a dyn Fn(&Message, &[FieldRef]) -> Result<Form, String>;

impl Part {
    fn new(field: &Field, column: &DataType, source: Source, nested: Nested<'_>) -> Result<Self, String> {
        let within = |why: String| format!("{}: {why}", field.name);
        let (shape, value) = match (&field.label, &field.kind, column) {
            (Label::Map | Label::Repeated { .. }, Kind::Message(entry), DataType::Map(entries, _)) => {
                (entry_shape(entry, entries, nested).map_err(within)?, Value::Entry)
            }
            (Label::Repeated { packed }, kind, DataType::List(item)) => {
                let value = Value::new(kind, item.data_type(), nested).map_err(within)?;
                (Shape::Repeated { packed: *packed }, value)
            }
            (Label::Map | Label::Repeated { .. }, ..) => return Err(within(misfit(column, &field.type_name()))),
            (label, kind, column) => {
                let is_implicit = *label == Label::Implicit && field.written == Written::ByLabel;
                let shape = if is_implicit { Shape::Implicit } else { Shape::Optional };
                (shape, Value::new(kind, column, nested).map_err(within)?)
            }
        };
        let is_scalar = matches!(field.kind, Kind::Primitive(_) | Kind::Enum(_));
        let null = match field.written {
            Written::Always => is_scalar.then(|| default_bytes(field)),
            Written::ByLabel | Written::UnlessNull => Some(Vec::new()),
        };
        Ok(Self { name: field.name.clone(), number: field.number, source, shape, value, null })
    }
}

fn entry_shape(entry: &Message, entries: &FieldRef, nested: Nested<'_>) -> Result<Shape, String> {
    let refused = || misfit(&DataType::Map(entries.clone(), false), &format!("repeated message {}", entry.name));
    let DataType::Struct(pair) = entries.data_type() else { return Err(refused()) };
    let (key, value) = entry.as_entry().filter(|_| pair.len() == 2).ok_or_else(refused)?;
    let (primitive, is_wrapped) = match key.kind {
        Kind::Primitive(primitive) => (primitive, false),
        Kind::Wrapper(primitive) => (primitive, true),
        _ => return Err(refused()),
    };
    let key = KeyPart { number: key.number, primitive, is_wrapped };
    let value = Box::new(Part::new(value, pair[1].data_type(), Source::Column(0), nested)?);
    Ok(Shape::Map { key, value })
}

fn misfit(column: &DataType, field: &str) -> String {
    format!("{} cannot be written as {field}", sql_name(column))
}

impl Value {
    fn new(kind: &Kind, column: &DataType, nested: Nested<'_>) -> Result<Self, String> {
        Ok(match (kind, column) {
            (Kind::Primitive(primitive), column) if primitive.fits(column) => Self::Scalar(*primitive),
            (Kind::Wrapper(primitive), column) if primitive.fits(column) => Self::Wrapper(*primitive),
            (Kind::Enum(enumeration), DataType::Utf8) => Self::Enum(Arc::new(Symbols::new(enumeration))),
            (Kind::Date, DataType::Date32)
            | (Kind::Time, DataType::Time32(_))
            | (Kind::Timestamp, DataType::Timestamp(..))
            | (Kind::Decimal { .. }, DataType::Decimal128(..) | DataType::Decimal256(..)) => Self::Known,
            (Kind::Message(message), DataType::Struct(fields)) => Self::Message(nested(message, fields)?),
            (Kind::Refused(why), _) => return Err(why.clone()),
            _ => return Err(misfit(column, &kind.name())),
        })
    }
}

impl Symbols {
    fn new(enumeration: &Arc<Enum>) -> Self {
        let mut sorted: Vec<_> = (0..enumeration.names.len()).collect();
        sorted.sort_by_key(|at| &enumeration.names[*at].1);
        Self { enumeration: enumeration.clone(), sorted }
    }

    /// The number of the value with this name.
    pub(super) fn number_of(&self, name: &str) -> Option<i32> {
        let names = &self.enumeration.names;
        let found = self.sorted.binary_search_by(|at| names[*at].1.as_str().cmp(name)).ok()?;
        Some(names[self.sorted[found]].0)
    }

    /// The name of the enum.
    pub(super) fn name(&self) -> &str {
        &self.enumeration.name
    }
}
