//! Subjects and versions that are deleted: first softly, so that ids can still be read, then for good.
//!
//! Clients remember what an id means, so it is not given again: the largest one is written before a version that may
//! have it is gone, and with it, once the log is compacted, its record.

use serde_json::json;

use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::record::{Change, SchemaValue};
use crate::state::Version;

impl Ask<'_> {
    pub(super) fn delete_subject(self, subject: &str) -> Handled {
        let versions = self.state.versions(subject).ok_or_else(|| Fault::SubjectNotFound(subject.to_owned()))?;
        let living: Vec<u32> = versions.iter().filter(|(_, version)| !version.deleted).map(|(n, _)| *n).collect();
        let permanent = self.request.query.is("permanent");
        let (numbers, mut changes) = match (permanent, living.last()) {
            (true, Some(_)) => return Err(Fault::SubjectNotSoftDeleted(subject.to_owned())),
            (true, None) => {
                let numbers: Vec<u32> = versions.keys().copied().collect();
                let gone = |version: &u32| Change::SchemaGone { subject: subject.to_owned(), version: *version };
                let changes = [self.last_id()].into_iter().chain(numbers.iter().map(gone)).collect();
                (numbers, changes)
            }
            (false, None) => return Err(Fault::SubjectSoftDeleted(subject.to_owned())),
            (false, Some(last)) => {
                let change = Change::SubjectDeleted { subject: subject.to_owned(), version: *last };
                (living, vec![change])
            }
        };
        self.not_referenced(subject, &numbers)?;
        if self.state.own_level(Some(subject)).is_some() {
            changes.push(Change::Level { subject: Some(subject.to_owned()), level: None });
        }
        Outcome::with(changes, json!(numbers))
    }

    pub(super) fn delete_version(self, subject: &str, name: &str) -> Handled {
        let permanent = self.request.query.is("permanent");
        // The latest one is the latest of those that are not deleted.
        let (number, version) = self.find(subject, name, name != "latest" && name != "-1")?;
        let changes = match (permanent, version.deleted) {
            (true, false) => return Err(Fault::VersionNotSoftDeleted(subject.to_owned(), number)),
            (false, true) => return Err(Fault::VersionSoftDeleted(subject.to_owned(), number)),
            (true, true) => {
                vec![self.last_id(), Change::SchemaGone { subject: subject.to_owned(), version: number }]
            }
            (false, false) => vec![self.hidden(subject, number, version)?],
        };
        self.not_referenced(subject, &[number])?;
        Outcome::with(changes, json!(number))
    }

    fn last_id(self) -> Change {
        Change::LastId(self.state.last_id())
    }

    fn hidden(self, subject: &str, number: u32, version: Version) -> Result<Change, Fault> {
        let content = self.state.content(version.id).ok_or(Fault::SchemaNotFound)?;
        let place = (subject, number);
        let mut value = SchemaValue::new(place, version.id, content.kind, &content.text, &content.references);
        value.deleted = true;
        Ok(Change::Schema(value))
    }

    fn not_referenced(self, subject: &str, numbers: &[u32]) -> Result<(), Fault> {
        let referenced = numbers.iter().filter(|number| !self.state.referring(subject, **number).is_empty());
        let places: Vec<_> = referenced.map(|number| format!("subject={subject},version={number}")).collect();
        if places.is_empty() { Ok(()) } else { Err(Fault::Referenced(places)) }
    }
}
