//! `GROUP BY k ORDER BY k LIMIT n` and `SELECT k, MAX(v) … GROUP BY k ORDER BY MAX(v) DESC LIMIT n` keep only n groups
//! in memory.
//!
//! This replaces DataFusion's `LimitAggregation`, which follows the ordered column through projections by its name.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, LimitOptions, topk_types_supported};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// Tells aggregates how many groups are needed, and in which order.
#[derive(Debug)]
pub(super) struct TopGroups;

/// Which groups are needed: the first ones, ordered by one column of a plan.
#[derive(Clone, Copy)]
struct Wanted {
    column: usize,
    descending: bool,
    nulls_first: bool,
    groups: usize,
}

impl PhysicalOptimizerRule for TopGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            let limited = node.downcast_ref::<SortExec>().and_then(|sort| limit(sort.input(), wanted(sort)?));
            Ok(match limited {
                Some(input) => Transformed::yes(replace_children_if_necessary(node, vec![input])?),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "top_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn wanted(sort: &SortExec) -> Option<Wanted> {
    let (groups, order) = (sort.fetch()?, sort.expr());
    let first = order.first();
    let column = first.expr.downcast_ref::<Column>().filter(|_| order.len() == 1)?.index();
    Some(Wanted { column, descending: first.options.descending, nulls_first: first.options.nulls_first, groups })
}

/// The plan with its aggregate limited, if there is one below nodes that pass each row on unchanged.
fn limit(plan: &Arc<dyn ExecutionPlan>, wanted: Wanted) -> Option<Arc<dyn ExecutionPlan>> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        if !keeps(aggregate, wanted) {
            return None;
        }
        let options = LimitOptions::new_with_order(wanted.groups, wanted.descending);
        let limited: Arc<dyn ExecutionPlan> = Arc::new(aggregate.with_new_limit_options(Some(options)));
        // If two aggregates are stacked, key and value have the same positions in the lower one.
        let finishes = aggregate.mode().input_mode() == AggregateInputMode::Partial;
        return Some(match finishes.then(|| limit(aggregate.input(), wanted)).flatten() {
            Some(input) => replace_children_if_necessary(limited, vec![input]).ok()?,
            None => limited,
        });
    }
    let column = match plan.downcast_ref::<ProjectionExec>() {
        Some(projection) => projection.expr().get(wanted.column)?.expr.downcast_ref::<Column>()?.index(),
        None if plan.is::<CoalescePartitionsExec>() || plan.is::<RepartitionExec>() => wanted.column,
        None => return None,
    };
    let [child] = plan.children()[..] else { return None };
    let child = limit(child, Wanted { column, ..wanted })?;
    replace_children_if_necessary(plan.clone(), vec![child]).ok()
}

/// Whether the aggregate can decide which groups are needed while it runs: there is one key, and the order is by the
/// key or by the only MIN or MAX, which only moves towards the front.
fn keeps(aggregate: &AggregateExec, wanted: Wanted) -> bool {
    let [(key, _)] = aggregate.group_expr().expr() else { return false };
    if aggregate.group_expr().has_grouping_set() || aggregate.filter_expr().iter().any(Option::is_some) {
        return false;
    }
    let schema = aggregate.input().schema();
    let Ok(key_type) = key.data_type(&schema) else { return false };
    let Some((value, descending)) = aggregate.get_minmax_desc() else {
        return aggregate.aggr_expr().is_empty() && wanted.column == 0 && are_kept(&key_type, &key_type);
    };
    // If NULLs are first, a group moves away from the front when its first value arrives.
    wanted.column == 1
        && descending == wanted.descending
        && !wanted.nulls_first
        && are_kept(&key_type, value.data_type())
}

/// Whether groups with keys and values of these types can be limited. DOUBLEs cannot: a NaN among the keys is not found
/// again, which makes DataFusion (55) panic (no report was found).
fn are_kept(key: &DataType, value: &DataType) -> bool {
    topk_types_supported(key, value) && !key.is_floating() && !value.is_floating()
}
