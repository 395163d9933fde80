//! GROUP BY in a topology: the columns of a group, its windows, and the calls of aggregates.

use serde::{Deserialize, Serialize};

use crate::definition::WindowDef;
use crate::types::SqlType;

/// An aggregation. Its rows have the GROUP BY columns, then WINDOWSTART and WINDOWEND (BIGINT, ms since the epoch) if it has
/// windows, then the results of the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// The name of its store, from which the name of its changelog topic is derived.
    pub store: String,
    /// The GROUP BY columns of the input. A row with a null in one of them belongs to no group.
    pub groups: Vec<String>,
    /// The windows of its groups; `None` for GROUP BY without WINDOW.
    pub window: Option<AggregateWindow>,
    /// The calls of aggregates.
    pub calls: Vec<AggregateCall>,
    /// Whether a group is emitted only once, when its window has closed (EMIT FINAL).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}

/// The windows of an aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateWindow {
    /// Their type and size.
    pub def: WindowDef,
    /// The time from the start of a hopping window to that of the next, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance_ms: Option<i64>,
    /// The longest time between two rows of a session, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<i64>,
    /// How long after its end a window accepts rows, in ms of stream time.
    pub grace_ms: i64,
    /// How long the state of a window is kept after its start, in ms of stream time: at least its size and grace period.
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
    /// The columns of the input that are its arguments; none for `COUNT(*)`.
    pub args: Vec<String>,
    /// The arguments that follow, which are constants, as SQL text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<String>,
    /// The type of its result.
    #[serde(with = "crate::definition::type_text")]
    pub ty: SqlType,
}
