//! Tables and joins in a topology.

use serde::{Deserialize, Serialize};

/// Keeps the last row of each key in a store, and passes on what changes: each row with the row that was there before. A record
/// without a value deletes the row of its key; for a key without a row, it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableStore {
    /// The name of its store, from which the name of its changelog topic is derived.
    pub store: String,
    /// The columns of the key.
    pub key: Vec<String>,
}

/// A join of two inputs by one column of each. Port 0 is the left input, port 1 the right one. Its rows have the columns of the
/// left input, then those of the right one; all of them have different names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Which rows without a match are kept.
    pub kind: JoinKind,
    /// What is joined.
    pub form: JoinForm,
    /// The left input.
    pub left: JoinSide,
    /// The right input.
    pub right: JoinSide,
}

/// An input of a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinSide {
    /// The column with the value that is compared. A row in which it is null has no match.
    pub key: String,
    /// The name of the store for its rows; `None` if none are kept.
    pub store: Option<String>,
}

/// Which rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    /// No rows.
    Inner,
    /// The rows of the sources joined before.
    Left,
    /// The rows of the new source.
    Right,
    /// The rows of both sides.
    Full,
}

/// What is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JoinForm {
    /// Two streams: rows whose times are close.
    Streams {
        /// How much earlier than the left row the right row may be, in ms.
        before_ms: i64,
        /// How much later than the left row the right row may be, in ms.
        after_ms: i64,
        /// How long after that rows are accepted, in ms of stream time. `None` if GRACE PERIOD was not written: rows without a
        /// match are emitted at once.
        grace_ms: Option<i64>,
    },
    /// A stream with a table: each row of the stream with the row of the table at that time.
    StreamTable,
    /// Two tables with the same key: the changes of the joined rows.
    Tables,
}

impl JoinKind {
    /// The join as written in SQL.
    pub fn words(self) -> &'static str {
        match self {
            Self::Inner => "INNER JOIN",
            Self::Left => "LEFT OUTER JOIN",
            Self::Right => "RIGHT OUTER JOIN",
            Self::Full => "FULL OUTER JOIN",
        }
    }
}

impl Join {
    /// The names of its stores.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        [&self.left, &self.right].into_iter().filter_map(|side| side.store.as_deref())
    }
}
