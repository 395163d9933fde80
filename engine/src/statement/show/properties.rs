//! SHOW PROPERTIES.

use headwater_language::config::{PROPERTIES, Property};

use super::super::Context;
use crate::answer::{Facts, PropertyListing};

/// Lists all properties with their values in the session.
pub(super) fn run(context: &Context<'_>) -> Facts {
    let settings = context.settings();
    let listing = |property: &Property| PropertyListing {
        name: property.name,
        is_set: settings.is_set(property),
        value: settings.get(property.name).to_owned(),
        about: property.about,
    };
    Facts::Properties(PROPERTIES.iter().map(listing).collect())
}
