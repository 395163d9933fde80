//! SHOW QUERIES.

use super::super::{Context, query_facts};
use crate::answer::Facts;
use crate::diagnostic::Diagnostic;

/// All persistent queries; with `extended` as EXPLAIN describes them.
pub(super) async fn run(extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let queries: Vec<_> = catalog.queries().collect();
    match extended {
        false => query_facts::listed(&queries, &catalog, context.engine).await,
        true => query_facts::described(&queries, &catalog, context.engine).await,
    }
}
