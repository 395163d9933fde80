//! SHOW TYPES.

use headwater_engine::answer::TypeListing;

use crate::output::section::Section;

/// The list of named types.
pub(super) fn sections(listed: &[TypeListing]) -> Vec<Section> {
    let rows = listed.iter().map(|named| vec![named.name.clone(), named.ty.to_string()]);
    vec![Section::table(&["Type Name", "Schema"], rows)]
}
