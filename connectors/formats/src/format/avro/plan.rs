//! How a value of the writer's type becomes a value of a column: decided once for a schema and a layout, and run by
//! [`super::read`] for each payload.
//!
//! A type that a column cannot hold is not an error here: it is one for each payload that has such a value, so that a
//! union or an empty array may have it.

use arrow::datatypes::{DataType, FieldRef};

use super::super::types::sql_name;
use super::quick::Quick;
use super::reader::{Constant, ReaderType};
use super::schema::{AvroSchema, Branches, Kind, Logical, NodeId, Record, Unit};
use super::value_type;

/// How many steps a program may have: unions in unions could otherwise multiply without end.
const STEPS_MAX: usize = 100_000;

/// How one value is read.
#[derive(Debug)]
pub(super) enum Plan {
    /// A null.
    Null,
    Boolean,
    /// An int, into a column of 32 bits.
    Int,
    /// An int of milliseconds, which must be within a day.
    Time,
    /// A long of microseconds, which must be within a day.
    TimeMicros,
    /// An int, into a column of 64 bits.
    IntAsLong,
    Long,
    /// A long in a smaller unit than milliseconds, and how many of it are one.
    Timestamp(i64),
    /// A text with a timestamp and its offset from UTC.
    ZonedTimestamp,
    /// A text with a time of day and its offset from UTC.
    ZonedTime,
    IntAsDouble,
    LongAsDouble,
    Float,
    Double,
    Decimal(Decimal),
    String,
    Bytes,
    /// A number of bytes.
    Fixed(usize),
    /// One of the symbols.
    Enum(Vec<Box<str>>),
    /// A scalar, as a text.
    Text(Text),
    Array(Box<Items>),
    Map(Box<Entries>),
    Struct(Box<Fields>),
    /// Null if the union has the branch of this number, or else the value of its only other branch.
    Optional(usize, Box<Plan>),
    Union(Vec<Plan>),
    /// The child of a STRUCT of this number; the others are null.
    Branch(usize, Box<Plan>),
    /// A value that the column cannot hold.
    Misfit(String),
}

/// A decimal of the writer, for a column.
#[derive(Debug)]
pub(super) struct Decimal {
    /// The number of its bytes, if it is a fixed.
    pub(super) size: Option<usize>,
    /// How many more digits after the point the column has.
    pub(super) shift: i64,
    /// The column's precision and scale.
    pub(super) precision: u8,
    pub(super) scale: i8,
}

/// A scalar that becomes a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// The 16 bytes of a UUID.
    Uuid,
}

/// The items of an array.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) plan: Plan,
    /// True if they take no bytes.
    pub(super) empty: bool,
}

/// The entries of a map, which may have been written as an array of records.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) key: Plan,
    pub(super) value: Plan,
    /// True if they take no bytes.
    pub(super) empty: bool,
}

/// The fields of a record.
#[derive(Debug)]
pub(super) struct Fields {
    /// One for each field, in the order of the payload.
    pub(super) steps: Vec<Step>,
    /// The columns that no field belongs to, with the values that they have instead of null.
    pub(super) missing: Vec<(usize, Option<Constant>)>,
}

/// What happens to a field.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: Box<str>,
    pub(super) action: Action,
    /// This field and those that follow it which are not read and can be passed over together; all of them are in the
    /// first one's list.
    pub(super) quick: Vec<Quick>,
}

#[derive(Debug)]
pub(super) enum Action {
    /// No column asks for it, whatever the projection.
    Skip(NodeId),
    /// Its column is not requested.
    Check(Plan),
    /// It goes into the column of this index.
    Read(usize, Plan),
    /// Several columns match its name.
    Each(Vec<Action>),
}

/// Makes plans for one writer's schema.
pub(super) struct Planner<'a> {
    schema: &'a AvroSchema,
    steps_left: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(schema: &'a AvroSchema) -> Self {
        Self { schema, steps_left: STEPS_MAX }
    }

    /// The plan for the fields of a record. `by_field` has the index of the column of each layout field that is
    /// requested; `reader` is the type that the columns were taken from.
    pub(super) fn fields(
        &mut self,
        record: &Record,
        columns: &[FieldRef],
        by_field: &[Option<usize>],
        reader: ReaderType<'_>,
    ) -> Fields {
        let reader = reader.of_record(record);
        let fields: Vec<_> = columns.iter().map(|column| reader.source(column.name(), record)).collect();
        let step = |(at, field): (usize, &super::schema::Field)| {
            let matched = (0..columns.len()).filter(|column| fields[*column] == Some(at));
            let action = |column: usize| {
                let (name, data_type) = (columns[column].name(), columns[column].data_type());
                let plan = self.value(field.node, data_type, reader.column(name));
                match by_field[column] {
                    Some(index) => Action::Read(index, plan),
                    None => Action::Check(plan),
                }
            };
            let mut actions: Vec<_> = matched.map(action).collect();
            let action = match actions.len() {
                0 => Action::Skip(field.node),
                1 => actions.remove(0),
                _ => Action::Each(actions),
            };
            Step { name: field.name.clone(), action, quick: Vec::new() }
        };
        let mut steps: Vec<_> = record.fields.iter().enumerate().map(step).collect();
        self.collect_quick(&mut steps);
        let missing = (0..columns.len()).filter(|column| fields[*column].is_none()).filter_map(|column| {
            let requested = by_field[column]?;
            Some((requested, reader.default(columns[column].name(), columns[column].data_type())))
        });
        Fields { missing: missing.collect(), steps }
    }

    /// Gives the first of the fields in a row that can be passed over together the list of them.
    fn collect_quick(&self, steps: &mut [Step]) {
        let mut first = 0;
        for at in 0..steps.len() {
            match Quick::of(&steps[at].action, self.schema) {
                Some(quick) => steps[first].quick.push(quick),
                None => first = at + 1,
            }
        }
    }

    /// The plan for a value of a type that goes into a column of another, which was taken from that of `reader`.
    pub(super) fn value(&mut self, id: NodeId, column: &DataType, reader: ReaderType<'_>) -> Plan {
        let Some(left) = self.steps_left.checked_sub(1) else {
            return Plan::Misfit("the schema is too large for the columns".to_owned());
        };
        self.steps_left = left;
        let schema = self.schema;
        match (schema.kind(id), column) {
            (Kind::Null, _) => Plan::Null,
            (Kind::Union(branches), _) => self.union(branches, column, reader),
            (_, DataType::Struct(children)) if reader.is_of_several() == Some(true) => {
                self.branch(id, children, column, reader)
            }
            (Kind::Array(item), DataType::List(field)) => {
                let plan = self.value(*item, field.data_type(), reader.items());
                Plan::Array(Box::new(Items { plan, empty: schema.node(*item).is_empty }))
            }
            (Kind::Map(value), DataType::Map(entries, _)) => match value_type(entries) {
                Some(data_type) => {
                    let value = self.value(*value, data_type, reader.items());
                    Plan::Map(Box::new(Entries { key: Plan::String, value, empty: false }))
                }
                None => self.misfit(id, column),
            },
            (Kind::Array(item), DataType::Map(entries, _)) => self.entries((id, *item), entries, column, reader),
            (Kind::Record(record), DataType::Struct(columns)) => {
                let by_field: Vec<_> = (0..columns.len()).map(Some).collect();
                Plan::Struct(Box::new(self.fields(record, columns, &by_field, reader)))
            }
            _ => self.scalar(id, column, reader).unwrap_or_else(|| self.misfit(id, column)),
        }
    }

    fn misfit(&self, id: NodeId, column: &DataType) -> Plan {
        Plan::Misfit(format!("{} cannot be read as {}", self.schema.name_with_logical(id), sql_name(column)))
    }

    fn union(&mut self, branches: &[NodeId], column: &DataType, reader: ReaderType<'_>) -> Plan {
        let split = Branches::of(self.schema, branches);
        if let (Some(null), Some((_, id))) = (split.null, split.optional()) {
            return Plan::Optional(null, Box::new(self.value(id, column, reader)));
        }
        let children = match column {
            DataType::Struct(children) => children.as_ref(),
            _ => &[],
        };
        let is_child = |id: &NodeId| matching_child(children, self.schema.branch_name(*id)).is_some();
        let by_branch = reader.is_of_several().unwrap_or_else(|| split.others.iter().any(|(_, id)| is_child(id)));
        let plan = |id: &NodeId| match self.schema.kind(*id) {
            Kind::Null => Plan::Null,
            _ if by_branch => self.branch(*id, children, column, reader),
            _ => self.value(*id, column, reader),
        };
        Plan::Union(branches.iter().map(plan).collect())
    }

    /// The plan for a value that is a branch of a union: the one with its name, or with its name as an alias, or else the first
    /// one that it can be promoted to.
    fn branch(&mut self, id: NodeId, children: &[FieldRef], column: &DataType, reader: ReaderType<'_>) -> Plan {
        let name = self.schema.branch_name(id);
        let renamed = || matching_child(children, reader.renamed(name)?);
        let promoted = || {
            let wider = promotions(self.schema.kind(id));
            children.iter().position(|child| wider.iter().any(|wider| is_column_of(child, wider)))
        };
        match matching_child(children, name).or_else(renamed).or_else(promoted) {
            Some(child) => {
                let reader = reader.branch(children[child].name());
                Plan::Branch(child, Box::new(self.value(id, children[child].data_type(), reader)))
            }
            None => Plan::Misfit(format!("no field of {} is the branch", sql_name(column))),
        }
    }

    fn entries(
        &mut self,
        (id, item): (NodeId, NodeId),
        entries: &FieldRef,
        column: &DataType,
        reader: ReaderType<'_>,
    ) -> Plan {
        match (self.schema.map_entry(item), value_type(entries)) {
            (Some((key, value)), Some(data_type)) => Plan::Map(Box::new(Entries {
                key: self.value(key.node, &DataType::Utf8, ReaderType::none()),
                value: self.value(value.node, data_type, reader.entry_values()),
                empty: self.schema.node(item).is_empty,
            })),
            _ => self.misfit(id, column),
        }
    }

    fn scalar(&self, id: NodeId, column: &DataType, reader: ReaderType<'_>) -> Option<Plan> {
        let node = self.schema.node(id);
        // Where the writer does not say what its values mean, the reader does.
        if let Some(plan) = node.logical.is_none().then(|| annotated(&node.kind, reader.logical()?, column)).flatten() {
            return Some(plan);
        }
        Some(match (&node.kind, node.logical, column) {
            (Kind::Boolean, _, DataType::Boolean) => Plan::Boolean,
            (Kind::Int, _, DataType::Int32) | (Kind::Int, None | Some(Logical::Date), DataType::Date32) => Plan::Int,
            (Kind::Int, None | Some(Logical::TimeMillis), DataType::Time32(_)) => Plan::Time,
            (Kind::Int, _, DataType::Int64) => Plan::IntAsLong,
            (Kind::Int, _, DataType::Float64) => Plan::IntAsDouble,
            (Kind::Long, Some(Logical::TimeMicros), DataType::Time32(_)) => Plan::TimeMicros,
            (Kind::Long, _, DataType::Int64) => Plan::Long,
            (Kind::Long, _, DataType::Float64) => Plan::LongAsDouble,
            (Kind::Long, logical, DataType::Timestamp(..)) => timestamp(logical)?,
            (Kind::String, Some(Logical::ZonedTimestamp), DataType::Timestamp(..)) => Plan::ZonedTimestamp,
            (Kind::String, Some(Logical::ZonedTime), DataType::Time32(_)) => Plan::ZonedTime,
            (Kind::Float, _, DataType::Float64) => Plan::Float,
            (Kind::Double, _, DataType::Float64) => Plan::Double,
            (
                kind,
                Some(Logical::Decimal(_, digits)),
                DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
            ) => decimal(kind, digits, *precision, *scale),
            (Kind::String | Kind::Bytes, _, DataType::Binary) => Plan::Bytes,
            (Kind::Fixed(fixed), _, DataType::Binary) => Plan::Fixed(fixed.size),
            (Kind::Enum(symbols), _, DataType::Utf8) => Plan::Enum(reader.symbols(&symbols.symbols)),
            (kind, logical, DataType::Utf8) => text(kind, logical)?,
            _ => return None,
        })
    }
}

/// The plan for a value without a meaning of its own that goes into a column with one.
fn annotated(kind: &Kind, logical: Logical, column: &DataType) -> Option<Plan> {
    match (kind, logical, column) {
        (Kind::Int, Logical::Timestamp(Unit::Millis), DataType::Timestamp(..)) => Some(Plan::IntAsLong),
        (
            Kind::Bytes | Kind::String | Kind::Fixed(_),
            Logical::Decimal(_, digits),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
        ) => Some(decimal(kind, digits, *precision, *scale)),
        _ => None,
    }
}

/// The plan for a decimal with this number of digits after the point.
fn decimal(kind: &Kind, digits: u32, precision: u8, scale: i8) -> Plan {
    let size = if let Kind::Fixed(fixed) = kind { Some(fixed.size) } else { None };
    Plan::Decimal(Decimal { size, shift: i64::from(scale) - i64::from(digits), precision, scale })
}

fn timestamp(logical: Option<Logical>) -> Option<Plan> {
    match logical {
        None => Some(Plan::Long),
        Some(Logical::Timestamp(unit) | Logical::LocalTimestamp(unit)) => match unit.per_ms() {
            1 => Some(Plan::Long),
            per_ms => Some(Plan::Timestamp(per_ms)),
        },
        Some(_) => None,
    }
}

/// The plan for a value that becomes a text, as in Java.
fn text(kind: &Kind, logical: Option<Logical>) -> Option<Plan> {
    Some(match (kind, logical) {
        (Kind::String, _) | (Kind::Bytes, None) => Plan::String,
        (Kind::Boolean, _) => Plan::Text(Text::Boolean),
        (Kind::Int, _) => Plan::Text(Text::Int),
        (Kind::Long, _) => Plan::Text(Text::Long),
        (Kind::Float, _) => Plan::Text(Text::Float),
        (Kind::Double, _) => Plan::Text(Text::Double),
        (Kind::Fixed(_), Some(Logical::Uuid)) => Plan::Text(Text::Uuid),
        _ => return None,
    })
}

/// The types that a value may be promoted to, by Avro's specification.
fn promotions(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Int => &["long", "float", "double"],
        Kind::Long => &["float", "double"],
        Kind::Float => &["double"],
        Kind::String => &["bytes"],
        Kind::Bytes => &["string"],
        _ => &[],
    }
}

/// The child of a STRUCT that is a branch of a union.
pub(super) fn matching_child(children: &[FieldRef], branch: &str) -> Option<usize> {
    let exact = children.iter().position(|child| child.name() == branch);
    exact.or_else(|| children.iter().position(|child| is_column_of(child, branch)))
}

/// Whether a column has the name of a branch, or that name in upper case.
fn is_column_of(column: &FieldRef, branch: &str) -> bool {
    column.name() == branch || *column.name() == branch.to_uppercase()
}
