//! The schema that the columns were taken from, which Avro's specification calls the reader's: it says what payloads mean that
//! were written with other versions.
//!
//! Fields that they lack have its defaults, and its aliases name fields, types and branches by what they were called before. Its
//! unions, enums and logical types hold where the writer has others. Semantics: the specification's "Schema Resolution"; where
//! that is an error, a column is read by its name, as in ksqlDB.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::super::Layout;
use super::super::column::Column;
use super::cursor::Cursor;
use super::default::default_bytes;
use super::infer::optional;
use super::matching::field_of;
use super::plan::{Plan, Planner};
use super::read::{Run, read};
use super::schema::{AvroSchema, Enum, Field, Kind, Logical, NodeId, Record, short_name};
use crate::format::fault::Outcome;

/// A type of the reader's schema, or none where there is no such schema or it has another form.
#[derive(Clone, Copy)]
pub(super) struct ReaderType<'a>(Option<(&'a Arc<AvroSchema>, NodeId)>);

/// The value of a field that the payload lacks: its default, as the reader's schema would write it.
#[derive(Debug)]
pub(super) struct Constant {
    schema: Arc<AvroSchema>,
    bytes: Vec<u8>,
    plan: Plan,
}

/// The reader's schema of a layout, if it has one.
pub(super) fn reader_schema(layout: &Layout) -> Option<Arc<AvroSchema>> {
    let reader = layout.reader.as_ref()?;
    let schema = AvroSchema::parse(&reader.schema).ok()?;
    let root = match &reader.full_name {
        Some(full_name) => schema.named(full_name).ok()?,
        None => schema.root,
    };
    Some(Arc::new(AvroSchema { root, ..schema }))
}

impl<'a> ReaderType<'a> {
    /// No type.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The type of whole payloads.
    pub(super) fn root(schema: Option<&'a Arc<AvroSchema>>) -> Self {
        Self(schema.map(|schema| (schema, schema.root)))
    }

    /// The type itself; the other one for a union with null.
    fn present(self) -> Option<(&'a AvroSchema, NodeId)> {
        let (schema, id) = self.0?;
        Some((schema.as_ref(), optional(schema, id)))
    }

    fn kind(self) -> Option<&'a Kind> {
        self.present().map(|(schema, id)| schema.kind(id))
    }

    fn at(self, id: Option<NodeId>) -> Self {
        Self(self.0.zip(id).map(|((schema, _), id)| (schema, id)))
    }

    /// The type of the items of an array, or of the values of a map.
    pub(super) fn items(self) -> Self {
        self.at(match self.kind() {
            Some(Kind::Array(item) | Kind::Map(item)) => Some(*item),
            _ => None,
        })
    }

    /// The type of the values of a map that is an array of records.
    pub(super) fn entry_values(self) -> Self {
        let item = self.items();
        self.at(item.0.and_then(|(schema, id)| Some(schema.map_entry(id)?.1.node)))
    }

    /// The same type, if it is a record that has or had the name of the writer's: others have nothing to do with each other.
    pub(super) fn of_record(self, written: &Record) -> Self {
        let is_same = |(schema, id): (&AvroSchema, NodeId)| schema.is_called(id, short_name(&written.full_name));
        Self(self.0.filter(|_| self.present().is_some_and(is_same)))
    }

    /// Whether it is a union of several types, if it is known.
    pub(super) fn is_of_several(self) -> Option<bool> {
        self.kind().map(|kind| matches!(kind, Kind::Union(_)))
    }

    /// The branch of a union that a column belongs to.
    pub(super) fn branch(self, column: &str) -> Self {
        let exact = self.find_branch(|schema, id| schema.branch_name(id) == column);
        self.at(exact.or_else(|| self.find_branch(|schema, id| schema.branch_name(id).to_uppercase() == column)))
    }

    /// The name of the branch that had this one.
    pub(super) fn renamed(self, name: &str) -> Option<&'a str> {
        let branch = self.find_branch(|schema, id| schema.is_called(id, name))?;
        Some(self.0?.0.branch_name(branch))
    }

    fn find_branch(self, is: impl Fn(&AvroSchema, NodeId) -> bool) -> Option<NodeId> {
        let (schema, id) = self.0?;
        let Kind::Union(branches) = schema.kind(id) else { return None };
        branches.iter().copied().find(|branch| is(schema, *branch))
    }

    /// The type of a column.
    pub(super) fn column(self, column: &str) -> Self {
        self.at(self.field(column).map(|field| field.node))
    }

    /// The writer's field that belongs to a column: the reader's aliases rename the writer's fields, as in Java's library, so that
    /// one with the column's name may be another's.
    pub(super) fn source(self, column: &str, written: &Record) -> Option<usize> {
        let (Some(field), Some(Kind::Record(reader))) = (self.field(column), self.kind()) else {
            return field_of(written, column);
        };
        let position = |name: &str| written.fields.iter().position(|field| &*field.name == name);
        let is_renamed = |name: &str| is_renamed(reader, name, |other| position(other).is_some());
        let own = position(&field.name).filter(|_| !is_renamed(&field.name));
        let aliased = || field.aliases.iter().find_map(|alias| position(alias));
        let alike = || field_of(written, column).filter(|at| !is_renamed(&written.fields[*at].name));
        own.or_else(aliased).or_else(alike)
    }

    fn field(self, column: &str) -> Option<&'a Field> {
        let Some(Kind::Record(record)) = self.kind() else { return None };
        field_of(record, column).map(|at| &record.fields[at])
    }

    /// What its values mean beyond their encoding.
    pub(super) fn logical(self) -> Option<Logical> {
        self.present().and_then(|(schema, id)| schema.node(id).logical)
    }

    /// The symbols of the writer, of which those that an enum does not have are its default, if it has one.
    pub(super) fn symbols(self, written: &[Box<str>]) -> Vec<Box<str>> {
        let Some(Kind::Enum(Enum { symbols, default: Some(default), .. })) = self.kind() else {
            return written.to_vec();
        };
        written.iter().map(|symbol| if symbols.contains(symbol) { symbol } else { default }.clone()).collect()
    }

    /// The default of a column, if it has one other than null that the column can hold.
    pub(super) fn default(self, column: &str, data_type: &DataType) -> Option<Constant> {
        let (schema, field) = (self.0?.0, self.field(column)?);
        let default = field.default.as_ref().filter(|default| !default.is_null())?;
        let bytes = default_bytes(schema, field.node, default).ok()?;
        let plan = Planner::new(schema).value(field.node, data_type, Self::none());
        let constant = Constant { schema: schema.clone(), bytes, plan };
        constant.push(&mut Column::try_new(data_type).ok()?).ok()?;
        Some(constant)
    }
}

/// Whether a field of the writer gets the name of another one of the reader, by an alias, and that is free: the writer has none
/// of that name, or renames it, too.
fn is_renamed(reader: &Record, name: &str, is_written: impl Fn(&str) -> bool) -> bool {
    let alias_of = |name: &str| {
        let is_alias = |field: &&Field| *field.name != *name && field.aliases.iter().any(|alias| &**alias == name);
        reader.fields.iter().find(is_alias)
    };
    alias_of(name).is_some_and(|field| !is_written(&field.name) || alias_of(&field.name).is_some())
}

impl Constant {
    /// Adds the value to a column.
    pub(super) fn push(&self, column: &mut Column) -> Outcome<()> {
        read(&mut Run { cursor: Cursor::new(&self.bytes, 0), schema: &self.schema }, &self.plan, column)
    }
}
