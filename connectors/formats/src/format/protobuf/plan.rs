//! How the fields of a message are read into the columns of a layout: a message and a layout, compiled once.
//!
//! A plan has a field for each column, whether the column is requested or not. Its scratch holds what was found in the
//! payload that is being read, so that no row allocates.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};

use super::message::{Enum, Field, Kind, Label, Message, Primitive, Union, Written};
use crate::format::sql_name;

/// Field numbers below this are looked up in a table, higher ones by binary search.
const TABLE_MAX: u32 = 1024;

/// How one message is read.
pub(super) struct Plan {
    /// The fields with a column, and those that replace one of them, in ascending order of their numbers.
    pub(super) fields: Vec<FieldPlan>,
    /// For each number below [`TABLE_MAX`], the index of its field plus one; 0 for none.
    table: Vec<u16>,
    /// What was found of each field in the message that is being read.
    pub(super) found: Vec<Found>,
    /// The columns that are oneofs.
    pub(super) unions: Vec<UnionPlan>,
    /// The requested columns without a field.
    pub(super) unknown: Vec<usize>,
}

/// How a oneof is read into a STRUCT, which is null if the message has none of its fields.
pub(super) struct UnionPlan {
    pub(super) column: Option<usize>,
    /// The index of the field for each field of the STRUCT.
    pub(super) members: Vec<Option<usize>>,
}

/// How one field is read.
pub(super) struct FieldPlan {
    pub(super) name: String,
    /// Its number, and the wire type of one of its values.
    pub(super) tag: u32,
    /// The column that its values go to; none if they are only checked.
    pub(super) column: Option<usize>,
    pub(super) shape: Shape,
    /// Whether a message without it is bad: a required field of proto2.
    pub(super) is_required: bool,
    pub(super) reader: Reader,
    /// What is read if an implicit field is absent: the bits of a number, or a part of the bytes.
    pub(super) default: u64,
    pub(super) default_bytes: Vec<u8>,
    /// The oneof that it belongs to.
    pub(super) union: Option<usize>,
    /// Whether it is read into the STRUCT of its oneof.
    pub(super) is_member: bool,
    /// The bytes of a message that came in several parts.
    pub(super) merged: Vec<u8>,
    /// The entries of a map in the order of their keys.
    pub(super) order: Vec<usize>,
}

/// How often a field occurs, and what its absence means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The last value counts. Absence is null.
    Optional,
    /// The last value counts. Absence is a default.
    Implicit,
    /// Every value is an element.
    Repeated,
    /// Every value is an entry.
    Map,
}

/// How one value is read.
pub(super) enum Reader {
    Scalar(Primitive),
    Wrapper(Primitive),
    Enum(Arc<Enum>),
    Date,
    Time,
    Timestamp,
    /// With the precision and scale of its column.
    Decimal(u8, i8),
    Message(Box<Plan>),
    /// Nothing is read. The field matters because it replaces others of its oneof.
    Ignored,
}

/// What was found of a field.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) state: State,
    /// The bits of a number, or the part of the message with the bytes; the number of elements if it repeats.
    pub(super) value: u64,
}

/// Whether a field was found.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Absent,
    Present,
    /// A message in several parts, which [`FieldPlan::merged`] has.
    Merged,
}

impl Plan {
    /// A plan for the columns, each of which is the field or the oneof with its name. `places` has the index of each
    /// column among the requested ones. Fails if the type of a field is not that of its column.
    pub(super) fn new(message: &Message, columns: &[FieldRef], places: &[Option<usize>]) -> Result<Self, String> {
        let mut fields: Vec<FieldPlan> = Vec::with_capacity(columns.len());
        let (mut unions, mut unknown) = (Vec::new(), Vec::new());
        for (column, place) in columns.iter().zip(places) {
            let is_free = |field: &Field| fields.iter().all(|other| other.tag >> 3 != field.number);
            match part_of(message, column, columns) {
                Some(MessagePart::Field(field)) if is_free(field) => {
                    fields.push(FieldPlan::new(field, column.data_type(), *place)?);
                }
                Some(MessagePart::Union(union, children)) => {
                    unions.push((*place, add_members(message, union, children, &mut fields)?));
                }
                _ => unknown.extend(*place),
            }
        }
        add_others(message, &mut fields);
        let mut plan = Self::of_fields(fields, unknown);
        let index = |number: Option<u32>| plan.index_of(number?);
        plan.unions = unions
            .into_iter()
            .map(|(column, numbers)| UnionPlan { column, members: numbers.into_iter().map(index).collect() })
            .collect();
        Ok(plan)
    }

    /// A plan for the entries of a map, whose values go to the only column. An absent value is the default of its type.
    fn of_entries(entry: &Message, value: &DataType) -> Result<Self, String> {
        let (key, field) = entry.as_entry().ok_or("an entry has a key and a value")?;
        let reader = match key.kind {
            Kind::Wrapper(primitive) => Reader::Wrapper(primitive),
            Kind::Primitive(primitive) => Reader::Scalar(primitive),
            _ => return Err("a key is not a message".to_owned()),
        };
        let shape = if matches!(reader, Reader::Wrapper(_)) { Shape::Optional } else { Shape::Implicit };
        let key = FieldPlan::of(key, shape, reader, None);
        let mut value = FieldPlan::new(field, value, Some(0))?;
        if value.shape == Shape::Optional {
            value.shape = Shape::Implicit;
        }
        Ok(Self::of_fields(vec![key, value], Vec::new()))
    }

    fn of_fields(mut fields: Vec<FieldPlan>, unknown: Vec<usize>) -> Self {
        fields.sort_by_key(|field| field.tag);
        let numbers = fields.iter().map(|field| field.tag >> 3);
        let size = numbers.clone().filter(|number| *number < TABLE_MAX).max().map_or(0, |max| max as usize + 1);
        let mut table = vec![0; size];
        for (number, index) in numbers.zip(1..) {
            if let Some(place) = table.get_mut(number as usize) {
                *place = index;
            }
        }
        let found = vec![Found::default(); fields.len()];
        Self { fields, table, found, unions: Vec::new(), unknown }
    }

    /// The index of the field with this number.
    #[inline]
    pub(super) fn index_of(&self, number: u32) -> Option<usize> {
        match self.table.get(number as usize) {
            Some(index) => usize::from(*index).checked_sub(1),
            None if number < TABLE_MAX => None,
            None => self.fields.binary_search_by_key(&number, |field| field.tag >> 3).ok(),
        }
    }
}

/// What a column is of a message.
#[derive(Clone, Copy)]
pub(super) enum MessagePart<'a> {
    Field(&'a Field),
    /// A oneof, for the fields of a STRUCT.
    Union(&'a Union, &'a [FieldRef]),
}

/// The field or the oneof that a column is, chosen as its type is inferred (see [`super::infer`]): fields within a oneof
/// come last, because columns for them are not inferred. A field with exactly the name of another column is for that one.
pub(super) fn part_of<'a>(message: &'a Message, column: &'a FieldRef, columns: &[FieldRef]) -> Option<MessagePart<'a>> {
    let is_member = |field: &&Field| message.unions.iter().any(|union| union.members.contains(&field.number));
    let is_others =
        |field: &&Field| field.name != *column.name() && columns.iter().any(|other| *other.name() == field.name);
    let part = |field: &'a Field| (field.name.as_str(), MessagePart::Field(field));
    let fields = |members: bool| {
        let fields = message.declared().filter(move |field| is_member(field) == members);
        // Other columns are looked at only for the few fields that may be this one's.
        fields.filter(|field| is_alike(&field.name, column.name()) && !is_others(field)).map(part)
    };
    let union = |union: &'a Union| match column.data_type() {
        DataType::Struct(children) => Some((union.name.as_str(), MessagePart::Union(union, children))),
        _ => None,
    };
    let unions = message.unions.iter().filter_map(union);
    by_name(unions.chain(fields(false)), column.name()).or_else(|| by_name(fields(true), column.name()))
}

/// The field of a oneof with this name.
pub(super) fn member_of<'a>(message: &'a Message, union: &Union, name: &str) -> Option<&'a Field> {
    let members = message.declared().filter(|field| union.members.contains(&field.number));
    by_name(members.map(|field| (field.name.as_str(), field)), name)
}

/// What has this name, or else the first whose name differs from it in case only.
fn by_name<'a, T>(all: impl Iterator<Item = (&'a str, T)>, name: &str) -> Option<T> {
    let mut folded = None;
    for (one, part) in all {
        if one == name {
            return Some(part);
        }
        if folded.is_none() && is_alike(one, name) {
            folded = Some(part);
        }
    }
    folded
}

/// True for names that differ in case at most.
fn is_alike(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!one.is_ascii() && one.to_uppercase() == other.to_uppercase())
}

/// Adds the fields of a oneof for the fields of its STRUCT. Returns the number of each.
fn add_members(
    message: &Message,
    union: &Union,
    columns: &[FieldRef],
    fields: &mut Vec<FieldPlan>,
) -> Result<Vec<Option<u32>>, String> {
    let mut numbers = Vec::with_capacity(columns.len());
    for column in columns {
        let is_free = |field: &&Field| fields.iter().all(|other| other.tag >> 3 != field.number);
        let field = member_of(message, union, column.name()).filter(is_free);
        if let Some(field) = field {
            let plan = FieldPlan::new(field, column.data_type(), None)?;
            fields.push(FieldPlan { is_member: true, ..plan });
        }
        numbers.push(field.map(|field| field.number));
    }
    Ok(numbers)
}

/// Adds the fields of the same oneofs, which replace those that are there.
fn add_others(message: &Message, fields: &mut Vec<FieldPlan>) {
    for (index, union) in message.unions.iter().enumerate() {
        let is_member = |field: &FieldPlan| union.members.contains(&(field.tag >> 3));
        if !fields.iter().any(is_member) {
            continue;
        }
        let planned = |field: &&Field| fields.iter().any(|other| other.tag >> 3 == field.number);
        let others = message.fields.iter().filter(|field| union.members.contains(&field.number));
        let others = others.filter(|field| !planned(field));
        let other = |field: &Field| FieldPlan::of(field, Shape::Optional, Reader::of_other(&field.kind), None);
        let others: Vec<_> = others.map(other).collect();
        fields.extend(others);
        fields.iter_mut().filter(|field| is_member(field)).for_each(|field| field.union = Some(index));
    }
}

impl FieldPlan {
    fn new(field: &Field, data_type: &DataType, column: Option<usize>) -> Result<Self, String> {
        let (shape, reader) = match (&field.label, &field.kind, data_type) {
            (Label::Implicit | Label::Default(_), kind, data_type) => (Shape::Implicit, Reader::new(kind, data_type)),
            (Label::Optional, kind, data_type) => (Shape::Optional, Reader::new(kind, data_type)),
            (Label::Repeated { .. }, kind, DataType::List(item)) => {
                (Shape::Repeated, Reader::new(kind, item.data_type()))
            }
            (Label::Map | Label::Repeated { .. }, Kind::Message(entry), DataType::Map(entries, _)) => {
                (Shape::Map, entry_reader(entry, entries))
            }
            _ => (Shape::Repeated, None),
        };
        let named = |why: String| format!("{}: {why}", field.name);
        match (reader, &field.kind) {
            (Some(reader), _) => Ok(Self::of(field, shape, reader.map_err(named)?, column)),
            (None, Kind::Refused(why)) => Err(named(why.clone())),
            (None, _) => Err(named(format!("{} cannot be read as {}", field.type_name(), sql_name(data_type)))),
        }
    }

    fn of(field: &Field, shape: Shape, reader: Reader, column: Option<usize>) -> Self {
        let (default, default_bytes) = field.default();
        Self {
            name: field.name.clone(),
            tag: field.number << 3 | field.kind.wire(),
            column,
            shape,
            is_required: field.written == Written::Always,
            reader,
            default,
            default_bytes: default_bytes.to_vec(),
            union: None,
            is_member: false,
            merged: Vec::new(),
            order: Vec::new(),
        }
    }
}

fn entry_reader(entry: &Message, entries: &FieldRef) -> Option<Result<Reader, String>> {
    match entries.data_type() {
        DataType::Struct(pair)
            if pair.len() == 2 && pair[0].data_type() == &DataType::Utf8 && entry.as_entry().is_some() =>
        {
            Some(Plan::of_entries(entry, pair[1].data_type()).map(|plan| Reader::Message(Box::new(plan))))
        }
        _ => None,
    }
}

impl Reader {
    /// The reader of values of a column's type; none if the column cannot hold them.
    fn new(kind: &Kind, data_type: &DataType) -> Option<Result<Self, String>> {
        Some(Ok(match (kind, data_type) {
            (Kind::Primitive(primitive), data_type) if primitive.fits(data_type) => Self::Scalar(*primitive),
            (Kind::Wrapper(primitive), data_type) if primitive.fits(data_type) => Self::Wrapper(*primitive),
            (Kind::Enum(names), DataType::Utf8) => Self::Enum(names.clone()),
            (Kind::Date, DataType::Date32) => Self::Date,
            (Kind::Time, DataType::Time32(_)) => Self::Time,
            (Kind::Timestamp, DataType::Timestamp(..)) => Self::Timestamp,
            (Kind::Decimal { .. }, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) => {
                Self::Decimal(*precision, *scale)
            }
            (Kind::Message(message), DataType::Struct(fields)) => {
                let places: Vec<_> = (0..fields.len()).map(Some).collect();
                return Some(Plan::new(message, fields, &places).map(|plan| Self::Message(Box::new(plan))));
            }
            _ => return None,
        }))
    }

    /// The reader of a field that matters only because it replaces others. A number that a closed enum does not know does
    /// not.
    fn of_other(kind: &Kind) -> Self {
        match kind {
            Kind::Enum(names) if names.is_closed => Self::Enum(names.clone()),
            _ => Self::Ignored,
        }
    }

    /// True if several occurrences of a field are one value together.
    pub(super) fn merges(&self) -> bool {
        !matches!(self, Self::Scalar(_) | Self::Enum(_) | Self::Ignored)
    }

    /// True if elements can share one length.
    pub(super) fn is_packable(&self) -> bool {
        match self {
            Self::Scalar(primitive) => primitive.is_packable(),
            Self::Enum(_) => true,
            _ => false,
        }
    }

    /// True for a number that an enum of proto2 does not know, which counts as absent.
    #[inline]
    pub(super) fn leaves_out(&self, value: u64) -> bool {
        matches!(self, Self::Enum(names) if names.is_closed && names.name_of(value as i32).is_none())
    }
}
