//! CREATE STREAM and CREATE TABLE over a topic, which is created if the statement asks for it. A query keeps the rows of a SOURCE TABLE.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;
use headwater_planner::continuous::keep_source;
use headwater_planner::define::{FormatDefaults, define, source_kind};
use headwater_planner::schemas::wanted;

use super::persist::ensure_processing_log;
use super::schemas::Register;
use super::wording::{capital, exists_already};
use super::{Answered, Context, schema_file, schemas, topic};
use crate::answer::Answer;
use crate::runtime::blocking;
use crate::runtime::publish::dry_run;

/// Declares the stream or table.
pub(crate) async fn run(create: &ast::CreateSource, context: &mut Context<'_>) -> Answered {
    let (catalog, span) = (context.catalog().await?, create.name.span);
    if let (true, Some(existing)) = (create.if_not_exists, catalog.source(&create.name)) {
        return Ok(exists_already(existing.kind.word(), &existing.name));
    }
    let properties = schema_file::inline(&create.properties).await?;
    let create = &ast::CreateSource { properties, ..create.clone() };
    let defaults = FormatDefaults::from(context.settings());
    let found = schemas::fetch(wanted(create, &defaults), context).await?;
    let mut definition = define(create, context.text, &catalog, &defaults, &found)?;
    let unbuilt = definition.source.unbuilt_format();
    let notes = std::mem::take(&mut definition.notes);
    // Checked before a topic is created, too.
    let source = Box::new(definition.source.clone());
    let (mut change, is_kept) = match keep_source(&source, context.text, context.settings()) {
        Some(query) => (
            CatalogChange::DefineQuery { source: Some(source), query: Box::new(query), replace: create.or_replace },
            true,
        ),
        None => (CatalogChange::DefineSource { source, replace: create.or_replace }, false),
    };
    dry_run(&catalog, &change, span)?;
    if !create.read_only && schemas::registers(&definition.source, Register::Missing) {
        topic::verify(&definition, span, context).await?;
        definition.source = schemas::register(definition.source, Register::Missing, span, context).await?;
        if let CatalogChange::DefineSource { source, .. } = &mut change {
            **source = definition.source.clone();
        }
    }
    if is_kept {
        ensure_processing_log(context).await?;
    }
    let transport = context.process.transport().clone();
    blocking(move || topic::ensure(transport.admin(), &definition, span)).await??;
    let after = context.publish(change, span).await?;
    let kind = capital(source_kind(create.kind).word());
    let by = after.query_behind(&create.name).filter(|_| is_kept).map(|query| format!(" by query {}", query.id));
    if is_kept {
        context.process.work_on();
    }
    let warning = |error| format!("{error}: its records cannot be read or written");
    Ok(Answer::Done {
        message: format!("{kind} \"{}\" created{}", create.name.value, by.unwrap_or_default()),
        warnings: unbuilt.map(warning).into_iter().chain(notes).collect(),
    })
}
