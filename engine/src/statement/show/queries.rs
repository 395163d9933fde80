//! SHOW QUERIES.

use headwater_language::diagnostic::Diagnostic;

use super::super::{Context, query_facts};
use crate::answer::Facts;

/// Lists all persistent queries; with `extended`, describes them like EXPLAIN.
pub(super) async fn run(extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let queries: Vec<_> = catalog.queries().collect();
    match extended {
        false => query_facts::listed(&queries, &catalog, context.process).await,
        true => query_facts::described(&queries, &catalog, context.process).await,
    }
}
