//! How the fields of a message are read into the columns of a layout: a message and a layout, compiled once.
//!
//! A plan has a field for each column, whether the column is requested or not. Its scratch holds what was found in the
//! payload that is being read, so that no row allocates.

use arrow::datatypes::{DataType, FieldRef};

use super::message::{Field, Kind, Label, Message, Primitive};
use crate::format::sql_name;

/// Field numbers below this are looked up in a table, higher ones by binary search.
const TABLE_MAX: u32 = 1024;

/// How one message is read.
pub(super) struct Plan {
    /// The fields with a column, in ascending order of their numbers.
    pub(super) fields: Vec<FieldPlan>,
    /// For each number below [`TABLE_MAX`], the index of its field plus one; 0 for none.
    table: Vec<u16>,
    /// What was found of each field in the message that is being read.
    pub(super) found: Vec<Found>,
    /// The requested columns without a field.
    pub(super) unknown: Vec<usize>,
}

/// How one field is read.
pub(super) struct FieldPlan {
    pub(super) name: String,
    /// Its number, and the wire type of one of its values.
    pub(super) tag: u32,
    /// The column that its values go to; none if they are only checked.
    pub(super) column: Option<usize>,
    pub(super) shape: Shape,
    pub(super) reader: Reader,
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
    /// The last value counts. Absence is the default of its type.
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
    Date,
    Time,
    Timestamp,
    /// With the precision and scale of its column.
    Decimal(u8, i8),
    Message(Box<Plan>),
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
    /// A plan for the columns, each of which is the field with its name. `places` has the index of each column among
    /// the requested ones. Fails if the type of a field is not that of its column.
    pub(super) fn new(message: &Message, columns: &[FieldRef], places: &[Option<usize>]) -> Result<Self, String> {
        let mut fields = Vec::with_capacity(columns.len());
        let mut unknown = Vec::new();
        for (column, place) in columns.iter().zip(places) {
            match field_of(message, column.name()) {
                Some(field) => fields.push(FieldPlan::new(field, column.data_type(), *place)?),
                None => unknown.extend(*place),
            }
        }
        Ok(Self::of_fields(fields, unknown))
    }

    /// A plan for the entries of a map, whose values go to the only column. An absent value is the default of its type.
    fn of_entries(entry: &Message, value: &DataType) -> Result<Self, String> {
        let [key, field] = entry.fields.as_slice() else { return Err("an entry has a key and a value".to_owned()) };
        let key = FieldPlan::new(key, &DataType::Utf8, None)?;
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
        Self { fields, table, found, unknown }
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

/// The field for a column: the one with its name, or else one that differs from it in case only.
fn field_of<'a>(message: &'a Message, column: &str) -> Option<&'a Field> {
    let exact = message.fields.iter().find(|field| field.name == column);
    exact.or_else(|| message.fields.iter().find(|field| field.name.to_uppercase() == column.to_uppercase()))
}

impl FieldPlan {
    fn new(field: &Field, data_type: &DataType, column: Option<usize>) -> Result<Self, String> {
        let (shape, reader) = match (&field.label, &field.kind, data_type) {
            (Label::Implicit, kind, data_type) => (Shape::Implicit, Reader::new(kind, data_type)),
            (Label::Optional, kind, data_type) => (Shape::Optional, Reader::new(kind, data_type)),
            (Label::Repeated { .. }, kind, DataType::List(item)) => {
                (Shape::Repeated, Reader::new(kind, item.data_type()))
            }
            (Label::Map, Kind::Message(entry), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let plan = Plan::of_entries(entry, pair[1].data_type()).map_err(|why| within(field, &why))?;
                    (Shape::Map, Some(Ok(Reader::Message(Box::new(plan)))))
                }
                _ => (Shape::Map, None),
            },
            _ => (Shape::Repeated, None),
        };
        let reader = match reader {
            Some(reader) => reader.map_err(|why| within(field, &why))?,
            None => return Err(format!("field {} cannot be read as {}", field.name, sql_name(data_type))),
        };
        let tag = field.number << 3 | field.kind.wire();
        Ok(Self { name: field.name.clone(), tag, column, shape, reader, merged: Vec::new(), order: Vec::new() })
    }
}

fn within(field: &Field, why: &str) -> String {
    format!("{why} (in field {})", field.name)
}

impl Reader {
    /// The reader of values of a column's type; none if the column cannot hold them.
    fn new(kind: &Kind, data_type: &DataType) -> Option<Result<Self, String>> {
        Some(Ok(match (kind, data_type) {
            (Kind::Primitive(primitive), data_type) if primitive.fits(data_type) => Self::Scalar(*primitive),
            (Kind::Wrapper(primitive), data_type) if primitive.fits(data_type) => Self::Wrapper(*primitive),
            (Kind::Date, DataType::Date32) => Self::Date,
            (Kind::Time, DataType::Time32(_)) => Self::Time,
            (Kind::Timestamp, DataType::Timestamp(..)) => Self::Timestamp,
            (Kind::Decimal, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) => {
                Self::Decimal(*precision, *scale)
            }
            (Kind::Message(message), DataType::Struct(fields)) => {
                let places: Vec<_> = (0..fields.len()).map(Some).collect();
                return Some(Plan::new(message, fields, &places).map(|plan| Self::Message(Box::new(plan))));
            }
            _ => return None,
        }))
    }

    /// True if several occurrences of a field are one value together.
    pub(super) fn merges(&self) -> bool {
        !matches!(self, Self::Scalar(_))
    }
}
