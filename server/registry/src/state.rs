//! What the registry knows: subjects, versions, schemas by id, and compatibility levels. Changes in, state out.
//!
//! Separate because it is still: it is the same whether changes come from a request or from the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use headwater_formats::schema::{SchemaId, SchemaKind};
use headwater_registry::{Level, SubjectVersion};

use crate::record::{Change, SchemaValue};

/// The level where none is set.
const LEVEL_DEFAULT: Level = Level::Backward;

/// The state of the registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    subjects: BTreeMap<String, BTreeMap<u32, Version>>,
    schemas: BTreeMap<SchemaId, Known>,
    ids: HashMap<Arc<Content>, SchemaId>,
    levels: BTreeMap<Option<String>, Level>,
    /// The largest id that was ever given.
    last_id: SchemaId,
}

/// A schema, wherever it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) kind: SchemaKind,
    /// The canonical text.
    pub(crate) text: String,
    pub(crate) references: Vec<SubjectVersion>,
}

#[derive(Clone, Debug)]
struct Known {
    content: Arc<Content>,
    /// How many versions have it, deleted ones included.
    versions: usize,
}

/// A version of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: SchemaId,
    pub(crate) deleted: bool,
}

impl State {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Schema(value) => self.put(&value),
            Change::SchemaGone { subject, version } => self.remove(&subject, version),
            Change::SubjectDeleted { subject, version } => {
                let versions = self.subjects.get_mut(&subject).into_iter().flatten();
                versions.filter(|(number, _)| **number <= version).for_each(|(_, version)| version.deleted = true);
            }
            Change::Level { subject, level: Some(level) } => {
                self.levels.insert(subject, level);
            }
            Change::Level { subject, level: None } => {
                self.levels.remove(&subject);
            }
            Change::LastId(id) => self.last_id = self.last_id.max(id),
        }
    }

    fn put(&mut self, value: &SchemaValue) {
        let Some(kind) = value.kind() else { return };
        self.remove(&value.subject, value.version);
        let content = Content { kind, text: value.text.clone(), references: value.references.clone() };
        let known = self.schemas.entry(value.id).or_insert_with(|| Known { content: Arc::new(content), versions: 0 });
        known.versions += 1;
        self.ids.insert(Arc::clone(&known.content), value.id);
        self.last_id = self.last_id.max(value.id);
        let version = Version { id: value.id, deleted: value.deleted };
        self.subjects.entry(value.subject.clone()).or_default().insert(value.version, version);
    }

    fn remove(&mut self, subject: &str, version: u32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(removed) = versions.remove(&version) else { return };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let Some(known) = self.schemas.get_mut(&removed.id) else { return };
        known.versions -= 1;
        if known.versions == 0
            && let Some(known) = self.schemas.remove(&removed.id)
        {
            self.ids.remove(&known.content);
        }
    }

    /// The id for a content: that of the same content, or the next one.
    pub(crate) fn id_for(&self, content: &Content) -> SchemaId {
        self.id_of(content).unwrap_or(self.last_id.saturating_add(1))
    }

    pub(crate) fn id_of(&self, content: &Content) -> Option<SchemaId> {
        self.ids.get(content).copied()
    }

    /// The largest id that was ever given, or 0.
    pub(crate) fn last_id(&self) -> SchemaId {
        self.last_id
    }

    pub(crate) fn content(&self, id: SchemaId) -> Option<&Arc<Content>> {
        self.schemas.get(&id).map(|known| &known.content)
    }

    /// All schemas in the order of their ids.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (SchemaId, &Arc<Content>)> {
        self.schemas.iter().map(|(id, known)| (*id, &known.content))
    }

    /// All subjects with their versions, deleted ones included.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = (&String, &BTreeMap<u32, Version>)> {
        self.subjects.iter()
    }

    /// The versions of a subject, deleted ones included. `None` if there is none, not even a deleted one.
    pub(crate) fn versions(&self, subject: &str) -> Option<&BTreeMap<u32, Version>> {
        self.subjects.get(subject)
    }

    pub(crate) fn version(&self, subject: &str, version: u32) -> Option<Version> {
        self.subjects.get(subject)?.get(&version).copied()
    }

    /// The level of a subject's own, or that of all others.
    pub(crate) fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        let own = self.levels.get(&subject.map(str::to_owned)).copied();
        if subject.is_none() { own.or(Some(LEVEL_DEFAULT)) } else { own }
    }

    /// The level that counts for a subject.
    pub(crate) fn level(&self, subject: &str) -> Level {
        self.own_level(Some(subject)).or_else(|| self.own_level(None)).unwrap_or(LEVEL_DEFAULT)
    }

    /// The ids of the schemas that refer to a version, unless all versions that have them are deleted.
    pub(crate) fn referring(&self, subject: &str, version: u32) -> Vec<SchemaId> {
        let refers = |content: &Content| {
            content.references.iter().any(|other| other.subject == subject && other.version == version)
        };
        let living = |id: SchemaId| {
            self.subjects.values().flat_map(BTreeMap::values).any(|version| version.id == id && !version.deleted)
        };
        let all = self.contents().filter(|(_, content)| refers(content)).map(|(id, _)| id);
        all.filter(|id| living(*id)).collect()
    }
}
