//! Whether a schema could be registered under a subject.

use headwater_registry::Level;
use serde_json::json;

use super::resolve::parse;
use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::kinds::{Parsed, differences};
use crate::state::Version;

impl Ask<'_> {
    /// Compares the schema in the request with a version, or with those that count for the level of the subject.
    pub(super) fn compare(self, subject: &str, version: Option<&str>) -> Handled {
        let version = match version.map(|name| self.find(subject, name, false)) {
            // Nothing keeps the first schema of a subject from being registered.
            Some(Err(Fault::SubjectNotFound(_))) if version == Some("latest") => None,
            found => found.transpose()?,
        };
        let (_, parsed) = self.sent()?;
        let messages = self.conflicts(subject, &parsed, version);
        let mut body = json!({ "is_compatible": messages.is_empty() });
        if self.request.query.is("verbose") {
            body["messages"] = json!(messages);
        }
        Outcome::ok(body)
    }

    /// Why a schema is not compatible with the versions that count for the level of the subject, or with one of them.
    pub(super) fn conflicts(self, subject: &str, new: &Parsed, with: Option<(u32, Version)>) -> Vec<String> {
        let level = self.state.level(subject);
        if level == Level::None {
            return Vec::new();
        }
        let versions = self.state.versions(subject).into_iter().flatten();
        let living = versions.filter(|(_, version)| !version.deleted).map(|(number, version)| (*number, *version));
        let counting = match with {
            Some(version) => vec![version],
            None if level.is_transitive() => living.rev().collect(),
            None => living.rev().take(1).collect(),
        };
        for (number, version) in counting {
            let messages = self.differing(level, new, version);
            if !messages.is_empty() {
                return self.explained(messages, level, number, version);
            }
        }
        Vec::new()
    }

    fn differing(self, level: Level, new: &Parsed, version: Version) -> Vec<String> {
        let Some(content) = self.state.content(version.id) else { return Vec::new() };
        let old = match parse(self.state, content) {
            Ok(old) => old,
            Err(error) => return vec![format!("the earlier schema could not be parsed: {error}")],
        };
        let mut messages = Vec::new();
        if level.is_backward() {
            messages.extend(differences(new, &old).into_iter().map(|difference| difference.named(true).to_string()));
        }
        if level.is_forward() {
            messages.extend(differences(&old, new).into_iter().map(|difference| difference.named(false).to_string()));
        }
        messages
    }

    /// The differences together with what was compared, as in Confluent's registry.
    fn explained(self, mut messages: Vec<String>, level: Level, number: u32, version: Version) -> Vec<String> {
        messages.push(format!("{{oldSchemaVersion: {number}}}"));
        if let Some(content) = self.state.content(version.id) {
            messages.push(format!("{{oldSchema: '{}'}}", content.text));
        }
        messages.push(format!("{{compatibility: '{level}'}}"));
        messages
    }
}
