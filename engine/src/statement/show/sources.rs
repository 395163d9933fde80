//! SHOW STREAMS and SHOW TABLES.

use headwater_language::definition::{SourceDef, SourceKind};
use headwater_language::diagnostic::Diagnostic;

use super::super::{Context, describe};
use crate::answer::{Facts, SourceListing};

/// Lists all streams or all tables; with `extended`, describes them like DESCRIBE … EXTENDED.
pub(super) async fn run(kind: SourceKind, extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    if extended {
        return describe::all(kind, true, context).await;
    }
    let catalog = context.catalog().await?;
    let sources = catalog.sources().filter(|source| source.kind == kind);
    Ok(Facts::Sources(kind, sources.map(|source| listing(source)).collect()))
}

fn listing(source: &SourceDef) -> SourceListing {
    SourceListing {
        name: source.name.clone(),
        topic: source.topic.clone(),
        key_format: source.key.format.clone(),
        value_format: source.value.format.clone(),
        is_windowed: source.window.is_some(),
    }
}
