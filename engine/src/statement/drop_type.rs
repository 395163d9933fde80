//! DROP TYPE: removes the name of a type. Columns that were declared with it keep the type.

use headwater_language::catalog::CatalogChange;
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_TYPE};
use headwater_language::sql::ast;

use super::wording::unless_forgiven;
use super::{Answered, Context};
use crate::answer::Answer;

/// Drops the type.
pub(crate) async fn run(drop: &ast::DropNamed, context: &mut Context<'_>) -> Answered {
    let (catalog, name) = (context.catalog().await?, &drop.name.value);
    if catalog.custom_type(name).is_none() {
        let names = catalog.custom_types().map(|(name, _)| name);
        let error = Diagnostic::new(UNKNOWN_TYPE, format!("type \"{name}\" does not exist"));
        return unless_forgiven(drop.if_exists, error.at(drop.name.span).nearest_of(name, names));
    }
    context.publish(CatalogChange::DropType { name: name.clone() }, drop.name.span).await?;
    Ok(Answer::done(format!("Type \"{name}\" dropped")))
}
