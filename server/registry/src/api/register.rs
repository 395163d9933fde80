//! A new schema under a subject.

use serde_json::json;

use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::record::{Change, SchemaValue};
use crate::wire::{self, PlaceBody};

impl Ask<'_> {
    pub(super) fn register(self, subject: &str) -> Handled {
        let place = wire::read::<PlaceBody>(&self.request.body)?;
        let (content, parsed) = self.sent()?;
        let versions = self.state.versions(subject);
        let mut living = versions.into_iter().flatten().filter(|(_, version)| !version.deleted);
        let id = self.state.id_for(&content);
        if living.any(|(number, version)| version.id == id && place.is_at(id, *number)) {
            return Outcome::ok(json!({ "id": id }));
        }
        if !place.is_any() {
            return Err(Fault::NotInImportMode(subject.to_owned()));
        }
        let messages = self.conflicts(subject, &parsed, None);
        if !messages.is_empty() {
            return Err(Fault::Incompatible(subject.to_owned(), messages));
        }
        // Versions that are deleted keep their numbers.
        let version =
            versions.and_then(|versions| versions.keys().next_back()).map_or(1, |last| last.saturating_add(1));
        let value = SchemaValue::new((subject, version), id, content.kind, &content.text, &content.references);
        Outcome::with(vec![Change::Schema(value)], json!({ "id": id }))
    }
}
