//! NOT IN with a subquery, with the dialect's comparisons.
//!
//! DataFusion plans `x NOT IN (SELECT v …)` as SQL does: no row is kept if any v is NULL, and none whose x is NULL. In
//! the dialect a comparison with NULL is false (`NOT (x = 1)` is true if x is NULL), and this also applies to NOT IN
//! with a list.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Makes the anti joins of NOT IN treat NULL as not equal to anything, and nothing more.
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
