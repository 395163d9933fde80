//! INSERT INTO … SELECT: creates a persistent query that writes to an existing stream.

use headwater_language::sql::ast;
use headwater_planner::continuous as planner;

use super::persist::{persist, warnings};
use super::{Answered, Context, joined};
use crate::answer::Answer;

/// Creates the query.
pub(crate) async fn run(insert: &ast::InsertSelect, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    let planned = planner::insert_select(insert, context.text, &catalog, context.settings())?;
    joined::check(&planned.query.topology, insert.query.span, context).await?;
    let after = persist(planned, false, context).await?;
    let made = after.queries().find(|query| catalog.query(&query.id).is_none() && query.statement == context.text);
    let made = made.map(|query| query.id.clone()).unwrap_or_default();
    let message = format!("Query {made} inserts into \"{}\"", insert.target.value);
    Ok(Answer::Done { message, warnings: warnings(after.query(&made), context).await? })
}
