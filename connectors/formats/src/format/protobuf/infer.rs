//! The columns that a message stands for, as ksqlDB infers them: see the tables of [`super`]. As in Kafka Connect the
//! oneofs come first, then the other fields in the order of their declaration, and a repeated message whose name ends with `Entry` is a MAP if its fields are a key and a value.

use arrow::datatypes::{DataType, TimeUnit};

use super::message::{Field, Group, Kind, Label, Message, Primitive};
use crate::format::inferred::{Inference, Inferred, Names, Source, array_of, decimal_of, map_of};

/// The digits of a DECIMAL whose field does not give them, as in ksqlDB.
const DIGITS: u32 = 64;

/// The columns for a message.
pub(super) fn infer(message: &Message, names: Names) -> Inferred {
    let mut inference = Inference::new(&message, names);
    let fields = inference.record(Node::Message(message), fields(message));
    inference.into_record(fields)
}

/// A type in a message.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Node<'m> {
    Message(&'m Message),
    /// A field with everything that it repeats.
    Field(&'m Field),
    /// One value of a field.
    Value(&'m Field),
    /// The oneof of a message with this index.
    Union(&'m Message, usize),
    Group(&'m Group),
}

fn fields(message: &Message) -> impl Iterator<Item = (&str, Node<'_>)> {
    let unions = message.unions.iter().enumerate();
    let unions = unions.map(|(index, union)| (union.name.as_str(), Node::Union(message, index)));
    let is_alone = |number: u32| message.unions.iter().all(|union| !union.members.contains(&number));
    unions.chain(members(message, is_alone))
}

/// The fields with these numbers, and after them the groups.
fn members(message: &Message, is_member: impl Fn(u32) -> bool + Copy) -> impl Iterator<Item = (&str, Node<'_>)> {
    let groups = message.groups.iter().filter(move |group| is_member(group.number));
    let groups = groups.map(|group| (group.name.as_str(), Node::Group(group)));
    message.declared().filter(move |field| is_member(field.number)).map(named).chain(groups)
}

fn named(field: &Field) -> (&str, Node<'_>) {
    (&field.name, Node::Field(field))
}

/// The walk through the messages within the first one.
impl<'m> Source for &'m Message {
    type Node = Node<'m>;

    fn data_type(&self, node: Node<'m>, inference: &mut Inference<'_, Self>) -> Result<DataType, String> {
        match node {
            Node::Message(message) => inference.structure(node, &message.name, fields(message)),
            Node::Union(message, index) => {
                let union = &message.unions[index];
                inference.union(&union.name, members(message, |number| union.members.contains(&number)))
            }
            Node::Field(field) => match (&field.label, &field.kind) {
                (Label::Map, Kind::Message(entry)) => map_of_entry(entry, inference),
                (Label::Repeated { .. }, Kind::Message(entry)) if entry.is_connect_entry() => {
                    map_of_entry(entry, inference)
                }
                (Label::Repeated { .. }, _) => Ok(array_of(inference.data_type(Node::Value(field))?)),
                _ => value_type(field, inference),
            },
            Node::Value(field) => value_type(field, inference),
            Node::Group(_) => Err("a group of proto2 cannot be read".to_owned()),
        }
    }
}

fn map_of_entry<'m>(entry: &'m Message, inference: &mut Inference<'_, &'m Message>) -> Result<DataType, String> {
    let (_, value) = entry.as_entry().ok_or("an entry has a key and a value")?;
    Ok(map_of(inference.data_type(Node::Field(value))?))
}

fn value_type<'m>(field: &'m Field, inference: &mut Inference<'_, &'m Message>) -> Result<DataType, String> {
    Ok(match &field.kind {
        Kind::Primitive(primitive) | Kind::Wrapper(primitive) => primitive_type(*primitive),
        Kind::Enum(_) => DataType::Utf8,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Time32(TimeUnit::Millisecond),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        Kind::Decimal { precision, scale } => decimal_of(precision.unwrap_or(DIGITS), scale.unwrap_or(0))?,
        Kind::Message(message) => inference.structure(Node::Message(message), &message.name, fields(message))?,
        Kind::Refused(why) => return Err(why.clone()),
    })
}

fn primitive_type(primitive: Primitive) -> DataType {
    match primitive {
        Primitive::Bool => DataType::Boolean,
        Primitive::Int32 | Primitive::Sint32 | Primitive::Sfixed32 => DataType::Int32,
        Primitive::Int64
        | Primitive::Uint32
        | Primitive::Uint64
        | Primitive::Sint64
        | Primitive::Fixed32
        | Primitive::Fixed64
        | Primitive::Sfixed64 => DataType::Int64,
        Primitive::Float | Primitive::Double => DataType::Float64,
        Primitive::String => DataType::Utf8,
        Primitive::Bytes => DataType::Binary,
    }
}
