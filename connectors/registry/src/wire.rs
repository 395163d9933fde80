//! The bodies of the API as this client reads and writes them.
//!
//! Separate because registries differ in them: which fields are there, and how errors are numbered. Everything that is
//! not needed is optional or ignored.

use headwater_formats::schema::{SchemaId, SchemaKind};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::{Missing, RegistryError};
use crate::settings::URL;
use crate::subject::{NewSchema, SubjectVersion};

/// How long a text is that is shown when an answer is not JSON.
const SHOWN_MAX: usize = 200;

/// A schema by its id.
#[derive(Deserialize)]
pub(crate) struct SchemaBody {
    pub(crate) schema: String,
    #[serde(default, rename = "schemaType")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) references: Option<Vec<ReferenceBody>>,
}

/// A schema under a subject.
#[derive(Deserialize)]
pub(crate) struct VersionBody {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: SchemaId,
    #[serde(flatten)]
    pub(crate) body: SchemaBody,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct ReferenceBody {
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) version: u32,
}

/// What is registered or looked up.
#[derive(Serialize)]
pub(crate) struct NewBody<'a> {
    schema: &'a str,
    // Registries before 5.5 know no other kind than Avro and reject the field.
    #[serde(rename = "schemaType", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<ReferenceBody>,
}

#[derive(Deserialize)]
pub(crate) struct IdBody {
    pub(crate) id: SchemaId,
}

#[derive(Deserialize)]
pub(crate) struct CompatibilityBody {
    pub(crate) is_compatible: bool,
    #[serde(default)]
    pub(crate) messages: Option<Vec<String>>,
    /// What Apicurio 2 has instead of messages.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The level of a subject: `GET` and `PUT` name it differently.
#[derive(Deserialize)]
pub(crate) struct LevelBody {
    #[serde(alias = "compatibility", rename = "compatibilityLevel")]
    pub(crate) level: String,
}

#[derive(Serialize)]
pub(crate) struct NewLevelBody {
    pub(crate) compatibility: String,
}

impl<'a> From<&'a NewSchema> for NewBody<'a> {
    fn from(new: &'a NewSchema) -> Self {
        let kind = (new.kind != SchemaKind::Avro).then(|| new.kind.to_string());
        let references = new.references.iter().cloned().map(ReferenceBody::from).collect();
        Self { schema: &new.text, kind, references }
    }
}

impl From<SubjectVersion> for ReferenceBody {
    fn from(SubjectVersion { name, subject, version }: SubjectVersion) -> Self {
        Self { name, subject, version }
    }
}

impl From<ReferenceBody> for SubjectVersion {
    fn from(ReferenceBody { name, subject, version }: ReferenceBody) -> Self {
        Self { name, subject, version }
    }
}

impl SchemaBody {
    /// The kind, which is Avro where none is named. An unknown one is returned as it is.
    pub(crate) fn kind(&self) -> Result<SchemaKind, String> {
        let Some(name) = &self.kind else { return Ok(SchemaKind::Avro) };
        let known = SchemaKind::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name));
        known.ok_or_else(|| name.clone())
    }
}

/// An answer that is an error.
pub(crate) struct Refusal {
    status: u16,
    pub(crate) code: u32,
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct RefusalBody {
    #[serde(default)]
    error_code: u32,
    #[serde(default)]
    message: Option<String>,
}

impl Refusal {
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let status_text = || status.canonical_reason().unwrap_or("no reason given").to_owned();
        match serde_json::from_slice::<RefusalBody>(body) {
            Ok(RefusalBody { error_code, message }) => {
                Self { status: status.as_u16(), code: error_code, message: message.unwrap_or_else(status_text) }
            }
            Err(_) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN_MAX)]);
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let message = if text.is_empty() { status_text() } else { text };
                Self { status: status.as_u16(), code: 0, message }
            }
        }
    }

    /// The error for an answer of the registry at `url`; `setting` has the credentials.
    pub(crate) fn into_error(self, url: String, setting: &'static str) -> RegistryError {
        let Self { status, code, message } = self;
        // Not every 404 is a registry's: one without its code comes from something else at that URL.
        let missing = match code {
            40401 | 40404 | 40405 => Some(Missing::Subject),
            40402 | 40406 | 40407 => Some(Missing::Version),
            40403 => Some(Missing::Schema),
            40408 | 40409 => Some(Missing::Level),
            _ => None,
        };
        match (status, missing) {
            (401 | 403, _) => RegistryError::Unauthorized { url, message, setting },
            (_, Some(missing)) if status == 404 => RegistryError::NotFound { missing, message },
            (409, _) if code == 409 || code == 0 => RegistryError::Incompatible { messages: vec![message] },
            (422, _) => RegistryError::Invalid { code, message },
            (404, _) => {
                let message = format!("{message}; is {URL} right?");
                RegistryError::Other { url, status, message, setting: Some(URL) }
            }
            // A code is that of a registry, so the URL is right.
            _ => {
                let has_fault = status >= 500 && code != 0;
                RegistryError::Other { url, status, message, setting: (!has_fault).then_some(URL) }
            }
        }
    }
}
