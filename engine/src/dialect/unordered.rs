//! GROUP BY, DISTINCT, UNION, INTERSECT, EXCEPT and PARTITION BY take maps for equal whatever the order of their entries.
//!
//! DataFusion tells rows apart by their bytes. So what it is to tell apart goes through a function that puts the
//! entries in the order of their keys. Comparisons do the same for themselves ([`super::comparison`]).

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Projection, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::kernel;
use crate::functions::{has_maps, without_order};

/// Name of the function, as EXPLAIN shows it.
pub(super) const WITHOUT_ORDER: &str = "without_order";

/// The same value with the entries of its maps in the order of their keys.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WithoutOrder {
    signature: Signature,
}

impl ScalarUDFImpl for WithoutOrder {
    fn name(&self) -> &'static str {
        WITHOUT_ORDER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        kernel::evaluate(&args, |arrays| without_order(&arrays[0]))
    }
}

/// The expression through the function where there is a map in its type.
fn settled(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !has_maps(&expr.get_type(schema)?) {
        return Ok(expr);
    }
    let function = ScalarUDF::from(WithoutOrder { signature: Signature::any(1, Volatility::Immutable) });
    Ok(function.call(vec![expr]))
}

/// The same under the name that it had.
fn named(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !has_maps(&expr.get_type(schema)?) {
        return Ok(expr);
    }
    let (relation, name) = expr.qualified_name();
    Ok(settled(expr.unalias(), schema)?.alias_qualified(relation, name))
}

/// DISTINCT in an aggregate, PARTITION BY of a window function.
pub(super) fn settle_calls(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let settle_all = |parts: Vec<Expr>| parts.into_iter().map(|part| settled(part, schema)).collect::<Result<Vec<_>>>();
    let settled = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(mut call) if call.params.distinct => {
                call.params.args = settle_all(call.params.args)?;
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::WindowFunction(mut call) if !call.params.partition_by.is_empty() => {
                call.params.partition_by = settle_all(call.params.partition_by)?;
                Transformed::yes(Expr::WindowFunction(call))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(settled.data)
}

/// GROUP BY.
pub(super) fn settle_aggregate(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = aggregate.input.schema().clone();
    let each = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| named(expr, &schema)).collect::<Result<Vec<_>>>();
    let groups = |sets: Vec<Vec<Expr>>| sets.into_iter().map(each).collect::<Result<Vec<_>>>();
    let group = aggregate.group_expr.into_iter().map(|expr| match expr {
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => Ok(Expr::GroupingSet(GroupingSet::Cube(each(exprs)?))),
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => Ok(Expr::GroupingSet(GroupingSet::Rollup(each(exprs)?))),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            Ok(Expr::GroupingSet(GroupingSet::GroupingSets(groups(sets)?)))
        }
        expr => named(expr, &schema),
    });
    let group = group.collect::<Result<_>>()?;
    Aggregate::try_new(aggregate.input, group, aggregate.aggr_expr).map(LogicalPlan::Aggregate)
}

/// SELECT DISTINCT, and UNION, INTERSECT and EXCEPT without ALL.
pub(super) fn settle_distinct(distinct: Distinct) -> Result<Distinct> {
    match distinct {
        Distinct::All(input) if input.schema().fields().iter().any(|field| has_maps(field.data_type())) => {
            let columns =
                input.schema().columns().into_iter().map(|column| named(Expr::Column(column), input.schema()));
            let projection = Projection::try_new(columns.collect::<Result<_>>()?, input)?;
            Ok(Distinct::All(Arc::new(LogicalPlan::Projection(projection))))
        }
        Distinct::On(mut on) => {
            let schema = on.input.schema().clone();
            on.on_expr = on.on_expr.into_iter().map(|expr| settled(expr, &schema)).collect::<Result<_>>()?;
            Ok(Distinct::On(on))
        }
        all @ Distinct::All(_) => Ok(all),
    }
}

/// The pairs of columns by which INTERSECT, EXCEPT and USING join.
pub(super) fn settle_join(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        *left = settled(std::mem::take(left), join.left.schema())?;
        *right = settled(std::mem::take(right), join.right.schema())?;
    }
    Ok(join)
}
