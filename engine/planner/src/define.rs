//! CREATE STREAM and CREATE TABLE over a topic: from what was said to a source definition.

use std::collections::BTreeMap;

use headwater_formats::decode::{
    ColumnOrigin, ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART, header_column_type,
};
use headwater_formats::format::FormatKind;
use headwater_language::catalog::{Catalog, owner_of};
use headwater_language::config::Settings;
use headwater_language::definition::{ColumnDef, ColumnRole, EventTimeDef, SourceDef, SourceKind, WindowDef};
use headwater_language::diagnostic::{
    COLUMN_ROLE, DUPLICATE_COLUMN, Diagnostic, EXISTS, MISSING_KEY, MISSING_PROPERTY, NOT_SUPPORTED, OWNED_TOPIC,
    PROPERTY_CONFLICT, READ_ONLY, RESERVED_NAME, Span, TIMESTAMP_COLUMN, UNKNOWN_COLUMN,
};
use headwater_language::sql::ast;
use headwater_language::types::SqlType;

use super::properties::{self, SourceProperties};
use super::sides::sides;
use super::types::resolve;

/// Gives a record's headers in INSERT.
pub const ROWHEADERS: &str = "ROWHEADERS";
/// Says in INSERT that a record has no value.
pub const ROWTOMBSTONE: &str = "ROWTOMBSTONE";

/// Names that sources have by themselves and no column may take.
pub const RESERVED: [&str; 7] = [ROWTIME, ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND, ROWHEADERS, ROWTOMBSTONE];

/// Defaults that settings give to declarations.
#[derive(Clone, Debug)]
pub struct FormatDefaults {
    /// Format of keys, `KAFKA` unless set.
    pub key: String,
    /// Format of values, when one is set.
    pub value: Option<String>,
    /// Whether single values are wrapped, when that is set.
    pub wrap_single_values: Option<bool>,
}

impl From<&Settings> for FormatDefaults {
    fn from(settings: &Settings) -> Self {
        let set = |name: &str| Some(settings.get(name).to_owned()).filter(|value| !value.is_empty());
        Self {
            key: settings.get("default.format.key").to_uppercase(),
            value: set("default.format.value").map(|value| value.to_uppercase()),
            wrap_single_values: set("wrap.single.values").map(|value| value == "true"),
        }
    }
}

/// A definition and the topic it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The source.
    pub source: SourceDef,
    /// The topic as it is to be, when PARTITIONS is given.
    pub topic: Option<WantedTopic>,
    /// RETENTION_MS, when it is given.
    pub retention_ms: Option<i64>,
}

/// A topic that is made unless it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    /// Number of partitions, where it was said.
    pub partitions: i32,
    /// Number of replicas, when given.
    pub replicas: Option<i32>,
    /// Settings by Kafka's names.
    pub settings: BTreeMap<String, String>,
    /// Where PARTITIONS was said.
    pub span: Span,
}

/// Plans a declaration. Gives every mistake in it at once.
pub fn define(
    create: &ast::CreateSource,
    text: &str,
    catalog: &Catalog,
    defaults: &FormatDefaults,
) -> Result<Definition, Vec<Diagnostic>> {
    define_made(create, text, catalog, defaults, &[])
}

/// Plans the declaration of what a query makes. Key columns of the names in `natural` have them from PARTITION BY and
/// not from the user: they may be reserved ones, as in ksqlDB.
pub fn define_made(
    create: &ast::CreateSource,
    text: &str,
    catalog: &Catalog,
    defaults: &FormatDefaults,
    natural: &[&str],
) -> Result<Definition, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let kind = source_kind(create.kind);
    let properties = properties::read(&create.properties, &mut errors);
    check_name(create, catalog, &mut errors);
    check_columns(create, kind, natural, &mut errors);
    check_declared(create, &properties, &mut errors);
    if let Some(topic) = properties.topic.as_ref().filter(|_| !create.read_only) {
        errors
            .extend(owned(topic, "CREATE SOURCE STREAM reads it. Any other statement takes a topic of another name."));
    }
    let columns = columns(create, catalog, &mut errors);
    let topic =
        properties.topic.clone().or_else(|| missing(create, "KAFKA_TOPIC", "KAFKA_TOPIC='a_topic'", &mut errors));
    if errors.iter().any(|error| error.code == NOT_SUPPORTED) {
        // Without all of its columns nothing more can be said.
        return Err(real_first(errors));
    }
    let sides = sides(create, &properties, &columns, defaults, &mut errors);
    let event_time = event_time(&properties, &columns, &mut errors);
    let window = window(create, &properties, &columns, &mut errors);
    let (Some(topic), Some((key, value)), true) = (topic, sides, errors.is_empty()) else {
        return Err(real_first(errors));
    };
    let source = SourceDef {
        name: create.name.value.clone(),
        kind,
        read_only: create.read_only,
        columns,
        topic: topic.value,
        key,
        value,
        event_time,
        window,
        statement: text.to_owned(),
    };
    let retention_ms = properties.retention_ms.as_ref().map(|ms| ms.value);
    Ok(Definition { topic: wanted_topic(&properties, kind), source, retention_ms })
}

/// Why a topic may not be written: it is not the users'.
pub fn owned(topic: &ast::Spanned<String>, hint: &str) -> Option<Diagnostic> {
    let owner = owner_of(&topic.value)?;
    let message = format!("topic \"{}\" belongs to {owner}: it can be read, not written", topic.value);
    let detail = format!("{owner} keeps its state there, which a record of anybody else would destroy.");
    Some(Diagnostic::new(OWNED_TOPIC, message).at(topic.span).detail(detail).hint(hint))
}

/// What is wrong, or where nothing is what cannot be done yet: whoever is told that something is not supported
/// need not look for mistakes.
pub fn real_first(mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if errors.iter().any(|error| error.code != NOT_SUPPORTED) {
        errors.retain(|error| error.code != NOT_SUPPORTED);
    }
    errors
}

/// The catalog's word for the syntax tree's.
pub fn source_kind(kind: ast::SourceKind) -> SourceKind {
    match kind {
        ast::SourceKind::Stream => SourceKind::Stream,
        ast::SourceKind::Table => SourceKind::Table,
    }
}

fn check_name(create: &ast::CreateSource, catalog: &Catalog, errors: &mut Vec<Diagnostic>) {
    if create.or_replace && create.read_only {
        let kind = source_kind(create.kind).word();
        let message =
            format!("CREATE OR REPLACE is not for SOURCE {kind} \"{}\", which is read-only", create.name.value);
        errors.push(Diagnostic::new(READ_ONLY, message).at(create.name.span).hint("Drop it and create it again."));
    }
    let Some(standing) = catalog.source(&create.name) else { return };
    if create.or_replace || create.if_not_exists {
        return;
    }
    let message = format!("{} \"{}\" already exists", standing.kind.word(), standing.name);
    let hint = "Choose another name, or say CREATE OR REPLACE or IF NOT EXISTS.";
    errors.push(Diagnostic::new(EXISTS, message).at(create.name.span).hint(hint));
}

fn check_columns(create: &ast::CreateSource, kind: SourceKind, natural: &[&str], errors: &mut Vec<Diagnostic>) {
    let mut seen: Vec<&str> = Vec::new();
    for column in &create.columns {
        let name = column.name.as_str();
        if RESERVED.contains(&name) && !natural.contains(&name) {
            let message = format!("column name \"{name}\" is reserved");
            let detail = format!("These names have a meaning of their own: {}.", RESERVED.join(", "));
            errors.push(Diagnostic::new(RESERVED_NAME, message).at(column.name.span).detail(detail));
        }
        if seen.contains(&name) {
            errors.push(
                Diagnostic::new(DUPLICATE_COLUMN, format!("column \"{name}\" is declared twice")).at(column.name.span),
            );
        }
        seen.push(name);
        check_role(column, kind, errors);
    }
    check_headers(create, errors);
    let has_primary_key =
        create.columns.iter().any(|c| matches!(c.role.value, ast::ColumnRole::PrimaryKey | ast::ColumnRole::Key));
    if kind == SourceKind::Table && !has_primary_key {
        let message = format!("table \"{}\" has no primary key", create.name.value);
        let detail = "A table holds the latest row of each key, so at least one column must be its PRIMARY KEY.";
        errors.push(
            Diagnostic::new(MISSING_KEY, message)
                .at(create.name.span)
                .detail(detail)
                .hint("Say \"id STRING PRIMARY KEY\"."),
        );
    }
}

/// Columns are declared, unless the format is one whose schemas are registered: then those that are left out are to be
/// inferred.
fn check_declared(create: &ast::CreateSource, properties: &SourceProperties, errors: &mut Vec<Diagnostic>) {
    let is_key = |c: &ast::ColumnDef| matches!(c.role.value, ast::ColumnRole::Key | ast::ColumnRole::PrimaryKey);
    let is_value = |c: &ast::ColumnDef| c.role.value == ast::ColumnRole::Value;
    let left_out = |format: &Option<ast::Spanned<String>>, is: &dyn Fn(&ast::ColumnDef) -> bool| {
        let registered = format.as_ref().filter(|format| FormatKind::is_registered(&format.value));
        registered.filter(|_| !create.columns.iter().any(is)).cloned()
    };
    if let Some(format) = left_out(&properties.value_format, &is_value).or(left_out(&properties.key_format, &is_key)) {
        let message = format!("columns inferred from format {} are not supported yet", format.value);
        // What is missing is to be inferred.
        errors.retain(|error| error.code != MISSING_KEY);
        errors.push(Diagnostic::new(NOT_SUPPORTED, message).at(format.span).hint("Declare them: (id INT KEY, …)."));
        return;
    }
    if !create.columns.is_empty() {
        return;
    }
    let message = format!("{} \"{}\" has no columns", source_kind(create.kind).word(), create.name.value);
    let detail =
        properties.value_format.as_ref().map(|format| format!("Format {} says nothing about columns.", format.value));
    let error = Diagnostic::new(MISSING_KEY, message).at(create.name.span).hint("Declare them: (id INT KEY, …).");
    errors.push(Diagnostic { detail, ..error });
}

fn check_role(column: &ast::ColumnDef, kind: SourceKind, errors: &mut Vec<Diagnostic>) {
    let (wrong, right) = match (kind, &column.role.value) {
        (SourceKind::Stream, ast::ColumnRole::PrimaryKey) => ("a stream has no PRIMARY KEY", "KEY"),
        (SourceKind::Table, ast::ColumnRole::Key) => ("a table has a PRIMARY KEY", "PRIMARY KEY"),
        _ => return,
    };
    let message = format!("column \"{}\": {wrong}", column.name.value);
    errors.push(
        Diagnostic::new(COLUMN_ROLE, message)
            .at(column.role.span)
            .detail("The PRIMARY KEY of a table is unique and NON NULL; the KEY of a stream need be neither.")
            .hint(format!("Say \"{} {} {right}\".", column.name.value, column.ty.value)),
    );
}

fn check_headers(create: &ast::CreateSource, errors: &mut Vec<Diagnostic>) {
    let headers: Vec<&ast::ColumnDef> = create
        .columns
        .iter()
        .filter(|c| matches!(c.role.value, ast::ColumnRole::Headers | ast::ColumnRole::Header(_)))
        .collect();
    for (at, column) in headers.iter().enumerate() {
        let whole = column.role.value == ast::ColumnRole::Headers;
        let clash = headers[..at].iter().any(|other| {
            whole || other.role.value == ast::ColumnRole::Headers || other.role.value == column.role.value
        });
        if clash {
            let message = "headers are declared twice";
            let detail = "A source has either one HEADERS column or one HEADER('name') column for each name.";
            errors.push(Diagnostic::new(COLUMN_ROLE, message).at(column.role.span).detail(detail));
        }
        let (right, words) = match whole {
            true => (headers_sql_type(), "ARRAY<STRUCT<KEY STRING, VALUE BYTES>>"),
            false => (SqlType::Bytes, "BYTES"),
        };
        if column.ty.value != right {
            let message =
                format!("column \"{}\" has the type {}, headers are {words}", column.name.value, column.ty.value);
            errors.push(Diagnostic::new(COLUMN_ROLE, message).at(column.ty.span));
        }
    }
}

fn headers_sql_type() -> SqlType {
    header_column_type(&ColumnOrigin::Headers).and_then(|t| SqlType::from_arrow(&t)).unwrap_or(SqlType::Bytes)
}

fn columns(create: &ast::CreateSource, catalog: &Catalog, errors: &mut Vec<Diagnostic>) -> Vec<ColumnDef> {
    let mut columns = Vec::new();
    for column in &create.columns {
        match resolve(&column.ty, catalog) {
            Ok(ty) => columns.push(ColumnDef { name: column.name.value.clone(), ty, role: role(&column.role.value) }),
            Err(error) => errors.push(*error),
        }
    }
    // Keys come first in a source's schema, wherever they were declared.
    columns.sort_by_key(|c| c.role != ColumnRole::Key);
    columns
}

fn role(role: &ast::ColumnRole) -> ColumnRole {
    match role {
        ast::ColumnRole::Value => ColumnRole::Value,
        ast::ColumnRole::Key | ast::ColumnRole::PrimaryKey => ColumnRole::Key,
        ast::ColumnRole::Headers => ColumnRole::Headers,
        ast::ColumnRole::Header(name) => ColumnRole::Header(name.clone()),
    }
}

/// A property that must be there.
pub(super) fn missing<T>(
    create: &ast::CreateSource,
    name: &str,
    example: &str,
    errors: &mut Vec<Diagnostic>,
) -> Option<T> {
    let misspelt = create.properties.iter().any(|p| p.name.eq_ignore_ascii_case(name));
    if !misspelt {
        let message = format!("property \"{name}\" is missing");
        errors.push(
            Diagnostic::new(MISSING_PROPERTY, message).at(create.name.span).hint(format!("Add WITH ({example}, …).")),
        );
    }
    None
}

fn event_time(
    properties: &SourceProperties,
    columns: &[ColumnDef],
    errors: &mut Vec<Diagnostic>,
) -> Option<EventTimeDef> {
    let Some(name) = &properties.timestamp else {
        if let Some(format) = &properties.timestamp_format {
            errors.push(
                Diagnostic::new(PROPERTY_CONFLICT, "property \"TIMESTAMP_FORMAT\" is given without \"TIMESTAMP\"")
                    .at(format.span),
            );
        }
        return None;
    };
    let Some(column) = columns.iter().find(|c| c.name == name.value) else {
        let message = format!("WITH names timestamp column \"{}\", which does not exist", name.value);
        let names = columns.iter().map(|c| c.name.as_str());
        errors.push(Diagnostic::new(UNKNOWN_COLUMN, message).at(name.span).nearest_of(&name.value, names));
        return None;
    };
    let format = properties.timestamp_format.as_ref();
    let mut refuse = |message: String, span: Span| errors.push(Diagnostic::new(TIMESTAMP_COLUMN, message).at(span));
    match (&column.ty, format) {
        (SqlType::BigInt | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => {}
        (SqlType::String, None) => refuse(
            format!("timestamp column \"{}\" is a STRING and needs \"TIMESTAMP_FORMAT\"", column.name),
            name.span,
        ),
        (SqlType::BigInt | SqlType::Timestamp, Some(format)) => {
            refuse(
                format!("\"TIMESTAMP_FORMAT\" is for STRING columns, \"{}\" is {}", column.name, column.ty),
                format.span,
            );
        }
        (ty, _) => refuse(
            format!("timestamp column \"{}\" is {ty}; it must be BIGINT, TIMESTAMP or STRING", column.name),
            name.span,
        ),
    }
    if let Some(format) = format
        && let Err(error) = headwater_formats::java_time::Pattern::new(&format.value)
    {
        refuse(format!("\"TIMESTAMP_FORMAT\" is not a pattern: {error}"), format.span);
    }
    Some(EventTimeDef { column: column.name.clone(), format: format.map(|f| f.value.clone()) })
}

fn window(
    create: &ast::CreateSource,
    properties: &SourceProperties,
    columns: &[ColumnDef],
    errors: &mut Vec<Diagnostic>,
) -> Option<WindowDef> {
    let mut refuse = |message: &str, span: Span| errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(span));
    let Some(kind) = &properties.window_type else {
        if let Some(size) = &properties.window_size_ms {
            refuse("property \"WINDOW_SIZE\" is given without \"WINDOW_TYPE\"", size.span);
        }
        return None;
    };
    if !columns.iter().any(|c| c.role == ColumnRole::Key) {
        refuse("a windowed source needs a key column", create.name.span);
    }
    let size = properties.window_size_ms.as_ref();
    match (kind.value.as_str(), size) {
        ("TUMBLING", Some(size)) => Some(WindowDef::Tumbling(size.value)),
        ("HOPPING", Some(size)) => Some(WindowDef::Hopping(size.value)),
        ("SESSION", None) => Some(WindowDef::Session),
        ("SESSION", Some(size)) => {
            refuse("property \"WINDOW_SIZE\" is not for SESSION windows, which have no size", size.span);
            None
        }
        ("TUMBLING" | "HOPPING", None) => {
            let misread = create.properties.iter().any(|p| p.name.eq_ignore_ascii_case("WINDOW_SIZE"));
            if !misread {
                refuse("a TUMBLING or HOPPING window needs the property \"WINDOW_SIZE\"", kind.span);
            }
            None
        }
        _ => {
            refuse("property \"WINDOW_TYPE\" must be TUMBLING, HOPPING or SESSION", kind.span);
            None
        }
    }
}

/// What a cluster does with old records of a topic that is made for a stream or table. The rows of a table are kept; those
/// of old windows are not. Semantics: ksqlDB's.
pub fn cleanup_policy(kind: SourceKind, window: Option<WindowDef>) -> &'static str {
    match (kind, window) {
        (SourceKind::Stream, _) => "delete",
        (SourceKind::Table, None) => "compact",
        (SourceKind::Table, Some(_)) => "compact,delete",
    }
}

fn wanted_topic(properties: &SourceProperties, kind: SourceKind) -> Option<WantedTopic> {
    let partitions = properties.partitions.as_ref()?;
    let policy = cleanup_policy(kind, None);
    let mut settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
    if let Some(retention) = &properties.retention_ms {
        settings.insert("retention.ms".to_owned(), retention.value.to_string());
    }
    let replicas = properties.replicas.as_ref().map(|r| r.value);
    Some(WantedTopic { partitions: partitions.value, replicas, settings, span: partitions.span })
}
