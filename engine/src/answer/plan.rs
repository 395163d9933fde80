//! The plan of a bounded query: EXPLAIN and EXPLAIN ANALYZE.

use super::Snapshot;

/// A plan that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The optimized logical plan, a step a line.
    pub logical: String,
    /// The plan that would be executed, a step a line.
    pub physical: String,
}

/// A plan that was run to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutedPlan {
    /// The plan that was executed, a step a line, each with what it did.
    pub physical: String,
    /// Number of rows that the query gave.
    pub rows: u64,
    /// What was read for them.
    pub read: Snapshot,
}
