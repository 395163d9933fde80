//! Compatibility levels: which earlier versions a new schema of a subject is compared with, and in which direction.
//!
//! Separate because both the client and the embedded registry need them.

use std::fmt;
use std::str::FromStr;

/// What a registry demands of a new version of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Nothing.
    None,
    /// It can read what was written with the latest version.
    Backward,
    /// It can read what was written with any version.
    BackwardTransitive,
    /// The latest version can read what is written with it.
    Forward,
    /// Every version can read what is written with it.
    ForwardTransitive,
    /// Both, for the latest version.
    Full,
    /// Both, for every version.
    FullTransitive,
}

impl Level {
    /// All of them, with their names in the API.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::None, "NONE"),
        (Self::Backward, "BACKWARD"),
        (Self::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Self::Forward, "FORWARD"),
        (Self::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Self::Full, "FULL"),
        (Self::FullTransitive, "FULL_TRANSITIVE"),
    ];

    /// Whether new schemas must read what was written with earlier ones.
    #[must_use]
    pub fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether earlier schemas must read what is written with new ones.
    #[must_use]
    pub fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether all versions count, and not only the latest.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(level, _)| level == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Level {
    type Err = ();

    /// Names are not case-sensitive, as in Confluent's registry.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(level, _)| *level).ok_or(())
    }
}
