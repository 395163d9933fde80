//! TERMINATE: ends persistent queries for good.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;

use super::choice::{chosen_to_stop, done_to};
use super::cleanup::cleanup;
use super::{Answered, Context};

/// Ends the queries. Those that run in this process have committed when it returns.
pub(crate) async fn run(choice: &ast::QueryChoice, context: &mut Context<'_>) -> Answered {
    let (ids, span) = chosen_to_stop(choice, "terminated", context).await?;
    let before = context.catalog().await?;
    let mut after = before.clone();
    for id in &ids {
        after = context.publish(CatalogChange::DropQuery { id: id.clone() }, span).await?;
    }
    context.process.sync().await?;
    cleanup(done_to(&ids, "terminated"), (&before, &after), context).await
}
