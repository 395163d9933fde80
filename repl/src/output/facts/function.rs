//! DESCRIBE FUNCTION.

use headwater_engine::answer::{CalledAs, FunctionDescription, FunctionKind};

use crate::output::section::Section;

/// The kind of the function, its signatures, and examples.
pub(super) fn sections(described: &FunctionDescription) -> Vec<Section> {
    let FunctionDescription { variants, examples, .. } = described;
    let mut sections = vec![facts(described)];
    if !variants.is_empty() {
        let row = |way: &CalledAs| vec![way.call.clone(), way.returns.clone(), way.about.clone()];
        let columns = ["Variation", "Returns", "Description"];
        sections.push(Section::table(&columns, variants.iter().map(row)).titled("Variations"));
    }
    if !examples.is_empty() {
        let examples = examples.iter().map(|(call, result)| (*call, (*result).to_owned()));
        sections.push(Section::pairs(["Example", "Result"], examples).titled("Examples"));
    }
    sections
}

fn facts(described: &FunctionDescription) -> Section {
    let mut facts = vec![
        ("Name", described.name.clone()),
        ("Overview", described.about.to_owned()),
        ("Type", kind(described.kind).to_owned()),
    ];
    facts.extend(described.category.map(|category| ("Category", category.to_owned())));
    facts.extend(described.statement.iter().map(|statement| ("Statement", statement.clone())));
    facts.extend(described.calls.iter().map(|statement| ("Calls", statement.clone())));
    Section::pairs(["Property", "Value"], facts)
}

fn kind(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Scalar => "SCALAR",
        FunctionKind::Table => "TABLE",
        FunctionKind::Aggregate => "AGGREGATE",
        FunctionKind::OfBounded(family) => family,
    }
}
