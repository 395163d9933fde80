//! DESCRIBE: describes streams and tables, with the topics behind them, and functions.

use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, TransportError};
use headwater_language::catalog::Catalog;
use headwater_language::definition::{SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_SOURCE};
use headwater_language::sql::ast;
use headwater_planner::define::source_kind;

use super::wording::not_supported;
use super::{Answered, Context, describe_function, query_facts, schemas};
use crate::answer::{Answer, Facts, PartitionExtent, SchemaDescription, SourceDescription, TopicDescription};
use crate::runtime::{Process, blocking, refused};

/// Describes what the statement names.
pub(crate) async fn run(describe: &ast::Describe, context: &mut Context<'_>) -> Answered {
    Ok(Answer::Facts(match describe {
        ast::Describe::Source { name, extended } => {
            let catalog = context.catalog().await?;
            let source = find(&catalog, name)?;
            Facts::SourceDescriptions(vec![one(source, *extended, &catalog, context.process).await?])
        }
        ast::Describe::Sources { kind, extended } => all(source_kind(*kind), *extended, context).await?,
        ast::Describe::Function(name) => describe_function::run(name, context).await?,
        ast::Describe::Connector(_) => return Err(vec![not_supported("connectors are", context.span)]),
    }))
}

/// Every stream or every table.
pub(super) async fn all(kind: SourceKind, extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let mut described = Vec::new();
    for source in catalog.sources().filter(|source| source.kind == kind) {
        described.push(one(source.clone(), extended, &catalog, context.process).await?);
    }
    Ok(Facts::SourceDescriptions(described))
}

async fn one(
    source: Arc<SourceDef>,
    extended: bool,
    catalog: &Catalog,
    process: &Process,
) -> Result<SourceDescription, Vec<Diagnostic>> {
    if !extended {
        return Ok(SourceDescription { source, extended: None });
    }
    let (transport, declared) = (process.transport().clone(), source.clone());
    let described = move || {
        let schemas = schemas::described(&declared, transport.schemas().as_ref());
        topic(transport.admin(), &declared.topic, schemas)
    };
    let topic = blocking(described).await?.map_err(refused)?;
    let queries = query_facts::of_source(&source.name, catalog, process).await?;
    Ok(SourceDescription { source, extended: Some((topic, queries)) })
}

/// The current state of a topic with these schemas. Blocks.
fn topic(admin: &dyn Admin, name: &str, schemas: Vec<SchemaDescription>) -> Result<TopicDescription, TransportError> {
    let Some(found) = admin.topic(name)? else {
        return Ok(TopicDescription { layout: None, partitions: Vec::new(), schemas });
    };
    let marks = admin.watermarks(name, Isolation::ReadCommitted)?;
    let extents = (0..).zip(&marks);
    let extents = extents.map(|(partition, marks)| PartitionExtent { partition, start: marks.start, end: marks.end });
    let layout = Some((found.partitions, found.replicas));
    Ok(TopicDescription { layout, partitions: extents.collect(), schemas })
}

/// The source with this name, or an error with the nearest name.
pub(super) fn find(catalog: &Catalog, name: &ast::Name) -> Result<Arc<SourceDef>, Vec<Diagnostic>> {
    catalog.source(name).cloned().ok_or_else(|| {
        let error =
            Diagnostic::new(UNKNOWN_SOURCE, format!("stream or table \"{}\" does not exist", name.value)).at(name.span);
        vec![error.nearest_of(name, catalog.sources().map(|s| s.name.as_str()))]
    })
}
