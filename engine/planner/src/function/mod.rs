//! Functions defined by statements: what a definition may contain, and how queries find it.
//!
//! A query's plan contains the definitions of the functions that it calls, each with the functions that it calls in
//! turn. So a running query does not change when a function is replaced or dropped later.

mod body;
mod define;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use headwater_expression::dialect::UserFunction;
use headwater_expression::{declared, register};
use headwater_language::catalog::Catalog;
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql;
use sqlparser::ast::Expr;

pub use define::define;

/// The functions of the catalog that parts of a statement call, by name, without duplicates.
pub fn called<'a, T: sql::Tree + 'a>(parts: impl IntoIterator<Item = &'a T>, catalog: &Catalog) -> Vec<FunctionDef> {
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

/// Adds the functions that a statement calls, and the names of all others so that errors can suggest them.
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
