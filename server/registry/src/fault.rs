//! The errors of the API with their statuses and codes, as Confluent documents them.
//!
//! Separate because it is a table: every request may end with one.

use serde_json::json;

use crate::request::Answer;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no such path.
    NoSuchPath,
    /// The path has other methods.
    WrongMethod,
    /// The body is not what it should be.
    BadBody(String),
    /// The body is too long.
    TooLong(usize),
    SubjectNotFound(String),
    VersionNotFound(String),
    SchemaNotFound,
    /// No version of the subject has this schema.
    SchemaNotInSubject,
    SubjectSoftDeleted(String),
    SubjectNotSoftDeleted(String),
    VersionSoftDeleted(String, u32),
    VersionNotSoftDeleted(String, u32),
    NoLevel(String),
    NoMode(String),
    Incompatible(String, Vec<String>),
    InvalidSchema(String),
    InvalidVersion(String),
    InvalidLevel(String),
    /// What can be changed in a registry, but not in this one.
    NotPermitted(&'static str),
    /// An id or a version was chosen for a new schema of this subject.
    NotInImportMode(String),
    Referenced(Vec<String>),
    Store(String),
    /// A fault of the registry itself.
    Internal(String),
}

impl Fault {
    pub(crate) fn answer(&self) -> Answer {
        let (code, message) = self.parts();
        let status = if code > 999 { code / 100 } else { code };
        let status = u16::try_from(status).unwrap_or(500);
        Answer::json(status, &json!({ "error_code": code, "message": message }))
    }

    fn parts(&self) -> (u32, String) {
        match self {
            Self::NoSuchPath => (404, "HTTP 404 Not Found".to_owned()),
            Self::WrongMethod => (405, "HTTP 405 Method Not Allowed".to_owned()),
            Self::BadBody(problem) => (400, format!("The request body is not valid: {problem}")),
            Self::TooLong(limit) => (413, format!("The request is longer than {limit} bytes")),
            Self::SubjectNotFound(subject) => (40401, format!("Subject '{subject}' not found.")),
            Self::VersionNotFound(version) => (40402, format!("Version {version} not found.")),
            Self::SchemaNotFound => (40403, "Schema not found".to_owned()),
            Self::SchemaNotInSubject => (40403, "Schema not found".to_owned()),
            Self::SubjectSoftDeleted(subject) => {
                let advice = "Set permanent=true to delete permanently";
                (40404, format!("Subject '{subject}' was soft deleted. {advice}"))
            }
            Self::SubjectNotSoftDeleted(subject) => {
                (40405, format!("Subject '{subject}' was not deleted first before being permanently deleted"))
            }
            Self::VersionSoftDeleted(subject, version) => {
                let advice = "Set permanent=true to delete permanently";
                (40406, format!("Subject '{subject}' Version {version} was soft deleted. {advice}"))
            }
            Self::VersionNotSoftDeleted(subject, version) => {
                let text = "was not deleted first before being permanently deleted";
                (40407, format!("Subject '{subject}' Version {version} {text}"))
            }
            Self::NoLevel(subject) => {
                (40408, format!("Subject '{subject}' does not have subject-level compatibility configured"))
            }
            Self::NoMode(subject) => {
                (40409, format!("Subject '{subject}' does not have subject-level mode configured"))
            }
            Self::Incompatible(subject, messages) => {
                let text = "Schema being registered is incompatible with an earlier schema for subject";
                (409, format!("{text} \"{subject}\", details: [{}]", messages.join(", ")))
            }
            Self::InvalidSchema(problem) => (42201, format!("Invalid schema: {problem}")),
            Self::InvalidVersion(version) => {
                let text = "Allowed values are between [1, 2^31-1] and the string \"latest\"";
                (42202, format!("The specified version '{version}' is not a valid version id. {text}"))
            }
            Self::InvalidLevel(level) => {
                let names = headwater_registry::Level::ALL.map(|(_, name)| name).join(", ");
                (42203, format!("Invalid compatibility level \"{level}\". Valid values are {names}"))
            }
            Self::NotPermitted(what) => (42205, format!("Operation not permitted: {what}")),
            Self::NotInImportMode(subject) => {
                let text = "the embedded registry chooses ids and versions itself";
                (42205, format!("Subject {subject} is not in import mode: {text}"))
            }
            Self::Referenced(places) => {
                let text = "One or more references exist to the schema";
                (42206, format!("{text} {{{}}}.", places.join(", ")))
            }
            Self::Internal(problem) => (500, format!("Internal error in the schema registry: {problem}")),
            Self::Store(problem) => (50001, format!("Error in the backend data store: {problem}")),
        }
    }
}
