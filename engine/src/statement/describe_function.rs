//! DESCRIBE FUNCTION: what a function does, how to call it, examples.

use datafusion::execution::session_state::SessionState;
use headwater_functions::{Category, Function, aggregate, find, list, unknown};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;

use super::Context;
use crate::answer::{CalledAs, Facts, FunctionDescription, FunctionKind};
use crate::runtime::bounded::Bounded;

/// The category of functions that are defined by statements.
pub(super) const DEFINED: &str = "DEFINED BY A STATEMENT";

/// Describes the function.
pub(super) async fn run(name: &ast::Spanned<String>, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let state = Bounded::bare_state(&Settings::default());
    let described = describe(&name.value, &*context.catalog().await?, &state);
    described.map(Facts::Function).map_err(|unknown| vec![unknown.at(name.span)])
}

fn describe(name: &str, catalog: &Catalog, state: &SessionState) -> Result<FunctionDescription, Diagnostic> {
    if let Some(function) = find(name) {
        return Ok(built_in(function));
    }
    if let Some(function) = aggregate::find(name) {
        return Ok(built_in(function));
    }
    if let Some(function) = catalog.function(&name.to_uppercase()) {
        return Ok(defined(function));
    }
    let listed = list(state);
    match listed.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((name, family)) => Ok(of_bounded(name, family)),
        None => {
            let defined = catalog.functions().map(|function| function.name.as_str());
            Err(unknown(name, listed.iter().map(|(name, _)| name.as_str()).chain(defined)))
        }
    }
}

/// A function of the dialect.
fn built_in<K>(function: &Function<K>) -> FunctionDescription {
    let variants = function.variants.iter().map(|variant| CalledAs {
        call: variant.text(function.name),
        returns: variant.returns_text(),
        about: variant.about.to_owned(),
    });
    FunctionDescription {
        name: function.name.to_owned(),
        about: function.about,
        kind: match function.category {
            Category::Table => FunctionKind::Table,
            Category::Aggregate => FunctionKind::Aggregate,
            _ => FunctionKind::Scalar,
        },
        category: Some(function.category.word()),
        statement: None,
        calls: Vec::new(),
        variants: variants.collect(),
        examples: function.examples.to_vec(),
    }
}

/// A function that is defined by a statement.
fn defined(function: &FunctionDef) -> FunctionDescription {
    let (call, returns, about) = (function.signature(), function.returns.to_string(), function.body.clone());
    FunctionDescription {
        name: function.name.clone(),
        about: "Defined by a statement.",
        kind: FunctionKind::Scalar,
        category: Some(DEFINED),
        statement: Some(function.statement.clone()),
        calls: function.functions.iter().map(|inner| inner.statement.clone()).collect(),
        variants: vec![CalledAs { call, returns, about }],
        examples: Vec::new(),
    }
}

/// A function that only bounded queries have.
fn of_bounded(name: &str, family: &'static str) -> FunctionDescription {
    FunctionDescription {
        name: name.to_owned(),
        about: "A function of DataFusion, whose documentation describes it.",
        kind: FunctionKind::OfBounded(family),
        category: None,
        statement: None,
        calls: Vec::new(),
        variants: Vec::new(),
        examples: Vec::new(),
    }
}
