//! Avro schemas as a compact tree: every type is a node, and named types are referred to by the number of their node,
//! so that recursive schemas are as small as others. [`super::parse`] makes them.

use serde_json::Value;

/// Debezium's name for a point in time as a text.
pub(super) const ZONED_TIMESTAMP: &str = "io.debezium.time.ZonedTimestamp";
/// Debezium's name for a time of day as a text.
pub(super) const ZONED_TIME: &str = "io.debezium.time.ZonedTime";

/// A parsed Avro schema. Records may contain themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct AvroSchema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) struct NodeId(pub(super) u32);

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) logical: Option<Logical>,
    /// True if a value takes no bytes: null, a fixed of none, and records of those.
    pub(super) is_empty: bool,
}

/// A type of the encoding.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(Fixed),
    Enum(Enum),
    Record(Record),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
}

/// What values mean beyond their encoding. A logical type on a type that it does not belong to is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    /// Digits in all, and digits after the point.
    Decimal(u32, u32),
    /// Days since the epoch.
    Date,
    TimeMillis,
    TimeMicros,
    /// A point in time.
    Timestamp(Unit),
    /// A date and a time in no particular zone.
    LocalTimestamp(Unit),
    Uuid,
    /// A point in time as a text in ISO 8601 with an offset, as Debezium writes it.
    ZonedTimestamp,
    /// A time of day as a text in ISO 8601 with an offset, as Debezium writes it.
    ZonedTime,
}

/// The unit of timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// The names that a field or a type had in earlier versions.
pub(super) type Aliases = Vec<Box<str>>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fixed {
    pub(super) full_name: String,
    pub(super) aliases: Aliases,
    pub(super) size: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Enum {
    pub(super) full_name: String,
    pub(super) aliases: Aliases,
    pub(super) symbols: Vec<Box<str>>,
    /// What a reader takes a symbol for that it does not have.
    pub(super) default: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) full_name: String,
    pub(super) aliases: Aliases,
    pub(super) fields: Vec<Field>,
    /// True for the entry of a map that Connect wrote as an array of records.
    pub(super) is_map_entry: bool,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) aliases: Aliases,
    pub(super) node: NodeId,
    pub(super) default: Option<Value>,
}

impl Unit {
    /// How many of the unit are a millisecond.
    pub(super) fn per_ms(self) -> i64 {
        match self {
            Self::Millis => 1,
            Self::Micros => 1_000,
            Self::Nanos => 1_000_000,
        }
    }
}

impl Logical {
    /// The name of the logical type in a schema.
    fn name(self) -> &'static str {
        match self {
            Self::Decimal(..) => "decimal",
            Self::Date => "date",
            Self::TimeMillis => "time-millis",
            Self::TimeMicros => "time-micros",
            Self::Timestamp(Unit::Millis) => "timestamp-millis",
            Self::Timestamp(Unit::Micros) => "timestamp-micros",
            Self::Timestamp(Unit::Nanos) => "timestamp-nanos",
            Self::LocalTimestamp(Unit::Millis) => "local-timestamp-millis",
            Self::LocalTimestamp(Unit::Micros) => "local-timestamp-micros",
            Self::LocalTimestamp(Unit::Nanos) => "local-timestamp-nanos",
            Self::Uuid => "uuid",
            Self::ZonedTimestamp => ZONED_TIMESTAMP,
            Self::ZonedTime => ZONED_TIME,
        }
    }
}

impl AvroSchema {
    #[inline]
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    #[inline]
    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// The root node.
    pub(super) fn root(&self) -> &Node {
        self.node(self.root)
    }

    /// The record with this full name: the root, or a branch of it. The error lists those that there are.
    pub(super) fn named(&self, full_name: &str) -> Result<NodeId, String> {
        let roots = match self.kind(self.root) {
            Kind::Union(branches) => branches.clone(),
            _ => vec![self.root],
        };
        let is_record = |id: &NodeId| matches!(self.kind(*id), Kind::Record(record) if record.full_name == full_name);
        let found = roots.iter().copied().find(is_record);
        found.ok_or_else(|| format!("the schema is {}, not record {full_name}", self.name(self.root)))
    }

    /// Checks that there is a record with this full name.
    pub(in super::super) fn check_name(&self, full_name: &str) -> Result<(), String> {
        self.named(full_name).map(drop)
    }

    /// The name of a type in messages: a record, an enum and a fixed have their full names.
    pub(super) fn name(&self, id: NodeId) -> String {
        match &self.node(id).kind {
            Kind::Fixed(Fixed { full_name, .. }) => format!("fixed {full_name}"),
            Kind::Enum(Enum { full_name, .. }) => format!("enum {full_name}"),
            Kind::Record(Record { full_name, .. }) => format!("record {full_name}"),
            Kind::Union(branches) => {
                let names: Vec<_> = branches.iter().map(|branch| self.name(*branch)).collect();
                format!("union of {}", names.join(", "))
            }
            plain => plain.type_name().to_owned(),
        }
    }

    /// The name of a type in messages, with its logical type.
    pub(super) fn name_with_logical(&self, id: NodeId) -> String {
        match self.node(id).logical {
            Some(logical) => format!("{} ({})", self.name(id), logical.name()),
            None => self.name(id),
        }
    }

    /// The field that Connect makes of a branch of a union: the type's name, for named types without the namespace.
    pub(super) fn branch_name(&self, id: NodeId) -> &str {
        match &self.node(id).kind {
            Kind::Fixed(Fixed { full_name, .. })
            | Kind::Enum(Enum { full_name, .. })
            | Kind::Record(Record { full_name, .. }) => short_name(full_name),
            plain => plain.type_name(),
        }
    }

    /// Whether a type has or had this name, without the namespace: types of two versions are the same by these.
    pub(super) fn is_called(&self, id: NodeId, name: &str) -> bool {
        let aliases: &[_] = match &self.node(id).kind {
            Kind::Fixed(Fixed { aliases, .. })
            | Kind::Enum(Enum { aliases, .. })
            | Kind::Record(Record { aliases, .. }) => aliases,
            _ => &[],
        };
        self.branch_name(id) == name || aliases.iter().any(|alias| short_name(alias) == name)
    }

    /// The entry of a map that Connect wrote as an array of records: its key and its value.
    pub(super) fn map_entry(&self, item: NodeId) -> Option<(&Field, &Field)> {
        match self.kind(item) {
            Kind::Record(Record { fields, is_map_entry: true, .. }) => match fields.as_slice() {
                [key, value] if &*key.name == "key" && &*value.name == "value" => Some((key, value)),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Kind {
    /// The type's name in a schema.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Fixed(_) => "fixed",
            Self::Enum(_) => "enum",
            Self::Record(_) => "record",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
        }
    }
}

/// A union: the number of its null branch, and the other branches with their numbers.
pub(super) struct Branches {
    pub(super) null: Option<usize>,
    pub(super) others: Vec<(usize, NodeId)>,
}

impl Branches {
    pub(super) fn of(schema: &AvroSchema, branches: &[NodeId]) -> Self {
        let is_null = |id: &NodeId| matches!(schema.kind(*id), Kind::Null);
        let others = branches.iter().copied().enumerate().filter(|(_, id)| !is_null(id)).collect();
        Self { null: branches.iter().position(is_null), others }
    }

    /// The only other branch of a union of two types with null, which is the other type when it may be null.
    pub(super) fn optional(&self) -> Option<(usize, NodeId)> {
        match (self.null, self.others.as_slice()) {
            (Some(_), [only]) => Some(*only),
            _ => None,
        }
    }
}

/// A full name without its namespace.
pub(super) fn short_name(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}
