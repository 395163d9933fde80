//! `SELECT COUNT(*) FROM stream`, which counts records without decoding them.
//!
//! In all other queries a record is bad or not whatever the query reads of it. Only this query, with nothing between
//! the count and the stream, does not use the contents of a record: it counts bad records, too.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::COUNT_STAR_EXPANSION;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, SubqueryAlias, TableScan, TableScanBuilder};

use super::topics::TopicTable;

/// Marks the streams of a plan that are only counted. For a plan as it was written, before any optimizer rule has
/// changed it.
pub(super) fn count_unparsed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if counts_all(&aggregate) => {
            let Some(input) = counted(&aggregate.input)? else {
                return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
            };
            let aggregate = Aggregate::try_new(Arc::new(input), Vec::new(), aggregate.aggr_expr)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        node => Ok(Transformed::no(node)),
    })
    .map(|counted| counted.data)
}

/// Whether an aggregate computes only COUNT(*).
fn counts_all(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty() && aggregate.aggr_expr.iter().all(is_count_of_all)
}

fn is_count_of_all(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_count_of_all(&alias.expr),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let is_plain = params.filter.is_none() && !params.distinct;
            // A number that the user wrote is no longer a plain literal: COUNT(1) is a different call.
            let is_star = |arg: &Expr| matches!(arg, Expr::Literal(value, _) if *value == COUNT_STAR_EXPANSION);
            func.name() == "count" && is_plain && params.args.iter().all(is_star)
        }
        _ => false,
    }
}

/// Rewrites the scan of a stream, under any alias, as one that is counted; `None` for anything else.
fn counted(input: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match input {
        LogicalPlan::TableScan(scan) => counted_scan(scan),
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = counted(&alias.input)? else { return Ok(None) };
            SubqueryAlias::try_new(Arc::new(input), alias.alias.clone()).map(|a| Some(LogicalPlan::SubqueryAlias(a)))
        }
        _ => Ok(None),
    }
}

fn counted_scan(scan: &TableScan) -> Result<Option<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<TopicTable>().filter(|_| scan.filters.is_empty()) else {
        return Ok(None);
    };
    let source = provider_as_source(Arc::new(table.counted()));
    let counted = TableScanBuilder::new(scan.table_name.clone(), source).with_projection(Some(Vec::new())).build()?;
    Ok(Some(LogicalPlan::TableScan(counted)))
}
