//! SHOW FUNCTIONS.

use headwater_engine::answer::FunctionListing;

use crate::output::section::Section;

/// The list of functions.
pub(super) fn sections(listed: &[FunctionListing]) -> Vec<Section> {
    let rows = listed.iter().map(|function| vec![function.name.clone(), function.category.to_owned()]);
    vec![Section::table(&["Function Name", "Category"], rows)]
}
