//! SHOW REJECTS.

use headwater_engine::answer::Rejects;
use headwater_formats::record::Reject;

use crate::output::section::Section;

/// The rejected records, and below them a note if there were more.
pub(super) fn sections(rejects: Option<&Rejects>) -> Vec<Section> {
    let Some(Rejects { kept, total }) = rejects else {
        return vec![Section::text("No query has run yet.".to_owned())];
    };
    let row = |reject: &Reject| {
        let Reject { origin, offset, side, reason } = reject;
        vec![
            origin.topic.to_string(),
            origin.partition.to_string(),
            offset.to_string(),
            side.to_string(),
            reason.clone(),
        ]
    };
    let mut section = Section::table(&["Topic", "Partition", "Offset", "Side", "Reason"], kept.iter().map(row));
    if *total > kept.len() as u64 {
        section.text = Some(format!("Only the first {} of {total} rejected records are listed.", kept.len()));
    }
    vec![section]
}
