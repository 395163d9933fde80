//! Subjects and their versions: lists, single ones, and schemas that are looked for.

use serde_json::{Map, Value, json};

use super::resolve::parse;
use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::kinds::Parsed;
use crate::state::{Content, Version};
use crate::wire::describe;

impl Ask<'_> {
    pub(super) fn subjects(self) -> Handled {
        let query = &self.request.query;
        let prefix = query.get("subjectPrefix").unwrap_or_default();
        // Confluent's clients ask for all contexts by this prefix. Here there are none.
        let prefix = if prefix == ":*:" { "" } else { prefix };
        let named = self.state.subjects().filter(|(subject, versions)| {
            let (living, deleted) = (versions.values().any(|v| !v.deleted), versions.values().any(|v| v.deleted));
            let wanted = match (query.is("deletedOnly"), query.is("deleted")) {
                (true, _) => !living && deleted,
                (false, deleted) => living || deleted,
            };
            wanted && subject.starts_with(prefix)
        });
        Outcome::ok(json!(query.page(named.map(|(subject, _)| subject).collect())))
    }

    pub(super) fn versions(self, subject: &str) -> Handled {
        let query = &self.request.query;
        let versions = self.state.versions(subject).into_iter().flatten();
        let wanted = versions.filter(|(_, version)| match (query.is("deletedOnly"), query.is("deleted")) {
            (true, _) => version.deleted,
            (false, deleted) => deleted || !version.deleted,
        });
        let numbers: Vec<u32> = wanted.map(|(number, _)| *number).collect();
        if numbers.is_empty() {
            return Err(Fault::SubjectNotFound(subject.to_owned()));
        }
        Outcome::ok(json!(query.page(numbers)))
    }

    pub(super) fn version(self, subject: &str, name: &str) -> Handled {
        let (number, version) = self.find(subject, name, self.request.query.is("deleted"))?;
        Outcome::ok(self.described(subject, number, version)?)
    }

    pub(super) fn version_text(self, subject: &str, name: &str) -> Handled {
        let (_, version) = self.find(subject, name, self.request.query.is("deleted"))?;
        self.text_alone(self.content(version)?)
    }

    pub(super) fn referenced_by(self, subject: &str, name: &str) -> Handled {
        let (number, _) = self.find(subject, name, true)?;
        Outcome::ok(json!(self.state.referring(subject, number)))
    }

    pub(super) fn look_up(self, subject: &str) -> Handled {
        let deleted = self.request.query.is("deleted");
        let versions = self.state.versions(subject).into_iter().flatten();
        let versions: Vec<_> = versions.filter(|(_, version)| deleted || !version.deleted).collect();
        if versions.is_empty() {
            return Err(Fault::SubjectNotFound(subject.to_owned()));
        }
        let (content, parsed) = self.sent()?;
        let id = self.state.id_of(&content);
        let normalize = self.request.query.is("normalize");
        let found = versions.iter().rev().find(|(_, version)| Some(version.id) == id).or_else(|| {
            let same = |version: &Version| normalize && self.is_same(*version, &content, &parsed);
            versions.iter().rev().find(|(_, version)| same(version))
        });
        let (number, version) = found.ok_or(Fault::SchemaNotInSubject)?;
        Outcome::ok(self.described(subject, **number, **version)?)
    }

    /// Whether a version is the same but for the order of what has none.
    fn is_same(self, version: Version, content: &Content, parsed: &Parsed) -> bool {
        let Some(known) = self.state.content(version.id) else { return false };
        known.kind == content.kind
            && known.references == content.references
            && parse(self.state, known).is_ok_and(|known| known.normalized() == parsed.normalized())
    }

    fn described(self, subject: &str, number: u32, version: Version) -> Result<Value, Fault> {
        let content = self.content(version)?;
        let mut object = Map::new();
        object.insert("subject".into(), subject.into());
        object.insert("version".into(), number.into());
        object.insert("id".into(), version.id.into());
        describe(&mut object, content, self.formatted(content)?);
        Ok(object.into())
    }

    fn content(&self, version: Version) -> Result<&Content, Fault> {
        self.state.content(version.id).map(|content| &**content).ok_or(Fault::SchemaNotFound)
    }

    /// The text of a schema in the form that the request wants.
    pub(super) fn formatted(self, content: &Content) -> Result<String, Fault> {
        if self.request.query.get("format") != Some("serialized") {
            return Ok(content.text.clone());
        }
        let parsed = parse(self.state, content).map_err(Fault::InvalidSchema)?;
        Ok(parsed.serialized().unwrap_or_else(|| content.text.clone()))
    }

    /// The text of a schema without anything around it: the answer is the schema itself if that is JSON.
    pub(super) fn text_alone(self, content: &Content) -> Handled {
        let text = self.formatted(content)?;
        let mut outcome = Outcome::ok(Value::Null)?;
        outcome.answer.body = text;
        Ok(outcome)
    }
}
