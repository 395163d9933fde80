//! ALTER STREAM and ALTER TABLE: add columns.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;
use headwater_planner::alter::alter;

use super::wording::capital;
use super::{Answered, Context};
use crate::answer::Answer;

/// Adds the columns.
pub(crate) async fn run(statement: &ast::AlterSource, context: &mut Context<'_>) -> Answered {
    let source = alter(statement, context.text, &*context.catalog().await?)?;
    let (kind, name) = (source.kind.word(), source.name.clone());
    let change = CatalogChange::DefineSource { source: Box::new(source), replace: true };
    context.publish(change, statement.name.span).await?;
    Ok(Answer::done(format!("{} \"{name}\" altered", capital(kind))))
}
