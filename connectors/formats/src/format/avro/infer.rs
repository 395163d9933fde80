//! The columns that a schema stands for, as ksqlDB infers them.
//!
//! | Avro | SQL |
//! |---|---|
//! | boolean, int, long | BOOLEAN, INT, BIGINT |
//! | float, double | DOUBLE |
//! | bytes, fixed | BYTES; with the logical type decimal DECIMAL |
//! | string, enum | STRING |
//! | int date, int time-millis, long timestamp-millis | DATE, TIME, TIMESTAMP |
//! | array, map, record | ARRAY, MAP, STRUCT |
//! | union of null and a type | that type |
//! | union of several types | STRUCT with a field for each |
//!
//! Other logical types are read as the type that they are encoded in, as in ksqlDB: microseconds are a BIGINT. A column
//! that is declared as TIMESTAMP reads them as such.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::schema::{AvroSchema, Branches, Kind, Logical, NodeId, Record};

/// How many types a schema may unfold to: records that are used twice in records that are used twice, and so on, are
/// short to write and long to list.
const TYPES_MAX: usize = 10_000;
/// How deep types may be nested.
const NESTING_MAX: usize = 64;

/// The columns for a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The columns in the order of the schema; all may be null.
    pub fields: Vec<FieldRef>,
    /// True if the schema is a record with a field for each column, false if it is the type of the only column.
    pub is_record: bool,
    /// What no column can hold.
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

/// The columns for a schema. One that is not a record gives a single column named `bare_name`.
pub fn infer(schema: &AvroSchema, names: Names, bare_name: &str) -> Inferred {
    let mut inference = Inference {
        schema,
        names,
        dropped: Vec::new(),
        path: Vec::new(),
        records: Vec::new(),
        types_left: TYPES_MAX,
        nesting_left: NESTING_MAX,
    };
    let root = inference.optional(schema.root);
    let (fields, is_record) = match schema.kind(root) {
        Kind::Record(record) => (inference.record(root, record), true),
        _ => {
            let bare = inference.data_type(root);
            (inference.kept(bare).map(|bare| nullable(bare_name, bare)).into_iter().collect(), false)
        }
    };
    Inferred { fields, is_record, dropped: inference.dropped }
}

struct Inference<'a> {
    schema: &'a AvroSchema,
    names: Names,
    dropped: Vec<Dropped>,
    path: Vec<&'a str>,
    /// The records around the type, to find those that contain themselves.
    records: Vec<NodeId>,
    types_left: usize,
    nesting_left: usize,
}

impl<'a> Inference<'a> {
    /// The other type of a union with null.
    fn optional(&self, id: NodeId) -> NodeId {
        match self.schema.kind(id) {
            Kind::Union(branches) => Branches::of(self.schema, branches).optional().map_or(id, |(_, other)| other),
            _ => id,
        }
    }

    fn kept(&mut self, data_type: Result<DataType, String>) -> Option<DataType> {
        data_type.map_err(|reason| self.dropped.push(Dropped { path: self.path.join("."), reason })).ok()
    }

    fn data_type(&mut self, id: NodeId) -> Result<DataType, String> {
        let id = self.optional(id);
        let too_many = || format!("the schema has more than {TYPES_MAX} types");
        self.types_left = self.types_left.checked_sub(1).ok_or_else(too_many)?;
        let too_deep = || format!("types are nested more than {NESTING_MAX} deep");
        self.nesting_left = self.nesting_left.checked_sub(1).ok_or_else(too_deep)?;
        let data_type = self.nested_type(id);
        self.nesting_left += 1;
        data_type
    }

    fn nested_type(&mut self, id: NodeId) -> Result<DataType, String> {
        let node = self.schema.node(id);
        Ok(match (&node.kind, node.logical) {
            (Kind::Null, _) => return Err("null alone is not a type of a column".to_owned()),
            (Kind::Boolean, _) => DataType::Boolean,
            (Kind::Int, Some(Logical::Date)) => DataType::Date32,
            (Kind::Int, Some(Logical::TimeMillis)) => DataType::Time32(TimeUnit::Millisecond),
            (Kind::Int, _) => DataType::Int32,
            (Kind::Long, Some(Logical::Timestamp(super::schema::Unit::Millis))) => {
                DataType::Timestamp(TimeUnit::Millisecond, None)
            }
            (Kind::Long, _) => DataType::Int64,
            (Kind::Float | Kind::Double, _) => DataType::Float64,
            (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal(precision, scale))) => decimal(precision, scale)?,
            (Kind::Bytes | Kind::Fixed(_), _) => DataType::Binary,
            (Kind::String | Kind::Enum(_), _) => DataType::Utf8,
            (Kind::Array(item), _) => match self.schema.map_entry(*item) {
                Some((_, value)) => map_of(self.data_type(value.node)?),
                None => DataType::List(nullable("item", self.data_type(*item)?)),
            },
            (Kind::Map(value), _) => map_of(self.data_type(*value)?),
            (Kind::Union(branches), _) => self.union(branches)?,
            (Kind::Record(record), _) => structure(self.struct_fields(id, record)?, &record.full_name)?,
        })
    }

    fn struct_fields(&mut self, id: NodeId, record: &'a Record) -> Result<Vec<FieldRef>, String> {
        match self.records.contains(&id) {
            true => Err(format!("record {} contains itself", record.full_name)),
            false => Ok(self.record(id, record)),
        }
    }

    fn record(&mut self, id: NodeId, record: &'a Record) -> Vec<FieldRef> {
        self.records.push(id);
        let fields = self.fields(record.fields.iter().map(|field| (&*field.name, field.node)));
        self.records.pop();
        fields
    }

    /// The union's branches as the fields of a STRUCT.
    fn union(&mut self, branches: &[NodeId]) -> Result<DataType, String> {
        let schema = self.schema;
        let others = Branches::of(schema, branches).others;
        structure(self.fields(others.iter().map(|(_, id)| (schema.branch_name(*id), *id))), "the union")
    }

    fn fields(&mut self, fields: impl Iterator<Item = (&'a str, NodeId)>) -> Vec<FieldRef> {
        let mut inferred: Vec<FieldRef> = Vec::new();
        for (written, node) in fields {
            let name = match self.names {
                Names::Upper => written.to_uppercase(),
                Names::AsWritten => written.to_owned(),
            };
            self.path.push(written);
            let data_type = match inferred.iter().any(|other| *other.name() == name) {
                true => Err(format!("there are two fields \"{name}\"")),
                false => self.data_type(node),
            };
            inferred.extend(self.kept(data_type).map(|data_type| nullable(&name, data_type)));
            self.path.pop();
        }
        inferred
    }
}

fn nullable(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn decimal(precision: u32, scale: u32) -> Result<DataType, String> {
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) => Ok(DataType::Decimal128(precision, scale)),
        (Ok(precision @ 39..=76), Ok(scale)) => Ok(DataType::Decimal256(precision, scale)),
        _ => Err(format!("a DECIMAL has up to 76 digits, not {precision}")),
    }
}

fn map_of(value: DataType) -> DataType {
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

fn structure(fields: Vec<FieldRef>, name: &str) -> Result<DataType, String> {
    match fields.is_empty() {
        true => Err(format!("{name} has no field that a column can hold")),
        false => Ok(DataType::Struct(Fields::from(fields))),
    }
}
