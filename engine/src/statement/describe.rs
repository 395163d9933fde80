//! DESCRIBE: a stream or table and the topic behind it.

use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, TransportError};

use super::wording::not_supported;
use super::{Answered, Context, describe_function, query_facts};
use crate::answer::{Answer, Section};
use crate::catalog::{Catalog, ColumnDef, ColumnRole, SourceDef, SourceKind};
use crate::diagnostic::{Diagnostic, UNKNOWN_SOURCE};
use crate::engine::Engine;
use crate::planner::define::source_kind;
use crate::runtime::{blocking, refused};
use crate::sql::ast;

type Sections = Result<Vec<Section>, Vec<Diagnostic>>;

/// Describes what the statement names.
pub(crate) async fn run(describe: &ast::Describe, context: &mut Context<'_>) -> Answered {
    match describe {
        ast::Describe::Source { name, extended } => {
            let catalog = context.catalog().await?;
            let source = find(&catalog, name)?;
            one(source, *extended, &catalog, context.engine).await.map(Answer::Facts)
        }
        ast::Describe::Sources { kind, extended } => {
            all(source_kind(*kind), *extended, context).await.map(Answer::Facts)
        }
        ast::Describe::Function(name) => describe_function::run(name, context).await,
        ast::Describe::Connector(_) => Err(vec![not_supported("connectors are", context.span)]),
    }
}

/// Every stream or every table.
pub(super) async fn all(kind: SourceKind, extended: bool, context: &mut Context<'_>) -> Sections {
    let catalog = context.catalog().await?;
    let mut sections = Vec::new();
    for source in catalog.sources().filter(|source| source.kind == kind) {
        sections.extend(one(source.clone(), extended, &catalog, context.engine).await?);
    }
    Ok(sections)
}

async fn one(source: Arc<SourceDef>, with_topic: bool, catalog: &Catalog, engine: &Engine) -> Sections {
    if !with_topic {
        return Ok(vec![columns(&source)]);
    }
    let (transport, name) = (engine.transport().clone(), source.name.clone());
    let mut sections = blocking(move || extended(transport.admin(), &source)).await?.map_err(refused)?;
    sections.extend(query_facts::of_source(&name, catalog, engine).await?);
    Ok(sections)
}

/// The source of this name; else an error with the nearest name.
pub(super) fn find(catalog: &Catalog, name: &ast::Name) -> Result<Arc<SourceDef>, Vec<Diagnostic>> {
    catalog.source(name).cloned().ok_or_else(|| {
        let error =
            Diagnostic::new(UNKNOWN_SOURCE, format!("stream or table \"{}\" does not exist", name.value)).at(name.span);
        vec![error.nearest_of(name, catalog.sources().map(|s| s.name.as_str()))]
    })
}

/// Its columns.
fn columns(source: &SourceDef) -> Section {
    let rows = source.columns.iter().map(|c| vec![c.name.clone(), format!("{}{}", c.ty, mark(c, source))]);
    Section {
        title: Some(format!("Name : {}", source.name)),
        columns: vec!["Field".to_owned(), "Type".to_owned()],
        rows: rows.collect(),
        text: Some(format!("For the topic and its offsets: DESCRIBE {} EXTENDED;", source.name)),
    }
}

fn mark(column: &ColumnDef, source: &SourceDef) -> String {
    let window = source.window.map(|w| format!(" (Window type: {})", w.word())).unwrap_or_default();
    match (&column.role, source.kind) {
        (ColumnRole::Key, SourceKind::Table) => format!("  (primary key){window}"),
        (ColumnRole::Key, SourceKind::Stream) => format!("  (key){window}"),
        (ColumnRole::Headers, _) => "  (headers)".to_owned(),
        (ColumnRole::Header(name), _) => format!("  (header('{name}'))"),
        (ColumnRole::Value, _) => String::new(),
    }
}

/// Its columns, topic and offsets. Blocks.
fn extended(admin: &dyn Admin, source: &SourceDef) -> Result<Vec<Section>, TransportError> {
    let mut first = columns(source);
    first.text = None;
    let topic = admin.topic(&source.topic)?;
    let there =
        topic.map_or("missing".to_owned(), |t| format!("partitions: {}, replication: {}", t.partitions, t.replicas));
    let time = source.event_time.as_ref().map_or("the record's timestamp".to_owned(), |t| t.column.clone());
    let facts = [
        ("Type", source.kind.word().to_uppercase()),
        ("Timestamp field", time),
        ("Key format", source.key.format.clone()),
        ("Value format", source.value.format.clone()),
        ("Kafka topic", format!("{} ({there})", source.topic)),
        ("Statement", source.statement.clone()),
    ];
    let facts = Section {
        columns: vec!["Property".to_owned(), "Value".to_owned()],
        rows: facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect(),
        ..Section::default()
    };
    Ok(vec![first, facts, offsets(admin, source)?])
}

fn offsets(admin: &dyn Admin, source: &SourceDef) -> Result<Section, TransportError> {
    let marks = match admin.topic(&source.topic)? {
        Some(_) => admin.watermarks(&source.topic, Isolation::ReadCommitted)?,
        None => Vec::new(),
    };
    let rows = marks
        .iter()
        .enumerate()
        .map(|(p, w)| vec![p.to_string(), w.start.to_string(), w.end.to_string(), (w.end - w.start).to_string()]);
    Ok(Section {
        title: Some("Offsets".to_owned()),
        columns: ["Partition", "Start Offset", "End Offset", "Offsets"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        text: None,
    })
}
