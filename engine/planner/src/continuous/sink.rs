//! The sink of a persistent query: a new stream or table, or an existing stream.
//!
//! The result of `CREATE … AS` is lowered to the declaration that a user would have written
//! for it, so that names, formats and topic are checked in one place.

use headwater_expression::dialect::coerces;
use headwater_language::catalog::{Catalog, QueryDef, owner_of};
use headwater_language::config::{DECIMAL_DIVISION, Settings};
use headwater_language::definition::{ColumnRole, SourceDef, SourceKind};
use headwater_language::diagnostic::{
    Diagnostic, INSERT, PROPERTY_CONFLICT, PROPERTY_VALUE, STREAMING, Span, UNKNOWN_SOURCE, format_refusal,
};
use headwater_language::sql::ast;
use headwater_language::topology::{AggregateWindow, ResultColumn, Topology};

use super::query::{Purpose, Streaming};
use super::rules::not_built;
use super::{called, circles, declaration, passed, plan, state_for};
use crate::define::{Definition, FormatDefaults, define_made, owned, real_first, without_retention};
use crate::schemas::Found;

/// Whether a record whose timestamp column cannot be read stops the query.
pub const THROWS_ON_INVALID_TIME: &str = "timestamp.throw.on.invalid";

/// The property that limits the bytes of a table's changes between two commits; with 0 every change is written.
pub const CACHE_BYTES: &str = "cache.max.bytes.buffering";

/// The property that limits the threads that process the batches of a query; 0 for one for each processor.
pub const THREADS: &str = "query.threads";

/// A planned persistent query and its sink. The query has no number yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Persistent {
    /// The stream or table that is created for it, with its topic; `None` for INSERT INTO.
    pub definition: Option<Definition>,
    /// The query.
    pub query: QueryDef,
    /// The span of the target's name.
    pub span: Span,
}

/// The properties in WITH that belong to the query and not to its sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryProperties {
    /// DLQ_TOPIC: the topic for records that could not be read, processed or written.
    pub dlq_topic: Option<ast::Spanned<String>>,
    /// QUERY_ID: the name of the query.
    pub id: Option<ast::Spanned<String>>,
}

impl QueryProperties {
    /// Takes the query's properties out of WITH.
    fn take(properties: &[ast::Property], errors: &mut Vec<Diagnostic>) -> (Self, Vec<ast::Property>) {
        let mut taken = Self::default();
        let mut others = Vec::new();
        for property in properties {
            let text = || match &property.value.value {
                ast::Literal::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            };
            match (property.name.to_uppercase().as_str(), text()) {
                ("DLQ_TOPIC", Some(topic)) => taken.dlq_topic = Some(ast::Spanned::new(topic, property.value.span)),
                ("QUERY_ID", Some(id)) => taken.id = Some(ast::Spanned::new(id.to_uppercase(), property.value.span)),
                (name @ ("DLQ_TOPIC" | "QUERY_ID"), None) => {
                    let message = format!("property \"{name}\" has a value of the wrong kind");
                    let detail = "It takes a string that is not empty.";
                    errors.push(Diagnostic::new(PROPERTY_VALUE, message).at(property.value.span).detail(detail));
                }
                _ => others.push(property.clone()),
            }
        }
        (taken, others)
    }
}

/// Plans `CREATE … AS SELECT`, with the schemas that its sink asked for. Returns all errors found.
pub fn create_as(
    create: &ast::CreateAs,
    text: &str,
    catalog: &Catalog,
    settings: &Settings,
    found: &Found,
) -> Result<Persistent, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let (properties, sink_properties) = QueryProperties::take(&create.properties, &mut errors);
    if let Some(envelope) = sink_properties.iter().find(|property| property.name.eq_ignore_ascii_case("ENVELOPE")) {
        let message = "property \"ENVELOPE\" is for what is read: change events of Debezium are not written";
        errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(envelope.name.span));
    }
    let state = state_for(&create.query, catalog, settings)?;
    let planned = plan(&create.query, catalog, &state, settings, Purpose::Create(create));
    let (query, mut lowered) = planned.map_err(|found| together(&mut errors, found))?;
    passed(errors)?;
    passed(not_built::check(&query))?;
    let source = &query.first().source;
    declaration::check_keyless(&sink_properties, &lowered)?;
    let topic_prefix = settings.get("output.topic.name.prefix");
    let declared = declaration::of(create, sink_properties, source, &lowered, topic_prefix);
    let natural = declaration::natural(&lowered);
    let mut definition = define_made(&declared, text, catalog, (&FormatDefaults::from(settings), found), &natural)?;
    // A key that stays keeps its window.
    let kept = source.window.filter(|_| !lowered.projection.rekeyed && !query.is_grouped());
    definition.source.window = lowered.windows().map_or(kept, |windows| Some(windows.def));
    set_retention(&mut definition, &create.properties, lowered.windows())?;
    lowered.write_keys_as(&definition.source.key);
    check_built(&query, &definition.source, create.name.span)?;
    let topology = lowered.into_topology(called(&create.query, catalog)).into_sink(definition.source.clone());
    let replaced = catalog.query_behind(&create.name).filter(|_| create.or_replace);
    circles::check(&topology, catalog, replaced.map(AsRef::as_ref), (create.name.span, PROPERTY_VALUE))?;
    check_dead_letters(&topology, &properties)?;
    let kind = if create.kind == ast::SourceKind::Table { "CTAS" } else { "CSAS" };
    let prefix = format!("{kind}_{}", definition.source.name);
    let query = QueryDef { owns_sink: true, ..query_def(prefix, text, topology, &properties, settings) };
    Ok(Persistent { definition: Some(definition), query, span: create.name.span })
}

/// Plans `INSERT INTO … SELECT`. Returns all errors found.
pub fn insert_select(
    insert: &ast::InsertSelect,
    text: &str,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Persistent, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let (properties, others) = QueryProperties::take(&insert.properties, &mut errors);
    for other in others {
        let message = format!("property \"{}\" cannot be used with INSERT INTO … SELECT", other.name.value);
        let detail = "It accepts QUERY_ID and DLQ_TOPIC; all other properties belong to the target.";
        errors.push(Diagnostic::new(PROPERTY_VALUE, message).at(other.name.span).detail(detail));
    }
    let target = target(insert, catalog, &mut errors);
    let state = state_for(&insert.query, catalog, settings)?;
    let planned = plan(&insert.query, catalog, &state, settings, Purpose::Insert(insert));
    let (query, mut lowered) = planned.map_err(|found| together(&mut errors, found))?;
    if let Some(target) = &target {
        fit(&mut lowered.projection.columns, target, insert.target.span, &mut errors);
    }
    let (Some(target), true) = (target, errors.is_empty()) else { return Err(errors) };
    passed(not_built::check(&query))?;
    check_built(&query, &target, insert.target.span)?;
    lowered.write_keys_as(&target.key);
    let topology = lowered.into_topology(called(&insert.query, catalog)).into_sink(target);
    circles::check(&topology, catalog, None, (insert.target.span, STREAMING))?;
    check_dead_letters(&topology, &properties)?;
    let query = query_def("INSERTQUERY".to_owned(), text, topology, &properties, settings);
    Ok(Persistent { definition: None, query, span: insert.target.span })
}

/// Sets the retention of a table with windows: that of the query, or RETENTION_MS if that is longer. A table without windows
/// has no retention. Semantics: ksqlDB's RETENTION_MS.
fn set_retention(
    definition: &mut Definition,
    properties: &[ast::Property],
    windows: Option<AggregateWindow>,
) -> Result<(), Vec<Diagnostic>> {
    if let Some(windows) = windows {
        let longer = |ms: i64| if ms < 0 { ms } else { ms.max(windows.retention_ms) };
        definition.retention_ms = Some(definition.retention_ms.map_or(windows.retention_ms, longer));
        return Ok(());
    }
    match without_retention(&definition.source, properties) {
        Some(error) => Err(vec![error]),
        None => Ok(()),
    }
}

/// Checks that dead letters are not written to the input or the sink of their query.
fn check_dead_letters(topology: &Topology, properties: &QueryProperties) -> Result<(), Vec<Diagnostic>> {
    let Some(dead) = &properties.dlq_topic else { return Ok(()) };
    if let Some(error) = owned(dead, "Choose another topic for dead letters.") {
        return Err(vec![error]);
    }
    let mut taken = topology.sources().chain(topology.sink()).map(|source| &source.topic);
    if !taken.any(|topic| *topic == dead.value) {
        return Ok(());
    }
    let message = format!("DLQ_TOPIC is \"{}\", which the query reads or writes itself", dead.value);
    let detail = "Bad records would be read again, or end up among the results.";
    Err(vec![Diagnostic::new(PROPERTY_VALUE, message).at(dead.span).detail(detail)])
}

/// A persistent query, whose id begins with `prefix`, with the settings that it keeps.
pub(super) fn query_def(
    prefix: String,
    text: &str,
    topology: Topology,
    properties: &QueryProperties,
    settings: &Settings,
) -> QueryDef {
    // The current settings belong to the query for good; a later version may have other defaults.
    let kept = ["processing.guarantee", "commit.interval.ms", DECIMAL_DIVISION].into_iter();
    // Versions that do not know these properties would use their defaults.
    let later =
        [THROWS_ON_INVALID_TIME, CACHE_BYTES, THREADS].into_iter().filter(|name| settings.given(name).is_some());
    let kept = kept.chain(later);
    let kept = kept.map(|name| (name.to_owned(), settings.get(name).to_owned()));
    let start = settings.given("auto.offset.reset").unwrap_or("earliest").to_owned();
    QueryDef {
        id: properties.id.as_ref().map_or(prefix, |id| id.value.clone()),
        numbered: properties.id.is_none(),
        made: 0,
        unique: None,
        statement: text.to_owned(),
        topology,
        properties: kept.into_iter().chain([("auto.offset.reset".to_owned(), start)]).collect(),
        dlq_topic: properties.dlq_topic.as_ref().map(|topic| topic.value.clone()),
        paused: false,
        resumed: 0,
        restart: None,
        began: None,
        owns_sink: false,
    }
}

/// The errors found before, followed by those found now.
fn together(before: &mut Vec<Diagnostic>, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    real_first(std::mem::take(before).into_iter().chain(found).collect())
}

/// Reports features that a valid query uses and that are not supported yet.
fn check_built(query: &Streaming<'_>, sink: &SourceDef, span: Span) -> Result<(), Vec<Diagnostic>> {
    let format = sink.unbuilt_format().map(|error| format_refusal(&error).at(span));
    passed(not_built::source(query).into_iter().chain(format).collect())
}

fn target(insert: &ast::InsertSelect, catalog: &Catalog, errors: &mut Vec<Diagnostic>) -> Option<SourceDef> {
    let span = insert.target.span;
    let Some(source) = catalog.source(&insert.target) else {
        let message = format!("stream \"{}\" does not exist", insert.target.value);
        errors.push(Diagnostic::new(UNKNOWN_SOURCE, message).at(span));
        return None;
    };
    let owner = owner_of(&source.topic).filter(|_| !source.read_only);
    let its_owners = format!("its topic belongs to {}", owner.unwrap_or_default());
    let refusals = [
        (owner.is_some(), its_owners.as_str()),
        (source.kind == SourceKind::Table, "it is a table"),
        (source.read_only, "it was declared with SOURCE, which is read-only"),
        (source.window.is_some(), "its keys are windowed"),
        (
            source.columns.iter().any(|column| column.role.is_of_headers()),
            "it has header columns, which cannot be written",
        ),
    ];
    let found: Vec<_> = refusals.iter().filter(|(is, _)| *is).collect();
    for (_, why) in &found {
        let message = format!("cannot insert into \"{}\": {why}", source.name);
        errors.push(Diagnostic::new(INSERT, message).at(span));
    }
    found.is_empty().then(|| source.as_ref().clone())
}

/// Checks that a result has the columns of the target in the same order, and casts those of other types where that is
/// implicit.
fn fit(columns: &mut [ResultColumn], target: &SourceDef, span: Span, errors: &mut Vec<Diagnostic>) {
    let matches = columns.len() == target.columns.len()
        && columns.iter().zip(&target.columns).all(|(found, wanted)| {
            found.name == wanted.name && found.key == (wanted.role == ColumnRole::Key) && coerces(&found.ty, &wanted.ty)
        });
    if !matches {
        let found = columns.iter().map(|c| format!("{} {}{}", c.name, c.ty, if c.key { " KEY" } else { "" }));
        let wanted = target
            .columns
            .iter()
            .map(|c| format!("{} {}{}", c.name, c.ty, if c.role == ColumnRole::Key { " KEY" } else { "" }));
        let message = format!("the columns of SELECT do not match those of \"{}\"", target.name);
        let detail = format!(
            "SELECT returns ({}), \"{}\" has ({}).",
            found.collect::<Vec<_>>().join(", "),
            target.name,
            wanted.collect::<Vec<_>>().join(", ")
        );
        let hint = "Select the same columns in the same order, with AS and CAST where names or types differ.";
        errors.push(Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint));
        return;
    }
    for (found, wanted) in columns.iter_mut().zip(&target.columns).filter(|(found, wanted)| found.ty != wanted.ty) {
        found.expr = format!("CAST({} AS {})", found.expr, wanted.ty);
        found.ty = wanted.ty.clone();
    }
}
