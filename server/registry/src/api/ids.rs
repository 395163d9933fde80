//! Schemas by their ids, wherever they are registered.

use headwater_formats::schema::SchemaId;
use serde_json::{Map, Value, json};

use super::{Ask, Handled, Outcome};
use crate::fault::Fault;
use crate::state::{Content, Version};
use crate::wire::describe;

impl Ask<'_> {
    pub(super) fn schemas(self) -> Handled {
        let query = &self.request.query;
        let prefix = query.get("subjectPrefix").unwrap_or_default();
        let mut all = Vec::new();
        for (subject, versions) in self.state.subjects().filter(|(subject, _)| subject.starts_with(prefix)) {
            let mut wanted: Vec<_> =
                versions.iter().filter(|(_, version)| query.is("deleted") || !version.deleted).collect();
            if query.is("latestOnly") {
                wanted = wanted.split_off(wanted.len().saturating_sub(1));
            }
            all.extend(wanted.into_iter().map(|(number, version)| (subject, *number, *version)));
        }
        let described = query.page(all).into_iter().map(|(subject, number, version)| {
            let content = self.state.content(version.id).ok_or(Fault::SchemaNotFound)?;
            let mut object = Map::new();
            object.insert("subject".into(), subject.as_str().into());
            object.insert("version".into(), number.into());
            object.insert("id".into(), version.id.into());
            describe(&mut object, content, content.text.clone());
            Ok(Value::from(object))
        });
        Outcome::ok(Value::Array(described.collect::<Result<_, Fault>>()?))
    }

    pub(super) fn schema(self, id: &str) -> Handled {
        let (_, content) = self.by_id(id)?;
        let mut object = Map::new();
        describe(&mut object, content, self.formatted(content)?);
        if self.request.query.is("fetchMaxId") {
            object.insert("maxId".into(), self.state.last_id().into());
        }
        Outcome::ok(object.into())
    }

    pub(super) fn schema_text(self, id: &str) -> Handled {
        let (_, content) = self.by_id(id)?;
        self.text_alone(content)
    }

    pub(super) fn subjects_of(self, id: &str) -> Handled {
        let mut subjects: Vec<_> = self.places(id)?.into_iter().map(|(subject, _)| subject).collect();
        subjects.dedup();
        Outcome::ok(json!(self.request.query.page(subjects)))
    }

    pub(super) fn versions_of(self, id: &str) -> Handled {
        let places = self.places(id)?.into_iter();
        let described = places.map(|(subject, version)| json!({ "subject": subject, "version": version })).collect();
        Outcome::ok(Value::Array(self.request.query.page(described)))
    }

    /// The subjects and versions that have a schema.
    fn places(self, id: &str) -> Result<Vec<(String, u32)>, Fault> {
        let (id, _) = self.by_id(id)?;
        let deleted = self.request.query.is("deleted");
        let has = |version: &Version| version.id == id && (deleted || !version.deleted);
        let mut places = Vec::new();
        for (subject, versions) in self.state.subjects() {
            let numbers = versions.iter().filter(|(_, version)| has(version)).map(|(number, _)| *number);
            places.extend(numbers.map(|number| (subject.clone(), number)));
        }
        Ok(places)
    }

    fn by_id(&self, id: &str) -> Result<(SchemaId, &Content), Fault> {
        let id: SchemaId = id.parse().map_err(|_| Fault::SchemaNotFound)?;
        let content = self.state.content(id).ok_or(Fault::SchemaNotFound)?;
        Ok((id, content))
    }
}
