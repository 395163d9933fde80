//! DESCRIBE FUNCTION: what it does, how it is called, examples.

use datafusion::execution::session_state::SessionState;

use super::show::DEFINED;
use super::{Answered, Context};
use crate::answer::{Answer, Section};
use crate::catalog::{Catalog, FunctionDef};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::functions::{Category, Function, aggregate, find, list, unknown};
use crate::runtime::bounded::Bounded;
use crate::sql::ast;

/// Describes the function.
pub(super) async fn run(name: &ast::Spanned<String>, context: &mut Context<'_>) -> Answered {
    let state = Bounded::bare_state(&Settings::default());
    let described = describe(&name.value, &*context.catalog().await?, &state);
    described.map(Answer::Facts).map_err(|unknown| vec![unknown.at(name.span)])
}

/// All there is to say about a function: what it does, how it is called, examples.
fn describe(name: &str, catalog: &Catalog, state: &SessionState) -> Result<Vec<Section>, Diagnostic> {
    if let Some(function) = find(name) {
        return Ok(sections(function));
    }
    if let Some(function) = aggregate::find(name) {
        return Ok(sections(function));
    }
    if let Some(function) = catalog.function(&name.to_uppercase()) {
        return Ok(defined(function));
    }
    let listed = list(state);
    match listed.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((name, kind)) => {
            Ok(vec![facts(name, "A function of DataFusion, whose documentation describes it.", kind)])
        }
        None => {
            let defined = catalog.functions().map(|function| function.name.as_str());
            Err(unknown(name, listed.iter().map(|(name, _)| name.as_str()).chain(defined)))
        }
    }
}

fn facts(name: &str, about: &str, kind: &str) -> Section {
    let rows = [("Name", name), ("Overview", about), ("Type", kind)];
    Section {
        columns: ["Property", "Value"].map(str::to_owned).to_vec(),
        rows: rows.map(|(property, value)| vec![property.to_owned(), value.to_owned()]).to_vec(),
        ..Section::default()
    }
}

/// A function that a statement defined.
fn defined(function: &FunctionDef) -> Vec<Section> {
    let mut first = facts(&function.name, "Defined by a statement.", "SCALAR");
    let mut add = |property: &str, value: String| first.rows.push(vec![property.to_owned(), value]);
    add("Category", DEFINED.to_owned());
    add("Statement", function.statement.clone());
    for inner in &function.functions {
        add("Calls", inner.statement.clone());
    }
    vec![first, variations(vec![vec![function.signature(), function.returns.to_string(), function.body.clone()]])]
}

fn variations(rows: Vec<Vec<String>>) -> Section {
    let columns = ["Variation", "Returns", "Description"].map(str::to_owned).to_vec();
    Section { title: Some("Variations".to_owned()), columns, rows, text: None }
}

fn sections<K>(function: &Function<K>) -> Vec<Section> {
    let kind = match function.category {
        Category::Table => "TABLE",
        Category::Aggregate => "AGGREGATE",
        _ => "SCALAR",
    };
    let mut first = facts(function.name, function.about, kind);
    first.rows.push(vec!["Category".to_owned(), function.category.word().to_owned()]);
    let variants = function
        .variants
        .iter()
        .map(|variant| vec![variant.text(function.name), variant.returns_text(), variant.about.to_owned()]);
    let mut told = vec![first, variations(variants.collect())];
    if !function.examples.is_empty() {
        let examples = function.examples.iter().map(|(call, result)| vec![(*call).to_owned(), (*result).to_owned()]);
        told.push(Section {
            title: Some("Examples".to_owned()),
            columns: ["Example", "Result"].map(str::to_owned).to_vec(),
            rows: examples.collect(),
            text: None,
        });
    }
    told
}
