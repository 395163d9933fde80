//! SHOW TYPES.

use headwater_language::diagnostic::Diagnostic;

use super::super::Context;
use crate::answer::{Facts, TypeListing};

/// Lists the types that CREATE TYPE has named.
pub(super) async fn run(context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let types = catalog.custom_types().map(|(name, ty)| TypeListing { name: name.to_owned(), ty: ty.clone() });
    Ok(Facts::Types(types.collect()))
}
