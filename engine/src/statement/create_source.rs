//! CREATE STREAM and CREATE TABLE over a topic, which is created if the statement asks for it.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;
use headwater_planner::define::{FormatDefaults, define, source_kind};

use super::wording::{capital, exists_already};
use super::{Answered, Context, topic};
use crate::answer::Answer;
use crate::runtime::blocking;
use crate::runtime::publish::dry_run;

/// Declares the stream or table.
pub(crate) async fn run(create: &ast::CreateSource, context: &mut Context<'_>) -> Answered {
    let (catalog, span) = (context.catalog().await?, create.name.span);
    if let (true, Some(existing)) = (create.if_not_exists, catalog.source(&create.name)) {
        return Ok(exists_already(existing.kind.word(), &existing.name));
    }
    let definition = define(create, context.text, &catalog, &FormatDefaults::from(context.settings()))?;
    let unbuilt = definition.source.unbuilt_format();
    // Checked before a topic is created, too.
    let source = Box::new(definition.source.clone());
    let change = CatalogChange::DefineSource { source, replace: create.or_replace };
    dry_run(&catalog, &change, span)?;
    let transport = context.process.transport().clone();
    blocking(move || topic::ensure(transport.admin(), &definition, span)).await??;
    context.publish(change, span).await?;
    let kind = capital(source_kind(create.kind).word());
    let warning = |error| format!("{error}: its records cannot be read or written");
    Ok(Answer::Done {
        message: format!("{kind} \"{}\" created", create.name.value),
        warnings: unbuilt.map(warning).into_iter().collect(),
    })
}
