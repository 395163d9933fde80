//! CREATE TYPE: gives a type a name.

use headwater_language::catalog::CatalogChange;
use headwater_language::sql::ast;
use headwater_planner::types::resolve;

use super::wording::exists_already;
use super::{Answered, Context};
use crate::answer::Answer;

/// Names the type.
pub(crate) async fn run(create: &ast::CreateType, context: &mut Context<'_>) -> Answered {
    let (catalog, name) = (context.catalog().await?, &create.name.value);
    if create.if_not_exists && catalog.custom_type(name).is_some() {
        return Ok(exists_already("type", name));
    }
    let ty = resolve(&create.ty, &catalog).map_err(|error| vec![*error])?;
    let change = CatalogChange::DefineType { name: name.clone(), ty };
    context.publish(change, create.name.span).await?;
    Ok(Answer::done(format!("Type \"{name}\" created")))
}
