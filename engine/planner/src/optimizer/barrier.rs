//! Barriers in a physical plan: the optimizer must not infer anything about the order of rows across them.
//!
//! DataFusion (55) infers wrong orders at these points, and a [`Barrier`] there prevents it:
//!
//! * **Above a limit in a subquery.** A sort above is pushed below the limit, which then keeps different rows, and with an
//!   OFFSET too few of them: `SELECT a FROM (SELECT a FROM t LIMIT 4 OFFSET 3) AS q ORDER BY a` returned one row
//!   (apache/datafusion#24958 for the number, #25378 for the choice).
//! * **Below an OFFSET without a LIMIT.** The sort that determines which rows are skipped is removed if no node above needs
//!   its order (apache/datafusion#23534). The barrier requires the order.
//! * **Below the side of an outer join that may be missing, and around GROUPING SETS, ROLLUP and CUBE.** A column that a
//!   condition fixes there, or a literal in GROUP BY, is treated as constant above, although it is NULL in rows without a
//!   match and in totals, so that sorts by it are removed. No report was found.
//! * **Above a monotonic window function**, such as MAX over an order: it is NULL until there is a value, so the order that
//!   it is said to have may be the one with NULLs at the other end. No report was found.
//! * **Below a window function, if expressions are equal**, because of a condition such as `k - k = k`, or of columns that
//!   a condition, a join or a projection makes equal, as in `PARTITION BY p.k - q.k, p.k`: rows are sorted by one, and
//!   PARTITION BY the other is not recognized (a variant of apache/datafusion#9177, which was closed for constants).
//! * **Above a UNION.** A sort above is pushed below it, and if two columns of an input are the same expression, the inputs
//!   are sorted by different ones; DataFusion then rejects its own plan. No report was found.
//!
//! A barrier passes its input's stream on, so it costs nothing at run time.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, replace_children_if_necessary,
};

/// Inserts barriers where they are needed. Runs before all other rules, since those infer orders.
#[derive(Debug)]
pub(super) struct Barriers;

impl PhysicalOptimizerRule for Barriers {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        with_barriers(plan, true)
    }

    fn name(&self) -> &'static str {
        "barriers"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its barriers. The last nodes of a query, which only return its rows, need none above them.
fn with_barriers(plan: Arc<dyn ExecutionPlan>, last: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let below_is_last = last && (is_limit(&plan) || plan.is::<ProjectionExec>());
    let forgotten = forgotten(&plan);
    let ordered = plan.downcast_ref::<GlobalLimitExec>().is_some_and(|limit| limit.fetch().is_none());
    let child = |(at, child): (usize, &Arc<dyn ExecutionPlan>)| {
        let child = with_barriers(child.clone(), below_is_last)?;
        let forgets = forgotten.contains(&at) && concludes(&child) || confuses(&plan, &child);
        Ok(match forgets {
            true => Arc::new(Barrier::new(child, None)) as Arc<dyn ExecutionPlan>,
            false if ordered => required(child)?,
            false => child,
        })
    };
    let children = plan.children().into_iter().enumerate().map(child).collect::<Result<Vec<_>>>()?;
    let stops = !last && (is_limit(&plan) || plan.is::<UnionExec>()) || has_totals(&plan);
    let plan = replace_children_if_necessary(plan, children)?;
    Ok(if stops || is_said_to_rise(&plan) { Arc::new(Barrier::new(plan, None)) } else { plan })
}

fn is_limit(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<GlobalLimitExec>() || plan.is::<LocalLimitExec>()
}

fn has_totals(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<AggregateExec>().is_some_and(|aggregate| aggregate.group_expr().has_grouping_set())
}

/// Whether a plan claims to be ordered by the value of a window function that may be NULL.
fn is_said_to_rise(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let [input] = plan.children()[..] else { return false };
    if window_functions(plan).is_none() {
        return false;
    }
    let (width, schema) = (input.schema().fields().len(), plan.schema());
    let mut by = plan.equivalence_properties().oeq_class().iter().flat_map(|order| order.iter());
    by.any(|by| {
        let columns = collect_columns(&by.expr);
        columns.iter().any(|column| column.index() >= width && schema.field(column.index()).is_nullable())
    })
}

fn window_functions(plan: &Arc<dyn ExecutionPlan>) -> Option<&[Arc<dyn WindowExpr>]> {
    let bounded = || plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr);
    plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr).or_else(bounded)
}

/// Whether a plan has window functions that might be partitioned or ordered by an expression that is not a column and
/// is known to equal another one.
fn confuses(plan: &Arc<dyn ExecutionPlan>, input: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(functions) = window_functions(plan) else { return false };
    let ordered = functions.iter().flat_map(|function| function.order_by()).map(|by| &by.expr);
    let mut keys = functions.iter().flat_map(|function| function.partition_by()).chain(ordered);
    let computes = keys.any(|key| !key.is::<Column>());
    let mut classes = input.equivalence_properties().eq_group().iter();
    classes.any(|class| computes && class.len() > 1 || class.iter().any(|expr| !expr.is::<Column>()))
}

/// The children whose columns the plan replaces with others of the same name.
fn forgotten(plan: &Arc<dyn ExecutionPlan>) -> &'static [usize] {
    if has_totals(plan) {
        return &[0];
    }
    let joined = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let joined = joined.or_else(|| plan.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type()));
    match joined.or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type)) {
        Some(JoinType::Left) => &[1],
        Some(JoinType::Right) => &[0],
        Some(JoinType::Full) => &[0, 1],
        _ => &[],
    }
}

/// Whether the plan claims any order or constants of its rows.
fn concludes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let known = plan.equivalence_properties();
    !known.eq_group().is_empty() || plan.output_ordering().is_some()
}

/// The plan with a barrier above the sort whose rows it passes on, so that the sort is not removed.
fn required(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let order = sort.expr().clone();
        return Ok(Arc::new(Barrier::new(plan, Some(order))));
    }
    match plan.downcast_ref::<ProjectionExec>().map(|projection| projection.input().clone()) {
        Some(input) => replace_children_if_necessary(plan, vec![required(input)?]),
        None => Ok(plan),
    }
}

/// A node that passes its rows on and claims no order for them.
#[derive(Debug)]
pub(super) struct Barrier {
    input: Arc<dyn ExecutionPlan>,
    /// The order that its input must have.
    order: Option<LexOrdering>,
    properties: Arc<PlanProperties>,
}

impl Barrier {
    fn new(input: Arc<dyn ExecutionPlan>, order: Option<LexOrdering>) -> Self {
        let known = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            known.emission_type,
            known.boundedness,
        )
        .with_evaluation_type(known.evaluation_type)
        .with_scheduling_type(known.scheduling_type);
        Self { input, order, properties: Arc::new(properties) }
    }
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarrierExec")?;
        self.order.as_ref().map_or(Ok(()), |order| write!(f, ": order=[{order}]"))
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &'static str {
        "BarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.order.is_some()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut order = self.order.iter().flat_map(|order| order.iter());
        order.try_fold(TreeNodeRecursion::Continue, |_, by| f(&by.expr))
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.order.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.order.clone())))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, task)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs[0].clone())
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
