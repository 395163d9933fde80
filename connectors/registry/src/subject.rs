//! Schemas under subjects: what is registered, and what is to be.
//!
//! Separate because a schema in a registry has a number and a place, which decoders do not care about.

use std::sync::Arc;

use headwater_formats::schema::{Schema, SchemaId, SchemaKind};

/// A schema that a registry has under a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The subject.
    pub subject: String,
    /// The version under the subject.
    pub version: u32,
    /// The id, which is the same under every subject.
    pub id: SchemaId,
    /// The schema, with all that it refers to.
    pub schema: Arc<Schema>,
    /// Where the schemas are that it refers to.
    pub references: Vec<SubjectVersion>,
}

/// A schema that is to be registered, or looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewSchema {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: String,
    /// The registered schemas that it refers to.
    pub references: Vec<SubjectVersion>,
}

impl NewSchema {
    /// A schema that refers to no other.
    #[must_use]
    pub fn new(kind: SchemaKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), references: Vec::new() }
    }

    /// The same with a reference: what the text calls the schema, and where it is.
    #[must_use]
    pub fn with_reference(mut self, name: impl Into<String>, subject: impl Into<String>, version: u32) -> Self {
        self.references.push(SubjectVersion { name: name.into(), subject: subject.into(), version });
        self
    }
}

/// Where a schema is that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectVersion {
    /// What the other one calls it.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The version under it.
    pub version: u32,
}
