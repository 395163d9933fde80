//! SHOW FUNCTIONS.

use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::Diagnostic;

use super::super::Context;
use super::super::describe_function::DEFINED;
use crate::answer::{Facts, FunctionListing};
use crate::runtime::bounded::Bounded;

/// Lists the functions that a query can call.
pub(super) async fn run(context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    Ok(Facts::Functions(listed(&catalog, context.settings())))
}

/// The dialect's functions, those defined by statements, and those that only bounded queries can call, by name.
pub(crate) fn listed(catalog: &Catalog, settings: &Settings) -> Vec<FunctionListing> {
    let built_in = headwater_functions::list(&Bounded::bare_state(settings)).into_iter();
    let built_in = built_in.map(|(name, category)| FunctionListing { name, category });
    let defined = |name: &String| FunctionListing { name: name.clone(), category: DEFINED };
    let mut all: Vec<_> = built_in.chain(catalog.functions().map(|function| defined(&function.name))).collect();
    all.sort();
    all
}
