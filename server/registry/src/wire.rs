//! The bodies of requests, and of the answers that have schemas in them.
//!
//! Separate because several requests share them.

use headwater_formats::schema::{SchemaId, SchemaKind};
use headwater_registry::SubjectVersion;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::state::Content;

/// How many references a schema may have.
const REFERENCES_MAX: usize = 1_000;

/// A schema that is to be registered, looked up or compared.
#[derive(Debug, Deserialize)]
pub(crate) struct SchemaBody {
    #[serde(default)]
    schema: Option<String>,
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<ReferenceBody>>,
}

#[derive(Debug, Deserialize)]
struct ReferenceBody {
    name: String,
    subject: String,
    /// The latest one if it is negative.
    #[serde(default = "latest")]
    version: i64,
}

fn latest() -> i64 {
    -1
}

/// The id and the version that a client chooses for a schema. The id -1 and the versions -1 and 0 choose none.
#[derive(Debug, Deserialize)]
pub(crate) struct PlaceBody {
    #[serde(default)]
    id: Option<i64>,
    #[serde(default)]
    version: Option<i64>,
}

/// A level that is to be set.
#[derive(Debug, Deserialize)]
pub(crate) struct LevelBody {
    #[serde(default, alias = "compatibilityLevel")]
    pub(crate) compatibility: Option<String>,
}

/// A schema as it was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) kind: SchemaKind,
    pub(crate) text: String,
    /// Name, subject and version, which is the latest one if it is not given.
    pub(crate) references: Vec<(String, String, Option<u32>)>,
}

pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::BadBody(error.to_string()))
}

impl PlaceBody {
    /// Whether no id and no version is chosen.
    pub(crate) fn is_any(&self) -> bool {
        self.chosen_id().is_none() && self.chosen_version().is_none()
    }

    /// Whether a version of a subject has what is chosen.
    pub(crate) fn is_at(&self, id: SchemaId, version: u32) -> bool {
        let is = |chosen: Option<i64>, known: u32| chosen.is_none_or(|chosen| chosen == i64::from(known));
        is(self.chosen_id(), id) && is(self.chosen_version(), version)
    }

    /// 0 is an id to Confluent's registry, and no version.
    fn chosen_id(&self) -> Option<i64> {
        self.id.filter(|id| *id != -1)
    }

    fn chosen_version(&self) -> Option<i64> {
        self.version.filter(|version| !matches!(version, -1 | 0))
    }
}

impl SchemaBody {
    pub(crate) fn sent(self) -> Result<Sent, Fault> {
        let kind = match self.kind.as_deref() {
            None | Some("") => SchemaKind::Avro,
            Some(name) => {
                let known = SchemaKind::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name));
                known.ok_or_else(|| Fault::InvalidSchema(format!("the type \"{name}\" is not supported")))?
            }
        };
        let text = self.schema.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Fault::InvalidSchema("the schema is empty".to_owned()))?;
        let references = self.references.unwrap_or_default();
        if references.len() > REFERENCES_MAX {
            return Err(Fault::InvalidSchema(format!("there are more than {REFERENCES_MAX} references")));
        }
        let place = |ReferenceBody { name, subject, version }| (name, subject, u32::try_from(version).ok());
        Ok(Sent { kind, text, references: references.into_iter().map(place).collect() })
    }
}

/// The members of an answer that describe a schema: its kind unless it is Avro, its references if it has some, and its
/// text in the wanted form.
pub(crate) fn describe(object: &mut Map<String, Value>, content: &Content, text: String) {
    if content.kind != SchemaKind::Avro {
        object.insert("schemaType".into(), content.kind.to_string().into());
    }
    if !content.references.is_empty() {
        let one = |r: &SubjectVersion| json!({ "name": r.name, "subject": r.subject, "version": r.version });
        object.insert("references".into(), content.references.iter().map(one).collect());
    }
    object.insert("schema".into(), text.into());
}

/// References in a record of the log.
pub(crate) mod references {
    use headwater_registry::SubjectVersion;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize, Serialize)]
    struct Written {
        name: String,
        subject: String,
        version: u32,
    }

    pub(crate) fn serialize<S: Serializer>(references: &[SubjectVersion], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(references.iter().map(|reference| Written {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version,
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SubjectVersion>, D::Error> {
        let written = Option::<Vec<Written>>::deserialize(from)?.unwrap_or_default();
        let place = |Written { name, subject, version }| SubjectVersion { name, subject, version };
        Ok(written.into_iter().map(place).collect())
    }
}
