//! PAUSE: stops persistent queries until RESUME.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;

use super::choice::{chosen_to_stop, done_to};
use super::{Answered, Context};

/// Pauses the queries. Those that run in this process have committed when it returns.
pub(crate) async fn run(choice: &ast::QueryChoice, context: &mut Context<'_>) -> Answered {
    let (ids, span) = chosen_to_stop(choice, "paused", context).await?;
    for id in &ids {
        let change = CatalogChange::PauseQuery { id: id.clone(), paused: true, from: None, ends: None };
        context.publish(change, span).await?;
    }
    context.process.sync().await?;
    Ok(done_to(&ids, "paused"))
}
