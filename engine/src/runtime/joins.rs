//! Whether the side of a hash join that is kept in memory may be too large.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use headwater_connectors::table::offsets_below;

/// Estimated bytes of a row of a hash table in addition to its columns.
const ROW_BYTES: usize = 64;
/// Estimated bytes of one value.
const VALUE_BYTES: usize = 24;

/// True when a hash join of the plan could need more than half of `memory` bytes, counting every offset that its
/// in-memory side reads as a row.
pub fn may_outgrow(plan: &Arc<dyn ExecutionPlan>, memory: usize) -> bool {
    let here = plan.downcast_ref::<HashJoinExec>().is_some_and(|join| kept_bytes(join) > memory / 2);
    here || plan.children().into_iter().any(|child| may_outgrow(child, memory))
}

fn kept_bytes(join: &HashJoinExec) -> usize {
    let width = ROW_BYTES + join.left().schema().fields().len() * VALUE_BYTES;
    let rows = usize::try_from(offsets_below(join.left())).unwrap_or(usize::MAX);
    rows.saturating_mul(width)
}
