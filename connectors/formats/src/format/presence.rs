//! How Protobuf formats tell null from the default of a type: the property PROTOBUF_NULLABLE_REPRESENTATION.

use std::fmt;
use std::str::FromStr;

use super::kind::FormatError;

/// How a null scalar differs from zero, false or an empty text in a Protobuf message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Not at all: neither is written, and what is absent is read as zero, false or empty.
    #[default]
    Implicit,
    /// As in an `optional` field of proto3: everything but null is written, and what is absent is read as null.
    Optional,
    /// As in a field of a message such as `google.protobuf.Int32Value`: a value is wrapped in a message, and null is
    /// not written.
    Wrapper,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Implicit => "IMPLICIT",
            Self::Optional => "OPTIONAL",
            Self::Wrapper => "WRAPPER",
        })
    }
}

impl FromStr for Presence {
    type Err = FormatError;

    /// Reads a value of the property, in any case. The default has no name there.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let named = [Self::Optional, Self::Wrapper].into_iter();
        let found = named.clone().find(|presence| presence.to_string().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| FormatError::Unfit(format!("\"{text}\" is neither OPTIONAL nor WRAPPER")))
    }
}
