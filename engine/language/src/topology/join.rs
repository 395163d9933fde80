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
    /// Whether the store is the result of the query: nothing is passed on, and the table is read from the store. Since version 5.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_result: bool,
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

/// The first step of a join of two tables in which the left one refers to the key of the right one: sends each left row to the
/// partition of the right row that it refers to. It receives the changes of the left table, with the rows before. Its rows are
/// requests, with the columns of the left table and those that are named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Which left rows without a right row are kept.
    pub kind: JoinKind,
    /// The name of its store, for the number of the next request.
    pub store: String,
    /// The column that refers to a right row.
    pub foreign_key: String,
    /// The name of the column with the number of the request, which grows with each change of a left row.
    pub version: String,
    /// The name of the column with the kind of request.
    pub request: String,
}

/// The second step of such a join: keeps the right rows and the left rows that refer to them, and answers each request and each
/// change of a right row. Port 0 has the requests, port 1 the changes of the right table. Its rows have the left columns, then
/// the right ones, then the two that are named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignJoin {
    /// Which left rows without a right row are kept.
    pub kind: JoinKind,
    /// The name of the store for the left rows.
    pub left_store: String,
    /// The name of the store for the right rows.
    pub right_store: String,
    /// The column of the left table that refers to a right row.
    pub foreign_key: String,
    /// The columns of the left table's key.
    pub left_key: Vec<String>,
    /// The column of the right table's key.
    pub right_key: String,
    /// The name of the column with the number of the request that is answered.
    pub version: String,
    /// The name of the column with the kind of request.
    pub request: String,
    /// The name of the column that tells whether there is a joined row.
    pub has_row: String,
}

/// The last step of such a join: keeps the latest answer for each left row, and passes on what changes. Requests of one left row
/// are answered in different partitions, so an older answer can arrive after a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// The name of the store for the number of the latest request of each key.
    pub version_store: String,
    /// The name of the store for the joined rows.
    pub store: String,
    /// The columns of the left table's key.
    pub key: Vec<String>,
    /// The column with the number of the request that was answered.
    pub version: String,
    /// The column that tells whether there is a joined row.
    pub has_row: String,
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
