//! Schemas as they are registered: their text, their language, and the schemas that they refer to.
//!
//! Separate because decoders need them and must not know where they come from: a registry, a statement or a file.

use std::fmt;
use std::sync::Arc;

use url::Url;

/// The number of a schema in a registry, which is in front of each payload written with it.
pub type SchemaId = u32;

/// The language of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaKind {
    /// An Avro schema in JSON.
    Avro,
    /// A `.proto` file.
    Protobuf,
    /// JSON Schema.
    Json,
}

/// A schema with everything that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: Arc<str>,
    /// The schemas that it refers to.
    pub references: Vec<Reference>,
}

/// The schema that payloads are written with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WriterSchema {
    /// Its number in the registry, which goes in front of each payload; none if payloads are bare.
    pub id: Option<SchemaId>,
    /// The schema.
    pub schema: Arc<Schema>,
    /// The full name of the message or record in it; none for the first one of a Protobuf file, and for a whole schema.
    pub full_name: Option<String>,
}

/// A schema that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// What the other one calls it: a full name in Avro, an import in Protobuf, a URI in JSON Schema.
    pub name: String,
    /// The schema.
    pub schema: Arc<Schema>,
}

impl SchemaKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Avro, Self::Protobuf, Self::Json];
}

impl fmt::Display for SchemaKind {
    /// The name in the API of the registry: `AVRO`, `PROTOBUF` or `JSON`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::Json => "JSON",
        })
    }
}

/// True for a name of a field, of a symbol, or of a type without its namespace in an Avro schema, by the rule of Java's library.
pub fn is_avro_name(name: &str) -> bool {
    let mut letters = name.chars();
    let is_first = |letter: char| letter.is_alphabetic() || letter == '_';
    letters.next().is_some_and(is_first) && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// A name in a JSON Schema with this `$id`, which completes a relative one. `None` if the `$id` is no URL.
pub fn completed(id: &str, name: &str) -> Option<String> {
    Some(Url::parse(id).ok()?.join(name).ok()?.into())
}
