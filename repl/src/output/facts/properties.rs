//! SHOW PROPERTIES.

use headwater_engine::answer::PropertyListing;

use crate::output::section::Section;

/// The list of properties.
pub(super) fn sections(listed: &[PropertyListing]) -> Vec<Section> {
    let row = |property: &PropertyListing| {
        let changed = if property.is_set { "SESSION" } else { "" };
        [property.name, changed, &property.value, property.about].map(str::to_owned).to_vec()
    };
    vec![Section::table(&["Property", "Default override", "Effective Value", "About"], listed.iter().map(row))]
}
