//! SHOW VARIABLES.

use super::super::Context;
use crate::answer::{Facts, VariableListing};

/// Lists the variables of the session.
pub(super) fn run(context: &Context<'_>) -> Facts {
    let variables = context.session.variables().iter();
    let listing = |(name, value): (&String, &String)| VariableListing { name: name.clone(), value: value.clone() };
    Facts::Variables(variables.map(listing).collect())
}
