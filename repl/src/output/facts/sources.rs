//! SHOW STREAMS and SHOW TABLES.

use headwater_engine::answer::SourceListing;
use headwater_engine::definition::SourceKind;

use crate::output::section::Section;

/// The list of streams or of tables.
pub(super) fn sections(kind: SourceKind, listed: &[SourceListing]) -> Vec<Section> {
    let name = if kind == SourceKind::Stream { "Stream Name" } else { "Table Name" };
    let row = |source: &SourceListing| {
        let SourceListing { name, topic, key_format, value_format, is_windowed } = source.clone();
        vec![name, topic, key_format, value_format, is_windowed.to_string()]
    };
    let columns = [name, "Kafka Topic", "Key Format", "Value Format", "Windowed"];
    vec![Section::table(&columns, listed.iter().map(row))]
}
