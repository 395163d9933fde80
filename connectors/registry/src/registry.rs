//! The registry as the engine sees it: its calls, and what is remembered of their answers.
//!
//! Separate from the requests themselves, which know nothing of schemas. What a registry says of an id or of a version
//! never changes, so it is remembered; which version is the latest does change, so that is always asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use headwater_formats::schema::{Reference, Schema, SchemaId, SchemaKind};
use parking_lot::Mutex;

use crate::error::{Missing, RegistryError, SettingsError};
use crate::flight::Flight;
use crate::http::{Call, Http};
use crate::level::Level;
use crate::settings::Settings;
use crate::subject::{NewSchema, Registered, SubjectVersion};
use crate::unknown::Unknown;
use crate::wire::{
    CompatibilityBody, IdBody, LevelBody, NewBody, NewLevelBody, ReferenceBody, SchemaBody, VersionBody,
};

/// How many schemas are remembered.
const SCHEMAS_MAX: usize = 10_000;

/// The largest id that a registry can give: its ids are signed numbers of 32 bits.
const ID_MAX: SchemaId = i32::MAX as SchemaId;

/// How deep references may be nested, and how many one schema may have in all.
const REFERENCE_DEPTH_MAX: usize = 32;
const REFERENCES_MAX: usize = 1_000;

/// A client of a Schema Registry. It is cheap to share: clone the [`Arc`] around it.
pub struct Registry {
    http: Http,
    by_id: Flight<SchemaId, Arc<Schema>>,
    by_version: Flight<(String, u32), Arc<VersionBody>>,
    unknown: Unknown,
}

/// What one schema refers to, by subject and version.
type Found = Mutex<HashMap<(String, u32), Arc<Schema>>>;

/// Whether a schema could be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// Whether it is compatible with the latest version of the subject.
    pub is_compatible: bool,
    /// What differs, in the registry's own words, if it is not. Some registries give no reason.
    pub messages: Vec<String>,
}

/// How something is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is hidden, and its ids can still be read.
    Soft,
    /// It is gone. It must have been deleted softly before.
    Permanent,
}

impl Deletion {
    fn query(self) -> &'static str {
        match self {
            Self::Soft => "",
            Self::Permanent => "permanent=true",
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A client. Nothing is sent yet, so a registry that is down shows at the first call.
    ///
    /// # Errors
    /// A file with certificates or a key could not be used, or credentials cannot be sent.
    pub fn connect(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::new(settings)?,
            by_id: Flight::new(SCHEMAS_MAX),
            by_version: Flight::new(SCHEMAS_MAX),
            unknown: Unknown::default(),
        })
    }

    /// The schema with this id, with all that it refers to. One request is sent however many ask at once, and none if
    /// the schema is remembered.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such id.
    pub async fn schema(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        if id > ID_MAX {
            let message = format!("the ids of schemas end at {ID_MAX}");
            return Err(RegistryError::NotFound { missing: Missing::Schema, message });
        }
        let fetch = || async move {
            let path = ["schemas", "ids", &id.to_string()];
            let body: SchemaBody = self.http.call(Call::get(&path, "")).await?;
            self.resolve(&body).await
        };
        self.by_id.get_or_fetch(id, fetch).await
    }

    /// The schema with this id, which is in front of a record. That there is none counts for up to a second if it was asked for often.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such id.
    pub async fn schema_of_records(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        let known = self.known_schema(id).map(Ok);
        if let Some(known) = known.or_else(|| self.unknown.get(id, Instant::now()).map(Err)) {
            return known;
        }
        let found = self.schema(id).await;
        match &found {
            Err(error @ RegistryError::NotFound { .. }) => self.unknown.add(id, Instant::now(), error.clone()),
            _ => self.unknown.forget(id),
        }
        found
    }

    /// What was sent to register the schema with this id.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such id.
    pub async fn as_registered(&self, id: SchemaId) -> Result<NewSchema, RegistryError> {
        let body: SchemaBody = self.http.call(Call::get(&["schemas", "ids", &id.to_string()], "")).await?;
        let references = places(&body);
        Ok(NewSchema { kind: kind_of(&body)?, text: body.schema, references })
    }

    /// The schema with this id, if it is remembered.
    #[must_use]
    pub fn known_schema(&self, id: SchemaId) -> Option<Arc<Schema>> {
        self.by_id.get(&id)
    }

    /// The names of all subjects.
    ///
    /// # Errors
    /// As any call.
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        // AxonOps' registry answers null where there are none.
        let subjects: Option<_> = self.http.call(Call::get(&["subjects"], "")).await?;
        Ok(subjects.unwrap_or_default())
    }

    /// The versions of a subject.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such subject.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        self.http.call(Call::get(&["subjects", subject, "versions"], "")).await
    }

    /// The latest version of a subject.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such subject.
    pub async fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        let body: VersionBody = self.http.call(Call::get(&["subjects", subject, "versions", "latest"], "")).await?;
        self.resolve_version(&body).await
    }

    /// A version of a subject.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such subject or version.
    pub async fn version(&self, subject: &str, version: u32) -> Result<Registered, RegistryError> {
        let path = ["subjects", subject, "versions", &version.to_string()];
        let body: VersionBody = self.http.call(Call::get(&path, "")).await?;
        self.resolve_version(&body).await
    }

    /// Registers a schema under a subject, or finds that it is. The registry is always asked: others may have deleted the subject.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] says what differs from earlier versions, [`RegistryError::Invalid`] what is
    /// wrong with the schema itself.
    pub async fn register(&self, subject: &str, new: &NewSchema) -> Result<SchemaId, RegistryError> {
        let path = ["subjects", subject, "versions"];
        let call = Call::post(&path, "", to_json(&NewBody::from(new)));
        match self.http.call::<IdBody>(call).await {
            Ok(body) => {
                self.unknown.forget(body.id);
                Ok(body.id)
            }
            Err(RegistryError::Incompatible { messages }) => Err(self.explained(subject, new, messages).await),
            Err(error) => Err(error),
        }
    }

    /// Looks for a schema under a subject, by its content.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such subject, or it does not have the schema.
    pub async fn look_up(&self, subject: &str, new: &NewSchema) -> Result<Registered, RegistryError> {
        let path = ["subjects", subject];
        let call = Call::post(&path, "", to_json(&NewBody::from(new)));
        let body: VersionBody = self.http.call(call).await?;
        self.resolve_version(&body).await
    }

    /// Whether a schema is compatible with the latest version of a subject, at the subject's level. It is with a
    /// subject that does not exist.
    ///
    /// # Errors
    /// As any call.
    pub async fn check(&self, subject: &str, new: &NewSchema) -> Result<Compatibility, RegistryError> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let call = Call::post(&path, "verbose=true", to_json(&NewBody::from(new)));
        match self.http.call::<CompatibilityBody>(call).await {
            Ok(body) => {
                let messages = body.messages.unwrap_or_default().into_iter().chain(body.reason);
                let messages = messages.filter(|message| !body.is_compatible && !message.is_empty()).collect();
                Ok(Compatibility { is_compatible: body.is_compatible, messages })
            }
            Err(RegistryError::NotFound { missing: Missing::Subject | Missing::Version, .. }) => {
                Ok(Compatibility { is_compatible: true, messages: Vec::new() })
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a subject, and returns the versions that it had.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such subject, or it must be deleted softly first.
    pub async fn delete_subject(&self, subject: &str, how: Deletion) -> Result<Vec<u32>, RegistryError> {
        let versions = self.http.call(Call::delete(&["subjects", subject], how.query())).await;
        self.forget(subject);
        versions
    }

    /// Deletes a version of a subject.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such version, or it must be deleted softly first.
    pub async fn delete_version(&self, subject: &str, version: u32, how: Deletion) -> Result<(), RegistryError> {
        let path = ["subjects", subject, "versions", &version.to_string()];
        let deleted = self.http.call::<u32>(Call::delete(&path, how.query())).await;
        self.forget(subject);
        deleted.map(|_| ())
    }

    /// The compatibility level of a subject, if it has one of its own; without a subject, that of all others.
    ///
    /// # Errors
    /// As any call.
    pub async fn level(&self, subject: Option<&str>) -> Result<Option<Level>, RegistryError> {
        let answer = self.http.call::<LevelBody>(Call::get(&config_path(subject), "")).await;
        match answer {
            Ok(body) => Ok(Some(parse_level(&body.level)?)),
            // The code is 40401 before Confluent 7 and in Karapace and Apicurio.
            Err(RegistryError::NotFound { .. }) if subject.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the compatibility level of a subject, or that of all that have none of their own.
    ///
    /// # Errors
    /// As any call.
    pub async fn set_level(&self, subject: Option<&str>, level: Level) -> Result<(), RegistryError> {
        let body = to_json(&NewLevelBody { compatibility: level.to_string() });
        self.http.call::<LevelBody>(Call::put(&config_path(subject), body)).await.map(|_| ())
    }

    /// Forgets what may change when something of a subject is deleted. Ids keep their meaning.
    fn forget(&self, subject: &str) {
        self.by_version.retain(|(other, _)| other != subject);
    }

    /// The error with what differs, for registries that say so only when they are asked.
    async fn explained(&self, subject: &str, new: &NewSchema, messages: Vec<String>) -> RegistryError {
        match self.check(subject, new).await {
            Ok(found) if !found.is_compatible && !found.messages.is_empty() => {
                RegistryError::Incompatible { messages: found.messages }
            }
            _ => RegistryError::Incompatible { messages },
        }
    }

    async fn resolve_version(&self, body: &VersionBody) -> Result<Registered, RegistryError> {
        let schema = match self.by_id.get(&body.id) {
            Some(schema) => schema,
            None => self.resolve(&body.body).await?,
        };
        self.by_id.insert(body.id, Arc::clone(&schema));
        Ok(Registered {
            subject: body.subject.clone(),
            version: body.version,
            id: body.id,
            schema,
            references: places(&body.body),
        })
    }

    /// A schema with what it refers to.
    async fn resolve(&self, body: &SchemaBody) -> Result<Arc<Schema>, RegistryError> {
        self.resolve_below(body, &Found::default(), 0).await
    }

    /// The same, `depth` references below the first schema; `found` has what others refer to as well.
    async fn resolve_below(
        &self,
        body: &SchemaBody,
        found: &Found,
        depth: usize,
    ) -> Result<Arc<Schema>, RegistryError> {
        let kind = kind_of(body)?;
        let mut references = Vec::new();
        for SubjectVersion { name, subject, version } in places(body) {
            if depth >= REFERENCE_DEPTH_MAX || found.lock().len() >= REFERENCES_MAX {
                let limits = format!("{REFERENCE_DEPTH_MAX} deep and {REFERENCES_MAX} in all");
                return Err(unsupported(format!("a schema has too many references: at most {limits} are followed")));
            }
            let place = (subject, version);
            let known = found.lock().get(&place).cloned();
            let schema = match known {
                Some(schema) => schema,
                None => {
                    let body = self.referenced(&place).await?;
                    let schema = Box::pin(self.resolve_below(&body.body, found, depth + 1)).await?;
                    found.lock().insert(place, Arc::clone(&schema));
                    schema
                }
            };
            references.push(Reference { name, schema });
        }
        Ok(Arc::new(Schema { kind, text: body.schema.as_str().into(), references }))
    }

    /// The version that another schema refers to. It may have been deleted softly.
    async fn referenced(&self, place: &(String, u32)) -> Result<Arc<VersionBody>, RegistryError> {
        let fetch = || async move {
            let (subject, version) = place;
            let path = ["subjects", subject, "versions", &version.to_string()];
            self.http.call::<VersionBody>(Call::get(&path, "deleted=true")).await.map(Arc::new)
        };
        self.by_version.get_or_fetch(place.clone(), fetch).await
    }
}

/// The language of a schema. Fails if it is one that this version does not know.
fn kind_of(body: &SchemaBody) -> Result<SchemaKind, RegistryError> {
    body.kind().map_err(|name| unsupported(format!("a schema is of the unknown kind \"{name}\"")))
}

fn places(body: &SchemaBody) -> Vec<SubjectVersion> {
    let place = |reference: &ReferenceBody| SubjectVersion {
        name: reference.name.clone(),
        subject: reference.subject.clone(),
        version: reference.version,
    };
    body.references.iter().flatten().map(place).collect()
}

fn config_path(subject: Option<&str>) -> Vec<&str> {
    std::iter::once("config").chain(subject).collect()
}

fn parse_level(name: &str) -> Result<Level, RegistryError> {
    name.parse().map_err(|()| unsupported(format!("the compatibility level \"{name}\" is unknown")))
}

/// The error for what this client does not understand.
fn unsupported(message: String) -> RegistryError {
    RegistryError::Invalid { code: 0, message }
}

fn to_json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("structs of strings and numbers can always be written")
}
