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

use arrow::datatypes::{DataType, TimeUnit};

use super::super::inferred::{Inference, Inferred, Names, Source, array_of, decimal_of, map_of};
use super::schema::{AvroSchema, Branches, Kind, Logical, NodeId, Record, Unit};

/// The columns for a schema. One that is not a record gives a single column named `bare_name`.
pub fn infer(schema: &AvroSchema, names: Names, bare_name: &str) -> Inferred {
    infer_from(schema, optional(schema, schema.root), names, bare_name)
}

/// The columns for the record with this full name.
pub(in super::super) fn infer_named(schema: &AvroSchema, full_name: &str, names: Names) -> Result<Inferred, String> {
    schema.named(full_name).map(|record| infer_from(schema, record, names, ""))
}

fn infer_from(schema: &AvroSchema, root: NodeId, names: Names, bare_name: &str) -> Inferred {
    let mut inference = Inference::new(schema, names);
    match schema.kind(root) {
        Kind::Record(record) => {
            let fields = inference.record(root, fields(record));
            inference.into_record(fields)
        }
        _ => {
            let bare = inference.data_type(root);
            inference.into_bare(bare_name, bare)
        }
    }
}

/// The other type of a union with null.
pub(super) fn optional(schema: &AvroSchema, id: NodeId) -> NodeId {
    match schema.kind(id) {
        Kind::Union(branches) => Branches::of(schema, branches).optional().map_or(id, |(_, other)| other),
        _ => id,
    }
}

fn fields(record: &Record) -> impl Iterator<Item = (&str, NodeId)> {
    record.fields.iter().map(|field| (&*field.name, field.node))
}

impl Source for AvroSchema {
    type Node = NodeId;

    fn data_type(&self, id: NodeId, inference: &mut Inference<'_, Self>) -> Result<DataType, String> {
        let id = optional(self, id);
        let node = self.node(id);
        Ok(match (&node.kind, node.logical) {
            (Kind::Null, _) => return Err("null alone is not a type of a column".to_owned()),
            (Kind::Boolean, _) => DataType::Boolean,
            (Kind::Int, Some(Logical::Date)) => DataType::Date32,
            (Kind::Int, Some(Logical::TimeMillis)) => DataType::Time32(TimeUnit::Millisecond),
            (Kind::Int, _) => DataType::Int32,
            (Kind::Long, Some(Logical::Timestamp(Unit::Millis))) => DataType::Timestamp(TimeUnit::Millisecond, None),
            (Kind::Long, _) => DataType::Int64,
            (Kind::Float | Kind::Double, _) => DataType::Float64,
            (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal(precision, scale))) => decimal_of(precision, scale)?,
            (Kind::Bytes | Kind::Fixed(_), _) => DataType::Binary,
            (Kind::String | Kind::Enum(_), _) => DataType::Utf8,
            (Kind::Array(item), _) => match self.map_entry(*item) {
                Some((_, value)) => map_of(inference.data_type(value.node)?),
                None => array_of(inference.data_type(*item)?),
            },
            (Kind::Map(value), _) => map_of(inference.data_type(*value)?),
            (Kind::Union(branches), _) => {
                let others = Branches::of(self, branches).others;
                let fields = others.iter().map(|(_, id)| (self.branch_name(*id), *id));
                inference.union("the union", fields)?
            }
            (Kind::Record(record), _) if inference.is_within(id) => {
                return Err(format!("record {} contains itself", record.full_name));
            }
            (Kind::Record(record), _) => inference.structure(id, &record.full_name, fields(record))?,
        })
    }
}
