//! CREATE FUNCTION: defines a function whose body is an expression.
//!
//! Queries keep their own copies of the functions that they call, so running queries are not affected. The answer lists
//! them.

use headwater_language::catalog::{Catalog, CatalogChange};
use headwater_language::definition::FunctionDef;
use headwater_language::sql::ast;
use headwater_planner::function::define;

use super::wording::exists_already;
use super::{Answered, Context};
use crate::answer::Answer;

/// Defines the function.
pub(crate) async fn run(create: &ast::CreateFunction, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    let function = define(create, context.text, &catalog)?;
    let (name, replace) = (function.name.clone(), create.or_replace);
    let existed = catalog.function(&name).is_some();
    if create.if_not_exists && existed {
        return Ok(exists_already("function", &name));
    }
    let change = CatalogChange::DefineFunction { function: Box::new(function), replace };
    context.publish(change, create.name.span).await?;
    let done = if existed { "replaced" } else { "created" };
    let warnings = if existed { kept(&catalog, &name) } else { Vec::new() };
    Ok(Answer::Done { message: format!("Function \"{name}\" {done}"), warnings })
}

/// Warnings about the queries and functions that still use the former version of a function.
pub(super) fn kept(catalog: &Catalog, name: &str) -> Vec<String> {
    let calls = |functions: &[FunctionDef]| functions.iter().any(|def| def.involves(name));
    let queries = catalog.queries().filter(|query| calls(query.topology.functions())).map(|query| query.id.as_str());
    let others = catalog.functions().filter(|def| calls(&def.functions)).map(|def| def.name.as_str());
    let listed = |what: &str, names: Vec<&str>| match &names[..] {
        [] => None,
        [one] => Some(format!("{what} {one} still uses the former version; replace it to change that")),
        many => Some(format!("{what} {} still use the former version; replace them to change that", many.join(", "))),
    };
    listed("query", queries.collect()).into_iter().chain(listed("function", others.collect())).collect()
}
