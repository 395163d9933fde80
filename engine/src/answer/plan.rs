//! The plan of a bounded query: EXPLAIN and EXPLAIN ANALYZE.

use super::Snapshot;

/// A plan that was not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The optimized logical plan, one step per line.
    pub logical: String,
    /// The physical plan that would be executed, one step per line.
    pub physical: String,
}

/// A plan that was executed to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutedPlan {
    /// The physical plan that was executed, one step per line, each with its metrics.
    pub physical: String,
    /// Number of rows that the query returned.
    pub rows: u64,
    /// What was read to compute them.
    pub read: Snapshot,
}
