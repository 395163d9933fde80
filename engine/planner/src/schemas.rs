//! Schemas in declarations: which ones a declaration asks a registry for, and the columns that it gets from them.
//!
//! Planning waits for nobody. Whoever runs a statement asks [`wanted`] first, fetches, and plans with what was [`Found`].
//! Semantics: ksqlDB's schema inference.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use headwater_formats::format::{Envelope, FormatKind, Inferred, Names, infer};
use headwater_formats::record::Side;
use headwater_formats::schema::{Schema, SchemaId, SchemaKind, WriterSchema};
use headwater_language::diagnostic::{Diagnostic, FORMAT, MISSING_KEY, PROPERTY_CONFLICT, Span};
use headwater_language::sql::ast;
use headwater_language::types::SqlType;

use super::define::FormatDefaults;
use super::properties::{self, SchemaProperties, SourceProperties};

/// The name of the only column of a key whose schema is not a record.
const ROWKEY: &str = "ROWKEY";
/// The name of the only column of a value whose schema is not a record.
const ROWVAL: &str = "ROWVAL";
/// The advice for a schema that is given in the statement.
const ONE_FILE: &str = "A schema in a statement is one file, which can import those that come with Protobuf. Put all messages into it, or \
                        register the files.";
/// How many parts of a schema that have no column are named.
const DROPPED_SHOWN_MAX: usize = 10;

/// A schema that a declaration asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The side that it is for.
    pub side: Side,
    /// Which one it is.
    pub which: Which,
    /// The format, as it was given.
    pub format: String,
    /// The place in the statement.
    pub span: Span,
}

/// Which schema is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Id(SchemaId),
    /// The latest one of a subject.
    Latest(String),
}

/// The schemas of a declaration that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The one of the key.
    pub key: Option<FoundSchema>,
    /// The one of the value.
    pub value: Option<FoundSchema>,
}

/// A schema and its id.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSchema {
    /// Its number in the registry.
    pub id: SchemaId,
    /// The schema.
    pub schema: Arc<Schema>,
}

impl Found {
    /// Takes what was found for a side.
    pub fn add(&mut self, side: Side, found: FoundSchema) {
        match side {
            Side::Key => self.key = Some(found),
            Side::Value => self.value = Some(found),
        }
    }
}

/// The subject that the schema of one side of a topic is registered under.
pub fn subject(topic: &str, side: Side) -> String {
    format!("{topic}-{side}")
}

/// The schemas that a declaration asks for: by an id, or because it leaves the columns of a side out. None if its properties have
/// errors, which planning reports.
pub fn wanted(create: &ast::CreateSource, defaults: &FormatDefaults) -> Vec<Wanted> {
    let mut errors = Vec::new();
    let properties = properties::read(&create.properties, &mut errors);
    if !errors.is_empty() {
        return Vec::new();
    }
    let sides = Sides::of(create, &properties, defaults);
    let wanted = sides.iter().filter_map(|side| {
        side.kind()?;
        let topic = properties.topic.as_ref()?;
        let format = side.format.as_ref()?;
        let (which, span) = match (&side.schema.id, &side.schema.text) {
            // Both together are an error.
            (_, Some(_)) => return None,
            (Some(id), None) => (Which::Id(id.value), id.span),
            (None, None) => (Which::Latest(subject(&topic.value, side.side)), format.span),
        };
        let is_wanted = side.schema.id.is_some() || !side.has_columns;
        is_wanted.then(|| Wanted { side: side.side, which, format: format.value.clone(), span })
    });
    wanted.collect()
}

/// The schemas that the sink of a query asks for by their ids.
pub fn wanted_by_sink(properties: &[ast::Property]) -> Vec<Wanted> {
    let read = properties::read(properties, &mut Vec::new());
    let sides =
        [(Side::Key, &read.key_schema, &read.key_format), (Side::Value, &read.value_schema, &read.value_format)];
    let wanted = sides.into_iter().filter_map(|(side, schema, format)| {
        let (id, format) = (schema.id.as_ref()?, format.as_ref().map_or(String::new(), |format| format.value.clone()));
        Some(Wanted { side, which: Which::Id(id.value), format, span: id.span })
    });
    wanted.collect()
}

/// One side of a declaration, as far as schemas matter.
struct Sides<'a> {
    side: Side,
    format: Option<ast::Spanned<String>>,
    schema: &'a SchemaProperties,
    has_columns: bool,
    /// Whether the declaration says that a single value is not a record.
    is_unwrapped: bool,
}

impl<'a> Sides<'a> {
    fn of(create: &ast::CreateSource, properties: &'a SourceProperties, defaults: &FormatDefaults) -> [Self; 2] {
        let here = |name: &String| ast::Spanned::new(name.clone(), create.name.span);
        let key = properties.key_format.clone().unwrap_or_else(|| here(&defaults.key));
        let value = properties.value_format.clone().or_else(|| defaults.value.as_ref().map(here));
        let is_key = |c: &ast::ColumnDef| matches!(c.role.value, ast::ColumnRole::Key | ast::ColumnRole::PrimaryKey);
        let is_value = |c: &ast::ColumnDef| c.role.value == ast::ColumnRole::Value;
        [
            Self {
                side: Side::Key,
                format: Some(key),
                schema: &properties.key_schema,
                is_unwrapped: false,
                has_columns: create.columns.iter().any(is_key),
            },
            Self {
                side: Side::Value,
                format: value,
                schema: &properties.value_schema,
                is_unwrapped: properties.wrap_single_value.as_ref().is_some_and(|wrap| !wrap.value),
                has_columns: create.columns.iter().any(is_value),
            },
        ]
    }

    /// The errors for what is said about a schema where the format, which may be the default, has none.
    fn without_schemas(&self, properties: &SourceProperties) -> Vec<Diagnostic> {
        let (given, which) = match self.side {
            Side::Key => (&properties.key_format, "KEY_FORMAT"),
            Side::Value => (&properties.value_format, "VALUE_FORMAT"),
        };
        let format = self.format.as_ref().map(|format| format.value.as_str());
        let has_none = |format: &&str| format.parse().is_ok_and(|kind: FormatKind| kind.schema_kind().is_none());
        let Some(format) = format.filter(has_none) else { return Vec::new() };
        let here = properties.registered.iter().filter(|(side, _)| *side == self.side);
        let error = |property: &ast::Spanned<String>| {
            let message = format!("format {format} does not take \"{}\"", property.value);
            let detail = "It is for formats with schemas: AVRO, PROTOBUF and JSON_SR.";
            let error = Diagnostic::new(PROPERTY_CONFLICT, message).at(property.span).detail(detail);
            if given.is_some() { error } else { error.hint(format!("{format} is the default: give {which}.")) }
        };
        here.map(|(_, property)| error(property)).collect()
    }

    /// The language of its schemas, if it has any.
    fn kind(&self) -> Option<SchemaKind> {
        self.format.as_ref()?.value.parse::<FormatKind>().ok()?.schema_kind()
    }
}

/// The schemas of a side.
#[derive(Default)]
pub(super) struct SideSchemas {
    /// What it is written with, if that is given.
    pub writer: Option<Arc<WriterSchema>>,
    /// What its columns were taken from, if it is not written with that.
    pub reader: Option<Arc<WriterSchema>>,
}

/// A declaration with the columns that its schemas give, and what its sides are written with.
pub(super) struct Completed {
    /// The declaration.
    pub create: ast::CreateSource,
    /// The schemas of the key.
    pub key: SideSchemas,
    /// The schemas of the value.
    pub value: SideSchemas,
    /// Whether the value is a record, if the schema says so.
    pub wraps_value: Option<bool>,
    /// What is around the rows.
    pub envelope: Envelope,
    /// What users should know: the parts of the schemas that have no column.
    pub notes: Vec<String>,
}

/// Completes a declaration by the schemas that were found for it, or that it contains.
pub(super) fn complete(
    create: &ast::CreateSource,
    properties: &SourceProperties,
    defaults: &FormatDefaults,
    found: &Found,
    errors: &mut Vec<Diagnostic>,
) -> Completed {
    let envelope = if properties.envelope.is_some() { Envelope::Debezium } else { Envelope::Bare };
    let mut completed = Completed {
        create: create.clone(),
        key: SideSchemas::default(),
        value: SideSchemas::default(),
        wraps_value: None,
        envelope,
        notes: Vec::new(),
    };
    for side in Sides::of(create, properties, defaults) {
        let found = if side.side == Side::Key { &found.key } else { &found.value };
        errors.extend(side.without_schemas(properties));
        let Some((kind, given)) = side.kind().zip(Given::of(&side, found.as_ref())) else { continue };
        if given.schema.kind != kind {
            errors.push(given.of_another_kind(&side));
            continue;
        }
        match given.infer(&side, envelope) {
            Ok(inferred) if side.has_columns => check(&side, &given, &inferred, create, errors),
            Ok(inferred) => completed.add(&side, &given, inferred, errors),
            Err(error) => errors.push(error),
        }
        let schemas = given.schemas(&side);
        match side.side {
            Side::Key => completed.key = schemas,
            Side::Value => completed.value = schemas,
        }
    }
    completed
}

/// The schema of a side: found by its id or its subject, or given as text.
struct Given {
    id: Option<SchemaId>,
    schema: Arc<Schema>,
    /// Whether payloads are written with it. A schema that is only the latest of its subject gives columns, and no more.
    is_own: bool,
    span: Span,
}

impl Given {
    fn of(side: &Sides<'_>, found: Option<&FoundSchema>) -> Option<Self> {
        let whole = side.format.as_ref().map(|format| format.span).unwrap_or_default();
        if let Some(text) = &side.schema.text {
            let schema = Schema { kind: side.kind()?, text: text.value.as_str().into(), references: Vec::new() };
            return Some(Self { id: None, schema: Arc::new(schema), is_own: true, span: text.span });
        }
        let found = found?;
        let by_id = side.schema.id.as_ref();
        let span = by_id.map_or(whole, |id| id.span);
        Some(Self { id: Some(found.id), schema: found.schema.clone(), is_own: by_id.is_some(), span })
    }

    /// The schema as the one that payloads are written with, or else as the one that the columns are taken from. Only in Avro
    /// does that matter to payloads of other versions.
    fn schemas(&self, side: &Sides<'_>) -> SideSchemas {
        let full_name = side.schema.full_name.as_ref().map(|name| name.value.clone());
        let schema = Some(Arc::new(WriterSchema { id: self.id, schema: self.schema.clone(), full_name }));
        match (self.is_own, self.schema.kind) {
            (true, _) => SideSchemas { writer: schema, reader: None },
            (false, SchemaKind::Avro) if !side.has_columns => SideSchemas { writer: None, reader: schema },
            (false, _) => SideSchemas::default(),
        }
    }

    fn of_another_kind(&self, side: &Sides<'_>) -> Diagnostic {
        let format = side.format.as_ref().map_or("", |format| &format.value);
        let message = format!("the schema of the {} is {}, but its format is {format}", side.side, self.schema.kind);
        Diagnostic::new(FORMAT, message).at(self.span)
    }

    /// Whether it may refer to other files.
    fn imports(&self) -> bool {
        self.schema.kind == SchemaKind::Protobuf && self.schema.text.contains("import")
    }

    fn infer(&self, side: &Sides<'_>, envelope: Envelope) -> Result<Inferred, Diagnostic> {
        let names = if self.is_own { Names::AsWritten } else { Names::Upper };
        let bare_name = if side.side == Side::Key { ROWKEY } else { ROWVAL };
        let full_name = side.schema.full_name.as_ref().map(|name| name.value.as_str());
        let refuse = |why: String| {
            let message = format!("the schema of the {} cannot be used: {why}", side.side);
            let error = Diagnostic::new(FORMAT, message).at(self.span);
            if self.id.is_none() && self.imports() { error.hint(ONE_FILE) } else { error }
        };
        let inferred = infer(&self.schema, full_name, names, bare_name).map_err(refuse)?;
        match (envelope, side.side) {
            (Envelope::Bare, _) => {}
            (_, Side::Key) => return Ok(inferred),
            (_, Side::Value) => return rows_of_events(inferred).map_err(refuse),
        }
        // A key is one value, even if that is a record, and so is a value if the declaration says so. Protobuf has nothing but records.
        let is_one = side.side == Side::Key || side.is_unwrapped;
        let is_one = is_one && inferred.is_record && self.schema.kind != SchemaKind::Protobuf;
        if !is_one {
            return Ok(inferred);
        }
        let whole = DataType::Struct(inferred.fields.iter().cloned().collect());
        Ok(Inferred { fields: vec![Arc::new(Field::new(bare_name, whole, true))], is_record: false, ..inferred })
    }
}

/// The columns of the rows in change events with these fields.
fn rows_of_events(events: Inferred) -> Result<Inferred, String> {
    let after = events.fields.iter().find(|field| field.name().eq_ignore_ascii_case("after"));
    match after.map(|field| field.data_type()) {
        Some(DataType::Struct(fields)) => Ok(Inferred { fields: fields.iter().cloned().collect(), ..events }),
        _ => Err("it is not that of Debezium's change events: it has no record \"after\"".to_owned()),
    }
}

impl Completed {
    /// What is around the keys or values in this format. Keys of formats without fields are bare, as a transformation of the
    /// connector makes them.
    pub(super) fn envelope_of(&self, format: &ast::Spanned<String>) -> Envelope {
        let has_fields = format.value.parse().is_ok_and(FormatKind::wraps_or_not);
        if has_fields { self.envelope } else { Envelope::Bare }
    }

    /// Adds the columns of a side.
    fn add(&mut self, side: &Sides<'_>, given: &Given, inferred: Inferred, errors: &mut Vec<Diagnostic>) {
        let role = match (side.side, self.create.kind) {
            (Side::Value, _) => ast::ColumnRole::Value,
            (Side::Key, ast::SourceKind::Stream) => ast::ColumnRole::Key,
            (Side::Key, ast::SourceKind::Table) => ast::ColumnRole::PrimaryKey,
        };
        let dropped = dropped(&inferred);
        if inferred.fields.is_empty() {
            let message = format!("the schema of the {} has no column that could be read", side.side);
            let error = Diagnostic::new(FORMAT, message).at(given.span);
            errors.push(if dropped.is_empty() { error } else { error.detail(dropped) });
            return;
        }
        if !dropped.is_empty() {
            self.notes.push(format!("parts of the schema of the {} have no column: {dropped}", side.side));
        }
        let spanned = |field: &FieldRef| {
            let ty = SqlType::from_arrow(field.data_type())?;
            Some(ast::ColumnDef {
                name: ast::Spanned::new(field.name().clone(), given.span),
                ty: ast::Spanned::new(ty, given.span),
                role: ast::Spanned::new(role.clone(), given.span),
            })
        };
        // A change event has the key in its row, too.
        let is_key = |field: &FieldRef| {
            let mut keys = self.create.columns.iter().filter(|column| column.role.value != ast::ColumnRole::Value);
            keys.any(|column| column.name.value == *field.name())
        };
        let is_double =
            |field: &&FieldRef| side.side == Side::Value && self.envelope != Envelope::Bare && is_key(field);
        let columns: Vec<_> = inferred.fields.iter().filter(|field| !is_double(field)).filter_map(spanned).collect();
        match side.side {
            Side::Key => drop(self.create.columns.splice(0..0, columns)),
            Side::Value => {
                self.create.columns.extend(columns);
                self.wraps_value = Some(inferred.is_record);
            }
        }
    }
}

/// What has no column, and why.
fn dropped(inferred: &Inferred) -> String {
    let shown = inferred.dropped.iter().take(DROPPED_SHOWN_MAX);
    let mut shown: Vec<_> = shown.map(|dropped| format!("{}: {}", dropped.path, dropped.reason)).collect();
    let more = inferred.dropped.len().saturating_sub(DROPPED_SHOWN_MAX);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("; ")
}

/// Checks that declared columns are those of a schema that they are written with.
fn check(
    side: &Sides<'_>,
    given: &Given,
    inferred: &Inferred,
    create: &ast::CreateSource,
    errors: &mut Vec<Diagnostic>,
) {
    let is_of_side = |column: &&ast::ColumnDef| match side.side {
        Side::Key => matches!(column.role.value, ast::ColumnRole::Key | ast::ColumnRole::PrimaryKey),
        Side::Value => column.role.value == ast::ColumnRole::Value,
    };
    // A single column without a record around it has no name in the schema.
    let is_bare = !inferred.is_record;
    for column in create.columns.iter().filter(is_of_side) {
        let same = |field: &&FieldRef| is_bare || *field.name() == column.name.value;
        let Some(field) = inferred.fields.iter().find(same) else {
            let message = format!("the schema of the {} has no field \"{}\"", side.side, column.name.value);
            let names: Vec<_> = inferred.fields.iter().map(|field| field.name().as_str()).collect();
            let error = Diagnostic::new(PROPERTY_CONFLICT, message).at(given.span);
            let error = error.detail(format!("Its fields are {}.", names.join(", ")));
            let alike = names.iter().find(|name| name.eq_ignore_ascii_case(&column.name.value));
            errors.push(match alike {
                Some(name) => error.hint(format!("Declare it as `{name}`.")),
                None => error,
            });
            continue;
        };
        let found = SqlType::from_arrow(field.data_type());
        if found.as_ref() != Some(&column.ty.value) {
            let found = found.map_or_else(|| "no SQL type".to_owned(), |ty| ty.to_string());
            let message = format!(
                "column \"{}\" is {}, but {found} in the schema of the {}",
                column.name.value, column.ty.value, side.side
            );
            errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(given.span));
        }
    }
}

/// The error for a side that needs a schema which was not found, in the words of who looked for it.
pub fn not_found(wanted: &Wanted, why: &str) -> Diagnostic {
    let (what, hint) = match &wanted.which {
        Which::Id(id) => (format!("schema {id} of the {} was not found", wanted.side), "Check the id."),
        Which::Latest(subject) => (
            format!("the columns of the {} cannot be inferred: subject \"{subject}\" was not found", wanted.side),
            "Declare the columns, or register a schema under this subject.",
        ),
    };
    Diagnostic::new(MISSING_KEY, what).at(wanted.span).detail(format!("{}.", why.trim_end_matches('.'))).hint(hint)
}
