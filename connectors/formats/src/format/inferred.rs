//! The columns that a schema stands for, and the walk through a schema that finds them, with its limits.
//!
//! Separate because Avro, Protobuf and JSON Schema differ in their types only: what happens to names, to parts that no
//! column can hold and to schemas that are too large is the same for all.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::column::valid_decimal;

/// The maximum length of a schema's text, in bytes.
pub(super) const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// How deep schemas may refer to others.
pub(super) const REFERENCES_DEEP: usize = 32;
/// How many types a schema may unfold to: records that are used twice in records that are used twice, and so on, are
/// short to write and long to list.
const TYPES_MAX: usize = 10_000;
/// How deep types may be nested.
const NESTING_MAX: usize = 64;
/// How many parts that no column can hold are listed.
pub(super) const DROPPED_MAX: usize = 1_000;

/// The columns for a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The columns in the order of the schema; all may be null.
    pub fields: Vec<FieldRef>,
    /// True if the schema is a record with a field for each column, false if it is the type of the only column.
    pub is_record: bool,
    /// What no column can hold, up to 1,000 parts.
    pub dropped: Vec<Dropped>,
}

/// A part of a schema that has no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where it is: the names of the fields around it, separated by dots; empty for the whole schema.
    pub path: String,
    /// Why it has no column, for users.
    pub reason: String,
}

/// What happens to the names of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// They are changed to upper case, as for schemas that are found by the topic's name.
    Upper,
    /// They are kept, as for schemas that are given by their id.
    AsWritten,
}

impl Names {
    /// The name of the column for a field.
    fn of(self, written: &str) -> String {
        match self {
            Self::Upper => written.to_uppercase(),
            Self::AsWritten => written.to_owned(),
        }
    }
}

/// A parsed schema.
pub(super) trait Source {
    /// A type in it.
    type Node: Copy + PartialEq;

    /// The type of a column for a type of the schema; those within it are asked of the inference.
    fn data_type(&self, node: Self::Node, inference: &mut Inference<'_, Self>) -> Result<DataType, String>;
}

/// A walk through a schema.
pub(super) struct Inference<'a, S: Source + ?Sized> {
    source: &'a S,
    names: Names,
    dropped: Vec<Dropped>,
    path: Vec<String>,
    /// The records around the type, to find those that contain themselves.
    records: Vec<S::Node>,
    types_left: usize,
    nesting_left: usize,
}

impl<'a, S: Source + ?Sized> Inference<'a, S> {
    pub(super) fn new(source: &'a S, names: Names) -> Self {
        Self {
            source,
            names,
            dropped: Vec::new(),
            path: Vec::new(),
            records: Vec::new(),
            types_left: TYPES_MAX,
            nesting_left: NESTING_MAX,
        }
    }

    /// The type of a column for a type of the schema.
    pub(super) fn data_type(&mut self, node: S::Node) -> Result<DataType, String> {
        let too_many = || format!("the schema has more than {TYPES_MAX} types");
        self.types_left = self.types_left.checked_sub(1).ok_or_else(too_many)?;
        let too_deep = || format!("types are nested more than {NESTING_MAX} deep");
        self.nesting_left = self.nesting_left.checked_sub(1).ok_or_else(too_deep)?;
        let data_type = self.source.data_type(node, self);
        self.nesting_left += 1;
        data_type
    }

    /// The fields of the record that the whole schema is.
    pub(super) fn record<'f>(
        &mut self,
        record: S::Node,
        fields: impl Iterator<Item = (&'f str, S::Node)>,
    ) -> Vec<FieldRef> {
        self.records.push(record);
        let fields = self.fields(fields);
        self.records.pop();
        fields
    }

    /// True if a record is around the type, so that it would contain itself.
    pub(super) fn is_within(&self, record: S::Node) -> bool {
        self.records.contains(&record)
    }

    /// The STRUCT for a record within the schema. `name` is what it is called in messages.
    pub(super) fn structure<'f>(
        &mut self,
        record: S::Node,
        name: &str,
        fields: impl Iterator<Item = (&'f str, S::Node)>,
    ) -> Result<DataType, String> {
        structure_of(self.record(record, fields), name)
    }

    /// The STRUCT for types that are not a record of their own, such as the branches of a union.
    pub(super) fn union<'f>(
        &mut self,
        name: &str,
        fields: impl Iterator<Item = (&'f str, S::Node)>,
    ) -> Result<DataType, String> {
        structure_of(self.fields(fields), name)
    }

    fn fields<'f>(&mut self, fields: impl Iterator<Item = (&'f str, S::Node)>) -> Vec<FieldRef> {
        let fields: Vec<_> = fields.map(|(written, node)| (self.names.of(written), written, node)).collect();
        let chosen = chosen(&fields);
        let mut inferred = Vec::new();
        for (at, (name, written, node)) in fields.iter().enumerate() {
            self.path.push((*written).to_owned());
            let data_type = match chosen.get(name.as_str()) {
                Some(chosen) if *chosen != at => Err(format!("there are two fields \"{name}\"")),
                _ => self.data_type(*node),
            };
            if let Some(data_type) = self.kept(data_type) {
                inferred.push(nullable(name, data_type));
            }
            self.path.pop();
        }
        inferred
    }

    fn kept(&mut self, data_type: Result<DataType, String>) -> Option<DataType> {
        let list = |reason| {
            if self.dropped.len() < DROPPED_MAX {
                self.dropped.push(Dropped { path: self.path.join("."), reason });
            }
        };
        data_type.map_err(list).ok()
    }

    /// The columns of a schema that is a record.
    pub(super) fn into_record(self, fields: Vec<FieldRef>) -> Inferred {
        Inferred { fields, is_record: true, dropped: self.dropped }
    }

    /// The only column of a schema that is not a record.
    pub(super) fn into_bare(mut self, name: &str, data_type: Result<DataType, String>) -> Inferred {
        let fields = self.kept(data_type).map(|data_type| nullable(name, data_type)).into_iter().collect();
        Inferred { fields, is_record: false, dropped: self.dropped }
    }
}

/// For each name of a column the index of the field that it is for: the one with exactly that name, or else the first.
/// Decoders choose in the same way.
fn chosen<'f, N>(fields: &'f [(String, &str, N)]) -> HashMap<&'f str, usize> {
    let mut chosen: HashMap<&str, usize> = HashMap::with_capacity(fields.len());
    for (at, (name, written, _)) in fields.iter().enumerate() {
        let field = chosen.entry(name).or_insert(at);
        if written == name && fields[*field].1 != name {
            *field = at;
        }
    }
    chosen
}

/// A field that may be null.
pub(super) fn nullable(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

/// The ARRAY of a type.
pub(super) fn array_of(item: DataType) -> DataType {
    DataType::List(nullable("item", item))
}

/// The MAP with values of a type.
pub(super) fn map_of(value: DataType) -> DataType {
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

/// The DECIMAL with a precision and a scale.
pub(super) fn decimal_of(precision: u32, scale: u32) -> Result<DataType, String> {
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if valid_decimal(precision, scale, 38) => Ok(DataType::Decimal128(precision, scale)),
        (Ok(precision), Ok(scale)) if valid_decimal(precision, scale, 76) => Ok(DataType::Decimal256(precision, scale)),
        (Ok(1..=76), _) => Err(format!("a DECIMAL of {precision} digits cannot have {scale} after the point")),
        _ => Err(format!("a DECIMAL has up to 76 digits, not {precision}")),
    }
}

fn structure_of(fields: Vec<FieldRef>, name: &str) -> Result<DataType, String> {
    match fields.is_empty() {
        true => Err(format!("{name} has no field that a column can hold")),
        false => Ok(DataType::Struct(Fields::from(fields))),
    }
}
