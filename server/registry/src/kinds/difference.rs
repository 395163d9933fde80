//! A difference between two schemas that keeps one from reading what was written with the other.
//!
//! Separate because all three languages report them, and a registry writes them into its messages.

use std::fmt;

/// How many differences are reported.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// One difference. Its description says "the reader" and "the writer", which [`Difference::named`] replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: &'static str,
    pub(crate) path: String,
    pub(crate) description: String,
}

impl Difference {
    pub(crate) fn new(kind: &'static str, path: impl Into<String>, description: impl Into<String>) -> Self {
        Self { kind, path: path.into(), description: description.into() }
    }

    /// The same in the words of somebody who registers a new schema: `backward` if it is the reader.
    pub(crate) fn named(mut self, backward: bool) -> Self {
        let (reader, writer) = if backward { ("new", "old") } else { ("old", "new") };
        self.description = self
            .description
            .replace("the reader", &format!("the {reader} schema"))
            .replace("the writer", &format!("the {writer} schema"));
        self
    }
}

impl fmt::Display for Difference {
    /// As Confluent's registry writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, description } = self;
        write!(f, "{{errorType:'{kind}', description:'{description}', additionalInfo:'{path}'}}")
    }
}
