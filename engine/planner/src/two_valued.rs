//! NOT IN over a subquery, as the dialect compares.
//!
//! DataFusion plans `x NOT IN (SELECT v …)` as SQL has it: no row is kept as soon as one v is NULL, and none whose x is
//! NULL. In the dialect a comparison with a NULL is false (`NOT (x = 1)` holds where x is NULL), in NOT IN over a list, too.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Has anti joins that come of NOT IN take a NULL for equal to nothing, and for no more than that.
#[derive(Debug)]
pub(super) struct TwoValuedNotIn;

impl OptimizerRule for TwoValuedNotIn {
    fn name(&self) -> &'static str {
        "two_valued_not_in"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::Join(join) if join.null_aware => {
                Transformed::yes(LogicalPlan::Join(Join { null_aware: false, ..join }))
            }
            plan => Transformed::no(plan),
        })
    }
}
