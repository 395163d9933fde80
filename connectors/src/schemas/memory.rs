//! Schemas in memory, for simulations and tests: deterministic, and every schema is compatible.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_formats::schema::{Reference, Schema, SchemaId};
use headwater_registry::{Missing, NewSchema, Registered, RegistryError, SubjectVersion};
use parking_lot::Mutex;

use super::Schemas;

/// Schemas in memory. Ids begin with 1, and a schema has the same one under every subject.
#[derive(Debug, Default)]
pub struct MemorySchemas(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    schemas: Vec<(Arc<Schema>, Vec<SubjectVersion>)>,
    subjects: BTreeMap<String, Vec<SchemaId>>,
}

impl MemorySchemas {
    /// Registers a schema under a subject with an id of the caller's choice, as a registry in import mode does; without one, with
    /// the next id.
    pub fn import(&self, subject: &str, id: Option<SchemaId>, schema: Schema) {
        let mut kept = self.0.lock();
        let id = id.unwrap_or(kept.schemas.len() as SchemaId + 1);
        let index = index(id);
        let blank = (Arc::new(Schema { text: "".into(), references: Vec::new(), ..schema }), Vec::new());
        while kept.schemas.len() <= index {
            kept.schemas.push(blank.clone());
        }
        kept.schemas[index].0 = Arc::new(schema);
        kept.subjects.entry(subject.to_owned()).or_default().push(id);
    }
}

impl Kept {
    fn at(&self, id: SchemaId) -> Option<&(Arc<Schema>, Vec<SubjectVersion>)> {
        self.schemas.get(index(id)).filter(|(schema, _)| !schema.text.is_empty())
    }

    /// Makes a schema a version of a subject, unless it is one.
    fn add_version(&mut self, subject: &str, id: SchemaId) {
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
    }

    fn version(&self, subject: &str, version: u32) -> Result<Registered, RegistryError> {
        let ids = self.subjects.get(subject).ok_or_else(|| missing(Missing::Subject, subject))?;
        let id = ids.get(index(version)).ok_or_else(|| missing(Missing::Version, subject))?;
        let (schema, references) = self.at(*id).ok_or_else(|| missing(Missing::Schema, subject))?;
        let (schema, references) = (schema.clone(), references.clone());
        Ok(Registered { subject: subject.to_owned(), version, id: *id, schema, references })
    }

    fn resolve(&self, new: &NewSchema) -> Result<Schema, RegistryError> {
        let reference = |place: &SubjectVersion| {
            let found = self.version(&place.subject, place.version)?;
            Ok(Reference { name: place.name.clone(), schema: found.schema })
        };
        let references = new.references.iter().map(reference).collect::<Result<_, RegistryError>>()?;
        Ok(Schema { kind: new.kind, text: new.text.as_str().into(), references })
    }
}

impl Schemas for MemorySchemas {
    fn schema(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        let kept = self.0.lock();
        kept.at(id).map(|(schema, _)| schema.clone()).ok_or_else(|| missing(Missing::Schema, &id.to_string()))
    }

    fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        let kept = self.0.lock();
        let versions = kept.subjects.get(subject).map_or(0, Vec::len);
        kept.version(subject, versions as u32)
    }

    fn register(&self, subject: &str, new: &NewSchema) -> Result<SchemaId, RegistryError> {
        let mut kept = self.0.lock();
        let schema = kept.resolve(new)?;
        let known = kept.schemas.iter().position(|(known, _)| **known == schema);
        let at = known.unwrap_or_else(|| {
            kept.schemas.push((Arc::new(schema), new.references.clone()));
            kept.schemas.len() - 1
        });
        let id = at as SchemaId + 1;
        kept.add_version(subject, id);
        Ok(id)
    }

    fn register_again(&self, subject: &str, id: SchemaId) -> Result<SchemaId, RegistryError> {
        let mut kept = self.0.lock();
        kept.at(id).ok_or_else(|| missing(Missing::Schema, &id.to_string()))?;
        kept.add_version(subject, id);
        Ok(id)
    }

    fn has(&self, subject: &str, id: SchemaId) -> Result<bool, RegistryError> {
        Ok(self.0.lock().subjects.get(subject).is_some_and(|ids| ids.contains(&id)))
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        self.0.lock().subjects.remove(subject);
        Ok(())
    }
}

/// Ids and versions begin with 1.
fn index(number: u32) -> usize {
    (number as usize).wrapping_sub(1)
}

fn missing(missing: Missing, what: &str) -> RegistryError {
    RegistryError::NotFound { missing, message: format!("\"{what}\" is not there") }
}
