//! SELECT: the current rows of topics, or with EMIT CHANGES rows as records arrive.

use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;
use headwater_planner::continuous;
use headwater_planner::lookup::Lookup;

use super::{Answered, Context};
use crate::answer::{Answer, Rows};
use crate::runtime::bounded::{Bounded, Environment};
use crate::runtime::{blocking, lookup, push};

/// Starts the query. The answer is a stream of its rows.
pub(crate) async fn run(query: &ast::Query, context: &mut Context<'_>) -> Answered {
    match query.is_bounded() {
        true => run_bounded(query, context).await,
        false => run_push(query, context).await,
    }
}

async fn run_bounded(query: &ast::Query, context: &mut Context<'_>) -> Answered {
    if let Some(rows) = look_up(query, context).await? {
        context.session.remember(rows.progress.clone());
        return Ok(Answer::Rows(rows));
    }
    let bounded = plan(query, context).await?;
    context.session.remember(bounded.progress().clone());
    bounded.run().map(Answer::Rows)
}

/// The rows of a query that looks one key up in a state of this process; `None` if it is another query.
async fn look_up(query: &ast::Query, context: &mut Context<'_>) -> Result<Option<Rows>, Vec<Diagnostic>> {
    let process = context.process;
    // What this process runs has not ended long ago: a look-up of it does not ask the cluster for later definitions.
    if let Some(lookup) = process.recent_catalog().and_then(|catalog| Lookup::of(query, &catalog))
        && let Some(rows) = lookup::rows(&lookup, process.transport(), process.states(), context.settings()).await?
    {
        return Ok(Some(rows));
    }
    let catalog = context.catalog().await?;
    let Some(lookup) = Lookup::of(query, &catalog) else { return Ok(None) };
    lookup::rows(&lookup, process.transport(), process.states(), context.settings()).await
}

async fn run_push(query: &ast::Query, context: &mut Context<'_>) -> Answered {
    let (catalog, settings) = (context.catalog().await?, context.settings().clone());
    let push = continuous::push(query, &catalog, &settings)?;
    let transport = context.process.transport().clone();
    let rows = blocking(move || push::start(&push, &transport, &settings)).await??;
    context.session.remember(rows.progress.clone());
    Ok(Answer::Rows(rows))
}

/// Plans a bounded query and freezes the ends of its topics.
pub(super) async fn plan(query: &ast::Query, context: &mut Context<'_>) -> Result<Bounded, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let (transport, states) = (context.process.transport(), context.process.states());
    let settings = context.settings();
    Bounded::plan(query, &Environment { transport, catalog: &catalog, states, settings }).await
}
