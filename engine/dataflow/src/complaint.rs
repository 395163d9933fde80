//! What is wrong with a record, with its address.

use headwater_formats::record::{Side, TopicPartition};
use headwater_language::diagnostic::shortened;

/// What is wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What could not be done with it.
    pub kind: ComplaintKind,
    /// Its partition.
    pub origin: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// The half of the record, or of what it became, that is wrong; none where it is the row.
    pub side: Option<Side>,
    /// The expression that failed, where it was one.
    pub expr: Option<String>,
    /// Why, in words for a user.
    pub reason: String,
}

/// The part of a record that is wrong.
pub enum Wrong {
    /// One half of it, or of the record that it became.
    Side(Side),
    /// The value of an expression.
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

    /// Side and reason in one line.
    pub fn text(&self) -> String {
        match self.side {
            Some(side) => format!("{side}: {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// What could not be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComplaintKind {
    /// It could not be decoded, and was skipped.
    Deserialization,
    /// An expression failed on it, which is NULL there; in WHERE the record was skipped.
    Processing,
    /// What it became could not be encoded, and was skipped.
    Serialization,
    /// Its window had closed, and it was skipped.
    Late,
}

impl ComplaintKind {
    /// The word that the processing log has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deserialization => "DESERIALIZATION",
            Self::Processing => "PROCESSING",
            Self::Serialization => "SERIALIZATION",
            Self::Late => "LATE",
        }
    }
}
