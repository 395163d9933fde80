//! Pushes conditions below nodes that they do not depend on, but not below an aggregate that returns a row for no
//! input.
//!
//! DataFusion (55) pushes a condition of HAVING below the aggregate if it reads only grouping columns, and with it
//! every condition that reads no columns: `SELECT COUNT(*) FROM l HAVING (SELECT COUNT(*) FROM r) > 100` returned the
//! count of no rows instead of nothing. The same happens with the total of ROLLUP. Spark had the same bug: SPARK-17712,
//! SPARK-22983; no report for DataFusion was found.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::push_down_filter::PushDownFilter as DataFusions;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// DataFusion's rule of this name, except that it does not push conditions without columns below aggregates.
#[derive(Debug, Default)]
pub(super) struct PushDownFilter(DataFusions);

impl OptimizerRule for PushDownFilter {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return self.0.rewrite(plan, config) };
        let (conditions, input) = merged(filter);
        if !matches!(input.as_ref(), LogicalPlan::Aggregate(_)) {
            return self.0.rewrite(filtered(conditions, input), config);
        }
        let (kept, pushed): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| condition.column_refs().is_empty() || condition.is_volatile());
        if pushed.is_empty() {
            return Ok(Transformed::no(filtered(kept, input)));
        }
        self.0.rewrite(filtered(pushed, input), config)?.map_data(|plan| Ok(filtered(kept, Arc::new(plan))))
    }
}

/// The conditions of a filter and of the filters directly below it, from the lowest up, and the plan below all of them.
fn merged(filter: Filter) -> (Vec<Expr>, Arc<LogicalPlan>) {
    let above = split_conjunction_owned(filter.predicate);
    match Arc::unwrap_or_clone(filter.input) {
        LogicalPlan::Filter(below) => {
            let (mut conditions, input) = merged(below);
            conditions
                .extend(above.into_iter().filter(|condition| !conditions.contains(condition)).collect::<Vec<_>>());
            (conditions, input)
        }
        input => (above, Arc::new(input)),
    }
}

fn filtered(conditions: Vec<Expr>, input: Arc<LogicalPlan>) -> LogicalPlan {
    match conjunction(conditions) {
        Some(predicate) => LogicalPlan::Filter(Filter::new(predicate, input)),
        None => Arc::unwrap_or_clone(input),
    }
}
