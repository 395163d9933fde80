//! Registers functions defined by statements in a session, each with the functions that it calls.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql;
use sqlparser::ast::{Expr, ExprWithAlias};

use super::rewrite::rewrite_expr;
use crate::dialect::{Declared, UserFunction};
use crate::errors::diagnose;

/// Whether a function of this name was defined by a statement.
pub fn is_defined(name: &str, state: &SessionState) -> bool {
    let found = state.scalar_functions().get(&name.to_lowercase());
    found.is_some_and(|function| function.inner().downcast_ref::<UserFunction>().is_some())
}

/// The names of the functions defined by statements.
pub fn defined(state: &SessionState) -> Vec<String> {
    let names = state.scalar_functions().keys().filter(|name| is_defined(name, state));
    names.map(|name| name.to_uppercase()).collect()
}

/// Adds functions to a state. Fails if a definition can no longer be planned.
pub fn register(mut state: SessionState, functions: &[FunctionDef]) -> Result<SessionState, Vec<Diagnostic>> {
    let planned = functions.iter().map(|def| planned(def, &state)).collect::<Result<Vec<_>, _>>()?;
    for function in planned {
        // Registering replaces a function of the same name; for scalar functions it cannot fail.
        let _ = state.register_udf(Arc::new(ScalarUDF::from(function)));
    }
    Ok(state)
}

/// Plans a definition as a DataFusion function. Everything that was checked when it was created still holds.
fn planned(def: &FunctionDef, state: &SessionState) -> Result<UserFunction, Vec<Diagnostic>> {
    let body = sql::parse_expr(&def.body).map_err(|error| vec![of_another_text(error, def)])?;
    let function = with_body(def, &body, state);
    function.map_err(|errors| errors.into_iter().map(|error| of_another_text(error, def)).collect())
}

/// Plans a definition whose expression is already parsed. Errors have locations in the text of the expression.
pub fn with_body(def: &FunctionDef, body: &Expr, state: &SessionState) -> Result<UserFunction, Vec<Diagnostic>> {
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
    let names = DFSchema::try_from(declared.schema()?.as_ref().clone())?;
    let planned = state.create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &names)?;
    UserFunction::declared(declared)?.with_body(planned)
}

/// The declaration of a function, without its expression.
pub fn declared(def: &FunctionDef) -> Declared {
    Declared {
        name: def.name.clone(),
        arguments: def.arguments.iter().map(|a| (a.name.clone(), a.ty.clone())).collect(),
        returns: def.returns.clone(),
        text: def.body.clone(),
    }
}

/// An error in the expression of a function that another statement calls.
fn of_another_text(error: Diagnostic, def: &FunctionDef) -> Diagnostic {
    Diagnostic { span: None, ..error }.detail(format!("The error is in function \"{}\": {}", def.name, def.statement))
}
