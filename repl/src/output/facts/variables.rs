//! SHOW VARIABLES.

use headwater_engine::answer::VariableListing;

use crate::output::section::Section;

/// The list of variables.
pub(super) fn sections(listed: &[VariableListing]) -> Vec<Section> {
    let rows = listed.iter().map(|variable| vec![variable.name.clone(), variable.value.clone()]);
    vec![Section::table(&["Variable Name", "Value"], rows)]
}
