//! Names of Avro types: a simple name in a namespace, and what a short one means inside another type.
//!
//! Separate because the parser reads names by the rule that the printer shortens them by.

use std::fmt;

use headwater_formats::schema::is_avro_name;

use super::{InvalidSchema, Primitive};

/// How long a full name may be: types in a namespace repeat it.
const NAME_BYTES_MAX: usize = 1_000;

/// The full name of a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    /// The namespace, empty if there is none.
    pub(super) space: String,
    pub(super) simple: String,
}

impl Name {
    /// A name in a text, where `space` is the namespace around it. Namespaces may have any characters, as in Java's
    /// library.
    pub(super) fn parse(text: &str, space: &str) -> Result<Self, InvalidSchema> {
        let (space, simple) = text.rsplit_once('.').unwrap_or((space, text));
        if space.len() + simple.len() > NAME_BYTES_MAX {
            return Err(InvalidSchema(format!("a name is longer than {NAME_BYTES_MAX} bytes")));
        }
        if !is_avro_name(simple) {
            return Err(InvalidSchema(format!("\"{text}\" is not a valid name")));
        }
        Ok(Self { space: space.to_owned(), simple: simple.to_owned() })
    }

    /// The shortest text that means this name inside that namespace.
    pub(super) fn short(&self, space: &str) -> String {
        // "int" in a namespace can only be said in full.
        if self.space == space && Primitive::named(&self.simple).is_none() {
            self.simple.clone()
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.space.is_empty() {
            write!(f, "{}.", self.space)?;
        }
        f.write_str(&self.simple)
    }
}
