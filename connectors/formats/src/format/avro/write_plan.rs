//! How the columns of a layout are written by a schema: decided once, and run by [`super::write`] for each row.
//!
//! What a schema cannot hold is an error here, before a row is written; what depends on the value (a null, a symbol, a
//! number with too many digits) makes the row bad.

use arrow::datatypes::{DataType, FieldRef};

use super::super::types::sql_name;
use super::default::default_bytes;
use super::matching::field_of;
use super::plan::matching_child;
use super::schema::{AvroSchema, Branches, Field, Kind, Logical, NodeId, Record};
use super::value_type;
use super::write::{Decimal, Part, Slot, Source, Write, write_length};

/// How many unions, records and so on a plan may have.
const STEPS_MAX: usize = 100_000;

/// Makes plans for one schema.
pub(super) struct WritePlanner<'a> {
    schema: &'a AvroSchema,
    steps_left: usize,
}

impl<'a> WritePlanner<'a> {
    pub(super) fn new(schema: &'a AvroSchema) -> Self {
        Self { schema, steps_left: STEPS_MAX }
    }

    /// The plan for a record. Fields without a column get their default or null. Fails if there is neither, or if a
    /// column has no field.
    pub(super) fn parts(&mut self, record: &Record, columns: &[FieldRef]) -> Result<Vec<Part>, String> {
        let fields: Vec<_> = columns.iter().map(|column| field_of(record, column.name())).collect();
        let mut is_written = vec![false; columns.len()];
        let mut parts = Vec::with_capacity(record.fields.len());
        for (at, field) in record.fields.iter().enumerate() {
            let mut matched = (0..columns.len()).filter(|column| fields[*column] == Some(at));
            let exact = matched.clone().find(|column| *columns[*column].name() == *field.name);
            let source = match exact.or_else(|| matched.next()) {
                Some(column) => {
                    is_written[column] = true;
                    Source::Column(column, self.field(field, columns[column].data_type())?)
                }
                None => Source::Constant(self.constant(field)?),
            };
            parts.push(Part { name: field.name.clone(), source });
        }
        match is_written.iter().position(|is_written| !is_written) {
            None => Ok(parts),
            Some(column) => Err(format!("{} has no field for column \"{}\"", record.full_name, columns[column].name())),
        }
    }

    fn field(&mut self, field: &Field, column: &DataType) -> Result<Slot, String> {
        let mut slot = self.slot(field.node, column).map_err(|error| format!("field \"{}\": {error}", field.name))?;
        if let (None, Some(default)) = (&slot.null, &field.default) {
            slot.null = default_bytes(self.schema, field.node, default).ok();
        }
        Ok(slot)
    }

    /// What is written for a field without a column.
    fn constant(&self, field: &Field) -> Result<Vec<u8>, String> {
        let within = |error: String| format!("field \"{}\": {error}", field.name);
        match (&field.default, self.schema.kind(field.node)) {
            (Some(default), _) => default_bytes(self.schema, field.node, default).map_err(within),
            (None, Kind::Null) => Ok(Vec::new()),
            (None, Kind::Union(branches)) => {
                null_bytes(&Branches::of(self.schema, branches)).ok_or_else(|| within(NO_COLUMN.to_owned()))
            }
            (None, _) => Err(within(NO_COLUMN.to_owned())),
        }
    }

    /// The plan for a column that is written as a type.
    pub(super) fn slot(&mut self, id: NodeId, column: &DataType) -> Result<Slot, String> {
        match self.schema.kind(id) {
            Kind::Union(branches) => self.union(id, branches, column),
            _ => Ok(Slot { null: None, branch: None, write: self.write(id, column)? }),
        }
    }

    fn union(&mut self, id: NodeId, branches: &[NodeId], column: &DataType) -> Result<Slot, String> {
        let mut split = Branches::of(self.schema, branches);
        let null = null_bytes(&split);
        if let (DataType::Struct(children), None) = (column, split.optional()) {
            let branch = |id: NodeId| matching_child(children, self.schema.branch_name(id));
            if split.others.iter().any(|(_, id)| branch(*id).is_some()) {
                return Ok(Slot { null, branch: None, write: self.branches(&split, children)? });
            }
        }
        // A text that is not one of an enum's symbols may be one of another branch.
        split.others.sort_by_key(|(_, id)| matches!(self.schema.kind(*id), Kind::Enum(_)));
        for (branch, id) in split.others {
            if let Ok(write) = self.write(id, column) {
                return Ok(Slot { null, branch: Some(branch), write });
            }
        }
        Err(self.misfit(id, column))
    }

    /// The plan for a STRUCT with a field for each branch.
    fn branches(&mut self, split: &Branches, children: &[FieldRef]) -> Result<Write, String> {
        let mut slots = Vec::with_capacity(children.len());
        for (at, child) in children.iter().enumerate() {
            let is_child = |id: NodeId| matching_child(children, self.schema.branch_name(id)) == Some(at);
            let branch = split.others.iter().find(|(_, id)| is_child(*id));
            let (branch, id) = *branch.ok_or_else(|| format!("the union has no branch for \"{}\"", child.name()))?;
            slots.push(Slot { null: None, branch: Some(branch), write: self.write(id, child.data_type())? });
        }
        Ok(Write::Branches(slots))
    }

    fn misfit(&self, id: NodeId, column: &DataType) -> String {
        format!("{} cannot be written as {}", sql_name(column), self.schema.name_with_logical(id))
    }

    fn write(&mut self, id: NodeId, column: &DataType) -> Result<Write, String> {
        let too_large = || "the schema is too large for the columns".to_owned();
        self.steps_left = self.steps_left.checked_sub(1).ok_or_else(too_large)?;
        Ok(match (self.schema.kind(id), column) {
            (Kind::Array(item), DataType::List(field)) => Write::Array(Box::new(self.slot(*item, field.data_type())?)),
            (Kind::Map(value), DataType::Map(entries, _)) => {
                let value_type = value_type(entries).ok_or_else(|| self.misfit(id, column))?;
                Write::Map(Box::new(self.slot(*value, value_type)?))
            }
            (Kind::Array(item), DataType::Map(entries, _)) => {
                self.entries(*item, entries).unwrap_or_else(|| Err(self.misfit(id, column)))?
            }
            (Kind::Record(record), DataType::Struct(columns)) => Write::Struct(self.parts(record, columns)?),
            _ => self.scalar(id, column).ok_or_else(|| self.misfit(id, column))?,
        })
    }

    fn entries(&mut self, item: NodeId, entries: &FieldRef) -> Option<Result<Write, String>> {
        let (key, value) = self.schema.map_entry(item)?;
        let value_type = value_type(entries)?;
        let key = self.slot(key.node, &DataType::Utf8).ok().filter(|key| matches!(key.write, Write::Bytes))?;
        Some(self.slot(value.node, value_type).map(|value| Write::Entries(key.branch, Box::new(value))))
    }

    fn scalar(&self, id: NodeId, column: &DataType) -> Option<Write> {
        let node = self.schema.node(id);
        Some(match (&node.kind, node.logical, column) {
            (Kind::Boolean, _, DataType::Boolean) => Write::Boolean,
            (Kind::Int | Kind::Long, _, DataType::Int32)
            | (Kind::Int, None | Some(Logical::Date), DataType::Date32)
            | (Kind::Int, None | Some(Logical::TimeMillis), DataType::Time32(_)) => Write::Int,
            (Kind::Long, Some(Logical::TimeMicros), DataType::Time32(_)) => Write::Scaled(1_000),
            (Kind::Long, _, DataType::Int64) => Write::Long,
            (Kind::Long, None, DataType::Timestamp(..)) => Write::Long,
            (Kind::Long, Some(Logical::Timestamp(unit) | Logical::LocalTimestamp(unit)), DataType::Timestamp(..)) => {
                Write::Scaled(unit.per_ms())
            }
            (Kind::Float, _, DataType::Int32) => Write::IntAsFloat,
            (Kind::Double, _, DataType::Int32) => Write::IntAsDouble,
            (Kind::Float, _, DataType::Float64) => Write::Float,
            (Kind::Double, _, DataType::Float64) => Write::Double,
            (
                kind,
                Some(Logical::Decimal(precision, digits)),
                DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale),
            ) => {
                let size = if let Kind::Fixed(fixed) = kind { Some(fixed.size) } else { None };
                let shift = i64::from(digits) - i64::from(*scale);
                Write::Decimal(Decimal { size, shift, precision: precision.min(76) as u8 })
            }
            (Kind::String, _, DataType::Utf8) => Write::Bytes,
            (Kind::Bytes, _, DataType::Binary) => Write::Bytes,
            (Kind::Fixed(fixed), _, DataType::Binary) => Write::Fixed(fixed.size),
            (Kind::Enum(symbols), _, DataType::Utf8) => {
                let numbered = symbols.symbols.iter().cloned().enumerate().map(|(at, symbol)| (symbol, at));
                let mut symbols: Vec<_> = numbered.collect();
                symbols.sort_unstable();
                Write::Enum(symbols)
            }
            _ => return None,
        })
    }
}

const NO_COLUMN: &str = "there is no column for it, and it has no default";

/// The bytes of a union's null.
fn null_bytes(branches: &Branches) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    branches.null.map(|null| {
        write_length(null, &mut bytes);
        bytes
    })
}
