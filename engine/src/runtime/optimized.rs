//! The physical plan of a bounded query, even when the optimizer fails on it.
//!
//! A faulty rule of DataFusion usually fails, with an error about a plan that it produced itself or with a panic. The
//! query is then planned again with only the required rules, which is slower to run but correct.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt as _;
use headwater_formats::panic::words;
use headwater_planner::bounded;

use super::joins;

/// The plan of a query, and the state that it is executed in.
pub(super) struct Optimized {
    pub logical: LogicalPlan,
    pub physical: Arc<dyn ExecutionPlan>,
    pub state: SessionState,
}

/// Optimizes a query. Fails with the optimizer's error if that is caused by the query itself or by what it reads.
pub(super) async fn optimize(logical: &LogicalPlan, state: SessionState, memory_max: usize) -> Result<Optimized> {
    let attempt = AssertUnwindSafe(attempt(logical, state.clone(), memory_max)).catch_unwind().await;
    let why = match &attempt {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => is_of_a_rule(error).then(|| error.to_string()),
        Err(panic) => Some(words(panic.as_ref()).to_owned()),
    };
    if let Some(why) = why
        && let Ok(optimized) = self::attempt(logical, bounded::with_fewest_rules(state), memory_max).await
    {
        // Nobody has to act, and users would not understand DataFusion's message.
        tracing::debug!(why, "optimizer failed on a query; planning it with the required rules only");
        return Ok(optimized);
    }
    attempt.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whether an error may be caused by a rule: not by the cluster or an unsupported feature.
fn is_of_a_rule(error: &DataFusionError) -> bool {
    use DataFusionError::{Internal, Plan, SchemaError};
    matches!(error.find_root(), Internal(_) | Plan(_) | SchemaError(..))
}

async fn attempt(logical: &LogicalPlan, mut state: SessionState, memory_max: usize) -> Result<Optimized> {
    let logical = state.optimize(logical)?;
    let mut physical = state.query_planner().create_physical_plan(&logical, &state).await?;
    if joins::may_outgrow(&physical, memory_max) {
        // A hash join keeps one side in memory; a sort-merge join spills.
        // DataFusion uses one only when several partitions run in parallel.
        let options = state.config_mut().options_mut();
        options.optimizer.prefer_hash_join = false;
        options.execution.target_partitions = options.execution.target_partitions.max(2);
        physical = state.query_planner().create_physical_plan(&logical, &state).await?;
    }
    Ok(Optimized { logical, physical, state })
}

#[cfg(test)]
mod tests {
    use datafusion::common::tree_node::Transformed;
    use datafusion::error::{DataFusionError, Result};
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::logical_expr::{LogicalPlanBuilder, lit};
    use datafusion::optimizer::optimizer::ApplyOrder;
    use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

    use super::*;
    use crate::runtime::bounded::Bounded;
    use headwater_language::config::Settings;

    /// A rule that calls the given function.
    #[derive(Debug)]
    struct Faulty(fn() -> Result<()>);

    impl OptimizerRule for Faulty {
        fn name(&self) -> &'static str {
            "faulty"
        }

        fn apply_order(&self) -> Option<ApplyOrder> {
            Some(ApplyOrder::TopDown)
        }

        fn supports_rewrite(&self) -> bool {
            true
        }

        fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
            (self.0)().map(|()| Transformed::no(plan))
        }
    }

    async fn optimized(rule: fn() -> Result<()>) -> Result<Optimized> {
        let state = SessionStateBuilder::new_from_existing(Bounded::bare_state(&Settings::default()))
            .with_optimizer_rule(Arc::new(Faulty(rule)))
            .build();
        let plan = LogicalPlanBuilder::empty(true).project([lit(1).alias("a")])?.build()?;
        optimize(&plan, state, usize::MAX).await
    }

    #[tokio::test]
    async fn a_rule_that_fails_is_left_out() {
        let internal = || Err(DataFusionError::Internal("a plan of its own".to_owned()));
        for rule in [internal as fn() -> Result<()>, || panic!("an array of another type"), || Ok(())] {
            let plan = optimized(rule).await.expect("a plan").physical;
            assert_eq!(plan.schema().field(0).name(), "a");
        }
    }

    #[tokio::test]
    async fn what_the_query_is_at_fault_for_stays_its_fault() {
        let unsupported = || Err(DataFusionError::NotImplemented("this".to_owned()));
        let failed = optimized(unsupported).await.map(|_| ()).expect_err("a refusal");
        assert!(matches!(failed.find_root(), DataFusionError::NotImplemented(_)), "{failed}");
    }
}
