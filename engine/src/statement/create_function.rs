//! CREATE FUNCTION and DROP FUNCTION.
//!
//! Queries hold the functions that they call, so neither touches one that runs; the answer says which those are.

use crate::answer::Answer;
use crate::catalog::{Catalog, CatalogChange};
use crate::diagnostic::{Diagnostic, UNKNOWN_FUNCTION};
use crate::engine::{Engine, unless_forgiven};
use crate::functions;
use crate::planner::function::define;
use crate::sql::ast;

impl Engine {
    /// CREATE FUNCTION.
    pub(crate) async fn create_function(
        &self,
        create: &ast::CreateFunction,
        text: &str,
    ) -> Result<Answer, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let function = define(create, text, &catalog)?;
        let (name, replace) = (function.name.clone(), create.or_replace);
        let stood = catalog.function(&name).is_some();
        if create.if_not_exists && stood {
            return Ok(Answer::warning(format!("function \"{name}\" exists already; nothing was done")));
        }
        let change = CatalogChange::DefineFunction { function: Box::new(function), replace };
        self.publish(text, change, create.name.span).await?;
        let done = if stood { "replaced" } else { "created" };
        let warnings = if stood { kept(&catalog, &name) } else { Vec::new() };
        Ok(Answer::Done { message: format!("Function \"{name}\" {done}"), warnings })
    }

    /// DROP FUNCTION.
    pub(crate) async fn drop_function(&self, drop: &ast::DropNamed, text: &str) -> Result<Answer, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let name = drop.name.to_uppercase();
        if catalog.function(&name).is_none() {
            return unknown(&catalog, drop, &name);
        }
        self.publish(text, CatalogChange::DropFunction { name: name.clone() }, drop.name.span).await?;
        Ok(Answer::Done { message: format!("Function \"{name}\" dropped"), warnings: kept(&catalog, &name) })
    }
}

fn unknown(catalog: &Catalog, drop: &ast::DropNamed, name: &str) -> Result<Answer, Vec<Diagnostic>> {
    let built_in = functions::find(name).is_some();
    let message = match built_in {
        true => format!("function \"{name}\" is built in and cannot be dropped"),
        false => format!("function \"{name}\" does not exist"),
    };
    let names = catalog.functions().filter(|_| !built_in).map(|def| def.name.as_str());
    let error = Diagnostic::new(UNKNOWN_FUNCTION, message).at(drop.name.span).nearest_of(name, names);
    unless_forgiven(drop.if_exists && !built_in, error)
}

/// Who goes on with the function as it was.
fn kept(catalog: &Catalog, name: &str) -> Vec<String> {
    let calls = |functions: &[crate::catalog::FunctionDef]| functions.iter().any(|def| def.involves(name));
    let queries = catalog.queries().filter(|query| calls(&query.topology.functions)).map(|query| query.id.as_str());
    let others = catalog.functions().filter(|def| calls(&def.functions)).map(|def| def.name.as_str());
    let listed = |what: &str, names: Vec<&str>| match &names[..] {
        [] => None,
        [one] => Some(format!("{what} {one} keeps the function as it was; replace it to change that")),
        many => Some(format!("{what} {} keep the function as it was; replace them to change that", many.join(", "))),
    };
    listed("query", queries.collect()).into_iter().chain(listed("function", others.collect())).collect()
}
