//! GROUP BY in a topology: what makes a group, its window, and the calls of aggregates.

use serde::{Deserialize, Serialize};

use crate::definition::WindowDef;
use crate::types::SqlType;

/// The column of an exchange with the partition of the record that a row came from, INT.
pub const ORIGIN_PARTITION: &str = "ORIGIN_PARTITION";
/// The column of an exchange with the offset of that record, BIGINT.
pub const ORIGIN_OFFSET: &str = "ORIGIN_OFFSET";

/// An aggregation. Its rows have the columns of the groups, then WINDOWSTART and WINDOWEND (BIGINT, ms since the epoch)
/// where it has a window, then those of the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// The name of its store, which is the end of its changelog topic's name.
    pub store: String,
    /// The columns of the input that make a group; rows with a null in one of them belong to none.
    pub groups: Vec<String>,
    /// The windows of its groups.
    pub window: Option<AggregateWindow>,
    /// The calls of aggregates.
    pub calls: Vec<AggregateCall>,
}

/// The windows of an aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateWindow {
    /// Their type and size.
    pub def: WindowDef,
    /// How long after its end a window accepts rows, in ms of stream time.
    pub grace_ms: i64,
    /// How long its state is kept after its start, in ms of stream time: at least size and grace.
    pub retention_ms: i64,
}

/// A call of an aggregate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateCall {
    /// The column of its result.
    pub column: String,
    /// The name of the function, in upper case.
    pub function: String,
    /// The columns of the input that it takes; none for `COUNT(*)`.
    pub args: Vec<String>,
    /// The type of its result.
    #[serde(with = "crate::definition::type_text")]
    pub ty: SqlType,
}
