//! Functions that statements define: what a definition must be, and how queries come to know it.
//!
//! A query's plan holds the definitions of the functions it calls, each with those that it calls in turn. So a query that
//! runs goes on as it was made, whatever becomes of a function later.

mod body;
mod define;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use sqlparser::ast::{Expr, ExprWithAlias, Visit};

use super::rewrite::rewrite_expr;
use crate::catalog::Catalog;
use crate::definition::FunctionDef;
use crate::diagnostic::Diagnostic;
use crate::dialect::{Declared, UserFunction};
use crate::errors::diagnose;
use crate::sql;

pub use define::define;

/// The functions of the catalog that are called in some parts of a statement, by name, each once.
pub fn called<'a, V: Visit + 'a>(parts: impl IntoIterator<Item = &'a V>, catalog: &Catalog) -> Vec<FunctionDef> {
    let mut names = BTreeSet::new();
    for part in parts {
        sql::each_expr(part, &mut |expr| {
            if let Expr::Function(function) = expr
                && let [part] = &function.name.0[..]
                && let Some(name) = part.as_ident()
            {
                names.insert(name.value.to_uppercase());
            }
        });
    }
    names.iter().filter_map(|name| catalog.function(name)).map(|def| def.as_ref().clone()).collect()
}

/// Whether a function of this name was defined by a statement.
pub fn is_defined(name: &str, state: &SessionState) -> bool {
    let found = state.scalar_functions().get(&name.to_lowercase());
    found.is_some_and(|function| function.inner().downcast_ref::<UserFunction>().is_some())
}

/// Names of the functions that statements defined.
pub fn defined(state: &SessionState) -> Vec<String> {
    let names = state.scalar_functions().keys().filter(|name| is_defined(name, state));
    names.map(|name| name.to_uppercase()).collect()
}

/// Adds functions to a state. Fails on one that has no meaning any more.
pub fn register(mut state: SessionState, functions: &[FunctionDef]) -> Result<SessionState, Vec<Diagnostic>> {
    let planned = functions.iter().map(|def| planned(def, &state)).collect::<Result<Vec<_>, _>>()?;
    for function in planned {
        // Registering replaces a function of the same name; it does not fail for scalar functions.
        let _ = state.register_udf(Arc::new(ScalarUDF::from(function)));
    }
    Ok(state)
}

/// Adds the functions that a statement calls, and the names of all others, so that errors can name them.
pub fn register_called(
    mut state: SessionState,
    called: &[FunctionDef],
    catalog: &Catalog,
) -> Result<SessionState, Vec<Diagnostic>> {
    for def in catalog.functions() {
        if let Ok(function) = UserFunction::declared(Arc::new(declared(def))) {
            let _ = state.register_udf(Arc::new(ScalarUDF::from(function)));
        }
    }
    register(state, called)
}

/// A definition as a function of DataFusion. What was checked when it was made is so still.
fn planned(def: &FunctionDef, state: &SessionState) -> Result<UserFunction, Vec<Diagnostic>> {
    let body = sql::parse_expr(&def.body).map_err(|error| vec![of_another_text(error, def)])?;
    let function = with_body(def, &body, state);
    function.map_err(|errors| errors.into_iter().map(|error| of_another_text(error, def)).collect())
}

/// A definition with its expression as it is parsed. Errors have places in the text of the expression.
fn with_body(def: &FunctionDef, body: &Expr, state: &SessionState) -> Result<UserFunction, Vec<Diagnostic>> {
    let inner = match def.functions.is_empty() {
        true => None,
        false => Some(register(state.clone(), &def.functions)?),
    };
    let mut expr = body.clone();
    let mut errors = Vec::new();
    rewrite_expr(&mut expr, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    plan(def, expr, inner.as_ref().unwrap_or(state)).map_err(|error| diagnose(&error, None))
}

fn plan(def: &FunctionDef, expr: Expr, state: &SessionState) -> DataFusionResult<UserFunction> {
    let declared = Arc::new(declared(def));
    let names = datafusion::common::DFSchema::try_from(declared.schema()?.as_ref().clone())?;
    let planned = state.create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &names)?;
    UserFunction::declared(declared)?.with_body(planned)
}

fn declared(def: &FunctionDef) -> Declared {
    Declared {
        name: def.name.clone(),
        arguments: def.arguments.iter().map(|a| (a.name.clone(), a.ty.clone())).collect(),
        returns: def.returns.clone(),
        text: def.body.clone(),
    }
}

/// An error in the expression of a function that some other statement calls.
fn of_another_text(error: Diagnostic, def: &FunctionDef) -> Diagnostic {
    Diagnostic { span: None, ..error }.detail(format!("It is in function \"{}\": {}", def.name, def.statement))
}
