//! An error in processing a record, with the record's address.

use headwater_formats::record::{Side, TopicPartition};
use headwater_language::diagnostic::shortened;

/// The reason why a record without a key is not a row of a table.
pub const NO_KEY: &str = "the record has no key, so it is not a row of the table";
/// The reason why a row without a join key is not joined.
pub const NO_JOIN_KEY: &str = "the join key is NULL, so the row is not joined";

/// The reason why a row without a group is in no aggregate.
pub const NO_GROUP: &str = "the group is NULL, so the row is not aggregated";

/// An error in processing one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The step that failed.
    pub kind: ComplaintKind,
    /// The partition of the record.
    pub origin: TopicPartition,
    /// The offset of the record in its partition.
    pub offset: i64,
    /// The side (key or value) of the input or output record that is invalid; `None` if the error concerns the row.
    pub side: Option<Side>,
    /// The expression that failed; `None` if no expression was involved.
    pub expr: Option<String>,
    /// The reason, in words for a user.
    pub reason: String,
}

/// The part of a record that the error concerns.
pub enum Wrong {
    /// The key or the value of the record, or of the output record.
    Side(Side),
    /// An expression that failed for the row, as SQL text.
    Expression(String),
    /// The row as a whole.
    Row,
}

impl Complaint {
    /// A complaint about the record at an address. Long texts are shortened.
    pub(super) fn new(
        kind: ComplaintKind,
        (origin, offset): (TopicPartition, i64),
        wrong: Wrong,
        reason: String,
    ) -> Self {
        let (side, expr) = match wrong {
            Wrong::Side(side) => (Some(side), None),
            Wrong::Expression(expr) => (None, Some(shortened(expr))),
            Wrong::Row => (None, None),
        };
        Self { kind, origin, offset, side, expr, reason: shortened(reason) }
    }

    /// Whether the record was skipped because it has no key, or a null one, where it needs one.
    pub fn is_keyless(&self) -> bool {
        self.reason == NO_KEY || self.reason == NO_JOIN_KEY
    }

    /// The side, if there is one, and the reason, in one line.
    pub fn text(&self) -> String {
        match self.side {
            Some(side) => format!("{side}: {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// The step that failed for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComplaintKind {
    /// The record could not be decoded, and was skipped.
    Deserialization,
    /// An expression failed for the record and is NULL there; in WHERE the record is skipped.
    Processing,
    /// The output record could not be encoded, and was skipped.
    Serialization,
    /// The window of the row had closed, and the row was skipped or, in an outer join, emitted without a match.
    Late,
}

impl ComplaintKind {
    /// The name of the kind in the processing log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deserialization => "DESERIALIZATION",
            Self::Processing => "PROCESSING",
            Self::Serialization => "SERIALIZATION",
            Self::Late => "LATE",
        }
    }
}
