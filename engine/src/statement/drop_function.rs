//! DROP FUNCTION: removes a function that was defined by a statement.
//!
//! Queries keep their own copies of the functions that they call, so running queries are not affected. The answer lists
//! them.

use headwater_language::catalog::{Catalog, CatalogChange};
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_FUNCTION};
use headwater_language::sql::ast;

use super::create_function::kept;
use super::wording::unless_forgiven;
use super::{Answered, Context};
use crate::answer::Answer;

/// Drops the function.
pub(crate) async fn run(drop: &ast::DropNamed, context: &mut Context<'_>) -> Answered {
    let (catalog, name) = (context.catalog().await?, drop.name.to_uppercase());
    if catalog.function(&name).is_none() {
        return unknown(&catalog, drop, &name);
    }
    context.publish(CatalogChange::DropFunction { name: name.clone() }, drop.name.span).await?;
    Ok(Answer::Done { message: format!("Function \"{name}\" dropped"), warnings: kept(&catalog, &name) })
}

fn unknown(catalog: &Catalog, drop: &ast::DropNamed, name: &str) -> Answered {
    let built_in = headwater_functions::find(name).is_some();
    let message = match built_in {
        true => format!("function \"{name}\" is built in and cannot be dropped"),
        false => format!("function \"{name}\" does not exist"),
    };
    let names = catalog.functions().filter(|_| !built_in).map(|def| def.name.as_str());
    let error = Diagnostic::new(UNKNOWN_FUNCTION, message).at(drop.name.span).nearest_of(name, names);
    unless_forgiven(drop.if_exists && !built_in, error)
}
