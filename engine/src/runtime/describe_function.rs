//! DESCRIBE FUNCTION: what it does, how it is called, examples.

use datafusion::execution::session_state::SessionState;

use crate::answer::Section;
use crate::diagnostic::Diagnostic;
use crate::functions::{Category, Function, find, list, unknown};

/// All there is to say about a function: what it does, how it is called, examples.
pub fn describe(name: &str, state: &SessionState) -> Result<Vec<Section>, Diagnostic> {
    if let Some(function) = find(name) {
        return Ok(sections(function));
    }
    let listed = list(state);
    match listed.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((name, kind)) => {
            Ok(vec![facts(name, "A function of DataFusion, whose documentation describes it.", kind)])
        }
        None => Err(unknown(name, listed.iter().map(|(name, _)| name.as_str()))),
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

fn sections(function: &Function) -> Vec<Section> {
    let kind = if function.category == Category::Table { "TABLE" } else { "SCALAR" };
    let mut first = facts(function.name, function.about, kind);
    first.rows.push(vec!["Category".to_owned(), function.category.word().to_owned()]);
    let variants = function
        .variants
        .iter()
        .map(|variant| vec![variant.text(function.name), variant.returns_text(), variant.about.to_owned()]);
    let variants = Section {
        title: Some("Variations".to_owned()),
        columns: ["Variation", "Returns", "Description"].map(str::to_owned).to_vec(),
        rows: variants.collect(),
        text: None,
    };
    let mut told = vec![first, variants];
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
