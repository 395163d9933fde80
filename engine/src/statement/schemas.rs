//! Registered schemas in statements: those that a declaration asks for are fetched before it is planned, and those of what it
//! creates are registered before it is published.

use std::sync::Arc;

use headwater_connectors::schemas::{NewSchema, Registered, RegistryError, Schemas};
use headwater_formats::format::{FormatKind, Names, default_full_name, infer, schema_of};
use headwater_formats::record::Side;
use headwater_formats::schema::{Schema, SchemaId, SchemaKind, WriterSchema};
use headwater_language::definition::{ColumnRole, SideDef, SourceDef};
use headwater_language::diagnostic::{Diagnostic, FORMAT, Span, TRANSPORT, format_refusal};
use headwater_planner::schemas::{Found, FoundSchema, Wanted, Which, not_found, subject};

use super::Context;
use crate::answer::{SchemaDescription, SchemaPlace};
use crate::runtime::blocking;

/// Which schemas are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// Every one, since it will be written with: a sink's.
    All,
    /// The same for INSERT, which does not replace the schema of another writer by one with other names.
    Inserted,
    /// Those whose subject does not exist: whoever writes to the topic has registered theirs otherwise.
    Missing,
}

/// Fetches the schemas that a statement asks for.
pub(super) async fn fetch(wanted: Vec<Wanted>, context: &Context<'_>) -> Result<Found, Vec<Diagnostic>> {
    if wanted.is_empty() {
        return Ok(Found::default());
    }
    let schemas = context.process.transport().schemas();
    blocking(move || {
        let (mut found, mut errors) = (Found::default(), Vec::new());
        for wanted in wanted {
            match fetch_one(schemas.as_ref(), &wanted) {
                Ok(schema) => found.add(wanted.side, schema),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(errors) }
    })
    .await?
}

fn fetch_one(schemas: &dyn Schemas, wanted: &Wanted) -> Result<FoundSchema, Diagnostic> {
    let found = match &wanted.which {
        Which::Id(id) => schemas.schema(*id).map(|schema| FoundSchema { id: *id, schema }),
        Which::Latest(subject) => {
            schemas.latest(subject).map(|found| FoundSchema { id: found.id, schema: found.schema })
        }
    };
    found.map_err(|error| match &error {
        RegistryError::NotFound { message, .. } => not_found(wanted, message),
        _ => failed(&error, &named(&wanted.format), wanted.span),
    })
}

/// The definition with the schemas that its records are written with, which are registered for it.
pub(super) async fn register(
    source: SourceDef,
    which: Register,
    span: Span,
    context: &Context<'_>,
) -> Result<SourceDef, Vec<Diagnostic>> {
    if !registers(&source, which) {
        return Ok(source);
    }
    let schemas = context.process.transport().schemas();
    blocking(move || register_sides(source, which, span, schemas.as_ref())).await?
}

/// Fails if records of these columns cannot be written with the schemas that are given for them.
pub(super) fn check_written(source: &SourceDef, span: Span) -> Result<(), Vec<Diagnostic>> {
    let given = sides(source).into_iter().filter(|(_, def, _)| def.schema.is_some());
    let refusal = |(_, def, role): (Side, &SideDef, ColumnRole)| {
        let encoder = source.format_of(def, &role).and_then(|format| format.encoder(&source.layout(def, &role)));
        encoder.err().map(|error| format_refusal(&error).at(span))
    };
    let errors: Vec<_> = given.filter_map(refusal).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Whether [`register`] has anything to do.
pub(super) fn registers(source: &SourceDef, which: Register) -> bool {
    !unregistered(source).is_empty() || (which != Register::Missing && !given(source).is_empty())
}

/// Fails if the schema that an INSERT registers would replace that of another writer by one with other names.
fn check_names(source: &SourceDef, side: Side, latest: &Registered, span: Span) -> Result<(), Diagnostic> {
    let (_, role) = side_of(source, side);
    let Ok(theirs) = infer(&latest.schema, None, Names::AsWritten, "") else { return Ok(()) };
    let names: Vec<&str> = theirs.fields.iter().map(|field| field.name().as_str()).collect();
    let alike = |column: &str| names.iter().find(|name| **name != column && name.eq_ignore_ascii_case(column));
    let is_missing = |column: &&str| theirs.is_record && !names.contains(column);
    let columns = source.columns_of(&role).map(|column| column.name.as_str());
    let Some((column, name)) = columns.filter(is_missing).find_map(|column| Some((column, alike(column)?))) else {
        return Ok(());
    };
    let subject = subject(&source.topic, side);
    let message = format!("the schema of subject \"{subject}\" has a field \"{name}\", and not \"{column}\"");
    let detail =
        "Writing would register a schema of the columns in its place, and readers of this field would get nothing.";
    let property = format!("{}_SCHEMA_ID = {}", side.to_string().to_uppercase(), latest.id);
    let hint =
        format!("To write with that schema, declare its columns by their names, such as `{name}`, with {property}.");
    Err(Diagnostic::new(FORMAT, message).at(span).detail(detail).hint(hint))
}

/// Deletes the subjects of a topic that was deleted. Returns a warning for each that could not be.
pub(super) async fn delete(source: &SourceDef, context: &Context<'_>) -> Result<Vec<String>, Vec<Diagnostic>> {
    let with_subject = sides(source).into_iter().filter(|(_, def, _)| def.has_subject());
    let subjects: Vec<_> = with_subject.map(|(side, ..)| subject(&source.topic, side)).collect();
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let schemas = context.process.transport().schemas();
    blocking(move || {
        let delete = |name: String| {
            let error = schemas.delete(&name).err()?;
            Some(format!("subject \"{name}\" was not deleted: {error}"))
        };
        subjects.into_iter().filter_map(delete).collect()
    })
    .await
}

/// The schemas of a stream or table: those that are registered, as the registry has them now. Blocks.
pub(super) fn described(source: &SourceDef, schemas: &dyn Schemas) -> Vec<SchemaDescription> {
    let have_schemas = sides(source).into_iter().filter(|(_, def, _)| FormatKind::is_registered(&def.format));
    let description = |(side, def, _): (Side, &SideDef, ColumnRole)| {
        let place = match &def.schema {
            Some(declared) if declared.id.is_none() => SchemaPlace::Declared(declared.schema.text.clone()),
            schema => {
                let subject = subject(&source.topic, side);
                let latest = schemas.latest(&subject).map(|found| (found.id, found.version));
                let latest = latest.map_err(|error| error.to_string());
                let id = |schema: &Option<Arc<WriterSchema>>| schema.as_ref().and_then(|schema| schema.id);
                SchemaPlace::Registered { subject, latest, written_with: id(schema), read_by: id(&def.reader) }
            }
        };
        SchemaDescription { side, place }
    };
    have_schemas.map(description).collect()
}

/// The sides that are written with a schema that was given by its id.
fn given(source: &SourceDef) -> Vec<(Side, SchemaId, Arc<Schema>)> {
    let given = sides(source).into_iter().filter_map(|(side, def, _)| {
        let writer = def.schema.as_ref()?;
        Some((side, writer.id?, writer.schema.clone()))
    });
    given.collect()
}

/// The sides whose format has registered schemas and that have columns, but no schema yet.
fn unregistered(source: &SourceDef) -> Vec<(Side, SchemaKind)> {
    let kind = |(side, def, role): (Side, &SideDef, ColumnRole)| {
        let kind = source.format_of(def, &role).ok().and_then(FormatKind::schema_kind)?;
        (def.schema.is_none() && source.columns_of(&role).next().is_some()).then_some((side, kind))
    };
    sides(source).into_iter().filter_map(kind).collect()
}

fn register_sides(
    mut source: SourceDef,
    which: Register,
    span: Span,
    schemas: &dyn Schemas,
) -> Result<SourceDef, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let theirs = if which == Register::Missing { Vec::new() } else { given(&source) };
    for (side, id, schema) in theirs {
        match register_given(&source, (side, id, schema), span, schemas) {
            // The registry would say nothing else of the next side.
            Err(error) if error.unreachable => return Err(vec![error]),
            registered => errors.extend(registered.err()),
        }
    }
    for (side, kind) in unregistered(&source) {
        match register_side(&source, (side, kind), which, span, schemas) {
            Ok(schema) => match side {
                Side::Key => source.key.schema = schema,
                Side::Value => source.value.schema = schema,
            },
            Err(error) if error.unreachable => return Err(vec![error]),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(source) } else { Err(errors) }
}

/// Registers a schema that was given by its id under the subject of the topic, where readers look for it.
fn register_given(
    source: &SourceDef,
    (side, id, schema): (Side, SchemaId, Arc<Schema>),
    span: Span,
    schemas: &dyn Schemas,
) -> Result<(), Diagnostic> {
    let (name, format) = (subject(&source.topic, side), named(&side_of(source, side).0.format));
    if schemas.has(&name, id).map_err(|error| failed(&error, &format, span))? {
        return Ok(());
    }
    let again = schemas.register_again(&name, id);
    again.map(drop).map_err(|error| refused(error, &name, &schema, (side, &format), span))
}

/// Both sides, with the role of their columns.
fn sides(source: &SourceDef) -> [(Side, &SideDef, ColumnRole); 2] {
    [Side::Key, Side::Value].map(|side| {
        let (def, role) = side_of(source, side);
        (side, def, role)
    })
}

/// A side, with the role of its columns.
pub(super) fn side_of(source: &SourceDef, side: Side) -> (&SideDef, ColumnRole) {
    match side {
        Side::Key => (&source.key, ColumnRole::Key),
        Side::Value => (&source.value, ColumnRole::Value),
    }
}

/// The definition as if the schemas that it lacks were registered, to try what would be written with them.
pub(super) fn as_registered(source: &SourceDef, span: Span) -> Result<SourceDef, Vec<Diagnostic>> {
    let mut tried = source.clone();
    for (side, kind) in unregistered(source) {
        let schema = generated(source, (side, kind), span).map_err(|error| vec![error])?;
        let writer = Some(Arc::new(WriterSchema { id: Some(0), schema: Arc::new(schema), full_name: None }));
        match side {
            Side::Key => tried.key.schema = writer,
            Side::Value => tried.value.schema = writer,
        }
    }
    Ok(tried)
}

/// The schema that is registered for the columns of a side.
fn generated(source: &SourceDef, (side, kind): (Side, SchemaKind), span: Span) -> Result<Schema, Diagnostic> {
    let (def, role) = side_of(source, side);
    let full_name = def.full_name.clone().unwrap_or_else(|| default_full_name(kind, side, &source.name));
    schema_of(kind, &source.layout(def, &role), &full_name).map_err(|error| format_refusal(&error).at(span))
}

/// Registers the schema of a side. `None` if the subject exists and only missing ones are registered.
fn register_side(
    source: &SourceDef,
    (side, kind): (Side, SchemaKind),
    which: Register,
    span: Span,
    schemas: &dyn Schemas,
) -> Result<Option<Arc<WriterSchema>>, Diagnostic> {
    let (name, format) = (subject(&source.topic, side), named(&side_of(source, side).0.format));
    if which != Register::All {
        match schemas.latest(&name) {
            Ok(_) if which == Register::Missing => return Ok(None),
            Ok(latest) => check_names(source, side, &latest, span)?,
            Err(RegistryError::NotFound { .. }) => {}
            Err(error) => return Err(failed(&error, &format, span)),
        }
    }
    let schema = generated(source, (side, kind), span)?;
    let new = NewSchema::new(kind, schema.text.as_ref());
    let id = schemas.register(&name, &new);
    let id = id.map_err(|error| refused(error, &name, &schema, (side, &format), span))?;
    Ok(Some(Arc::new(WriterSchema { id: Some(id), schema: Arc::new(schema), full_name: None })))
}

fn refused(error: RegistryError, subject: &str, schema: &Schema, what: (Side, &str), span: Span) -> Diagnostic {
    match error {
        RegistryError::Incompatible { messages } => incompatible(subject, schema, what.0, &messages, span),
        error => failed(&error, what.1, span),
    }
}

fn incompatible(subject: &str, schema: &Schema, side: Side, messages: &[String], span: Span) -> Diagnostic {
    let message = format!("the schema of the {side} is incompatible with what subject \"{subject}\" has");
    let differences =
        if messages.is_empty() { "The registry does not say why.".to_owned() } else { messages.join("\n") };
    Diagnostic::new(FORMAT, message).at(span).detail(format!("{differences}\nThe schema is {}", schema.text)).hint(
        "Write to another topic, write with a schema of the subject (VALUE_SCHEMA_ID), or change the columns or the \
             compatibility level of the subject.",
    )
}

/// A format in messages, which may not be named where a schema is given.
fn named(format: &str) -> String {
    if format.is_empty() { "a schema with an id".to_owned() } else { format!("format {format}") }
}

/// Why a registry cannot be asked, with the setting to look at, for a remark.
pub(super) fn with_setting(error: &RegistryError) -> String {
    let setting = error.setting().map(|setting| format!(" (setting \"{setting}\")"));
    format!("{error}{}", setting.unwrap_or_default())
}

/// The error of a registry that cannot be asked, or that refuses; `what` needs it.
pub(super) fn failed(error: &RegistryError, what: &str, span: Span) -> Diagnostic {
    match error {
        RegistryError::NotGiven => {
            Diagnostic::new(TRANSPORT, format!("{what} needs a schema registry, and none is configured"))
                .at(span)
                .hint("Start with --schema-registry http://HOST:PORT, or set \"schema.registry.url\".")
        }
        RegistryError::Invalid { .. } => {
            Diagnostic::new(FORMAT, format!("the schema registry refuses the schema: {error}")).at(span)
        }
        _ => {
            let failed =
                Diagnostic { unreachable: error.is_retryable(), ..Diagnostic::new(TRANSPORT, error.to_string()) };
            let failed = failed.at(span);
            match error.setting() {
                Some(setting) => failed.hint(format!("Check the setting \"{setting}\".")),
                None => failed,
            }
        }
    }
}
