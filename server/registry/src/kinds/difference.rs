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
        for (side, name) in [("he reader", reader), ("he writer", writer)] {
            self.description = self.description.replace(side, &format!("he {name} schema"));
        }
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

#[cfg(test)]
mod tests {
    use super::Difference;

    #[test]
    fn sides_are_named_for_who_registers() {
        let of =
            |backward| Difference::new("K", "/a", "The reader has no a, the writer has").named(backward).to_string();
        assert_eq!(
            of(true),
            "{errorType:'K', description:'The new schema has no a, the old schema has', additionalInfo:'/a'}"
        );
        assert_eq!(
            of(false),
            "{errorType:'K', description:'The old schema has no a, the new schema has', additionalInfo:'/a'}"
        );
    }
}
