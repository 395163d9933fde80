//! Turns a planned query into a persistent one: creates its topics, publishes its command, and starts it here.

use std::sync::Arc;

use headwater_connectors::transport::Transport;
use headwater_language::catalog::{Catalog, CatalogChange, QueryDef};
use headwater_language::diagnostic::{Diagnostic, Span};
use headwater_language::sql::{self, ast};
use headwater_planner::continuous::Persistent;
use headwater_planner::define::Definition;

use super::schemas::Register;
use super::{Context, create_source, schemas, topic};
use crate::runtime::complaints::{PROCESSING_LOG, processing_log_statement};
use crate::runtime::publish::dry_run;
use crate::runtime::{blocking, expiring, refused, topics};
use crate::session::Session;

/// Creates the topics, publishes the query and starts it here. Returns the catalog that includes it.
pub(super) async fn persist(
    planned: Persistent,
    replace: bool,
    context: &mut Context<'_>,
) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
    let Persistent { mut definition, mut query, span } = planned;
    let catalog = context.catalog().await?;
    let source = definition.as_ref().map(|definition| Box::new(definition.source.clone()));
    let (dead_letters, input) = (query.dlq_topic.clone(), query.topology.source().topic.clone());
    dry_run(&catalog, &CatalogChange::DefineQuery { source, query: Box::new(query.clone()), replace }, span)?;
    query.topology.sink().map_or(Ok(()), |sink| schemas::check_written(sink, span))?;
    let sink = query.topology.sink().filter(|sink| schemas::registers(sink, Register::All)).cloned();
    if let Some(sink) = sink {
        // A topic that is not described is made like the input.
        if let Some(described) = definition.as_ref().filter(|definition| definition.topic.is_some()) {
            topic::verify(described, span, context).await?;
        }
        let sink = schemas::register(sink, Register::All, span, context).await?;
        if let Some(definition) = &mut definition {
            definition.source = sink.clone();
        }
        query.topology = query.topology.with_sink(sink);
    }
    let source = definition.as_ref().map(|definition| Box::new(definition.source.clone()));
    let change = CatalogChange::DefineQuery { source, query: Box::new(query), replace };
    ensure_processing_log(context).await?;
    let transport = context.process.transport().clone();
    blocking(move || make_topics(transport.as_ref(), definition, dead_letters, &input, span)).await??;
    let catalog = context.publish(change, span).await?;
    context.process.work_on();
    Ok(catalog)
}

/// What the user should know about a new query: that rows will be gone soon, because they are too old for their topic.
pub(super) async fn warnings(
    query: Option<&Arc<QueryDef>>,
    context: &Context<'_>,
) -> Result<Vec<String>, Vec<Diagnostic>> {
    let Some(query) = query.cloned() else { return Ok(Vec::new()) };
    let transport = context.process.transport().clone();
    let now_ms = chrono::Utc::now().timestamp_millis();
    // Whether there is a warning does not matter enough to fail.
    let found = blocking(move || expiring::older_input(transport.admin(), &query, now_ms)).await?;
    Ok(found.ok().flatten().into_iter().collect())
}

/// Creates the topics that the query writes, modelled on its input, unless they exist. Blocks.
fn make_topics(
    transport: &dyn Transport,
    definition: Option<Definition>,
    dead_letters: Option<String>,
    input: &str,
    span: Span,
) -> Result<(), Vec<Diagnostic>> {
    let admin = transport.admin();
    let partitions = topics::partitions_of(admin, input).map_err(refused)?;
    if let Some(mut definition) = definition {
        if admin.topic(&definition.source.topic).map_err(refused)?.is_none() {
            topic::fill_from_input(admin, &mut definition, (input, partitions), span).map_err(refused)?;
        }
        topic::ensure(admin, &definition, span)?;
    }
    dead_letters.map_or(Ok(()), |name| topics::make_like(admin, name, (input, partitions)).map_err(refused))
}

/// Declares the processing log, a stream like any other, with the first persistent query.
pub(super) async fn ensure_processing_log(context: &mut Context<'_>) -> Result<(), Vec<Diagnostic>> {
    let (catalog, process) = (context.catalog().await?, context.process);
    if catalog.source(PROCESSING_LOG).is_some() {
        return Ok(());
    }
    let parsed = sql::parse(&processing_log_statement(process.service_id()));
    let Some(statement) = parsed.statements.first() else { return Err(parsed.errors) };
    let ast::StatementKind::CreateSource(create) = &statement.kind else { return Err(parsed.errors) };
    let mut session = Session::default();
    let mut declaring = Context::new(process, &mut session, statement);
    declaring.plan_with(catalog);
    // It may be a SOURCE TABLE that is being created, whose query reports bad records, too.
    let made = Box::pin(create_source::run(create, &mut declaring)).await;
    let known = process.remembered_catalog().await?;
    // Another process may have declared it first.
    let exists = known.source(PROCESSING_LOG).is_some();
    context.plan_with(known);
    if exists { Ok(()) } else { made.map(drop) }
}
