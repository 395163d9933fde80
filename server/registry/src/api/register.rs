//! A new schema under a subject.

use serde_json::json;

use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::record::{Change, SchemaValue};

impl Ask<'_> {
    pub(super) fn register(self, subject: &str) -> Handled {
        let (content, parsed) = self.sent()?;
        let versions = self.state.versions(subject);
        let living = versions.into_iter().flatten().filter(|(_, version)| !version.deleted);
        let id = self.state.id_for(&content);
        if living.into_iter().any(|(_, version)| version.id == id) {
            return Outcome::ok(json!({ "id": id }));
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
