//! EXISTS, IN, ANY and ALL with a subquery that has at most one row: an aggregate without GROUP BY.
//!
//! Such a SELECT returns a row even if there is nothing to aggregate; only HAVING can remove it. DataFusion (55) groups
//! the subquery by its correlated columns and joins the result, so that this row is missing: `EXISTS (SELECT COUNT(*)
//! FROM o2 WHERE o2.b = o1.a)` was false where no b is equal (apache/datafusion#24960). It handles scalar subqueries
//! correctly, so these subqueries are rewritten:
//!
//! ```text
//! EXISTS (SELECT COUNT(*) …)                  true
//! EXISTS (SELECT COUNT(*) … HAVING p)         (SELECT p …) IS TRUE
//! x IN (SELECT MAX(v) … HAVING p)             x = (SELECT CASE WHEN p THEN MAX(v) END …)
//! x < ALL (SELECT MAX(v) … HAVING p)          NOT (SELECT p …) IS TRUE OR x < (SELECT MAX(v) …)
//! ```
//!
//! If such an aggregate is deeper inside a subquery, or if there are totals of ROLLUP and the like
//! (apache/datafusion#25519), the query is rejected.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, and, lit, or, when,
};

use super::correlation::is_correlated;
use super::operator::Op;

/// The column that says whether the subquery has its row.
const IS_THERE: &str = "headwater_is_there";

/// Replaces the one-row subqueries of an expression with comparisons, which are not lowered yet.
pub(super) fn compared(expr: Expr) -> Result<Expr> {
    let compared = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::Exists(Exists { subquery, negated }) => match OneRow::of("Exists", &subquery)? {
                Some(row) => Transformed::yes(not_if(negated, row.is_there()?)),
                None => Transformed::no(Expr::Exists(Exists { subquery, negated })),
            },
            Expr::InSubquery(among) => match OneRow::of("InSubquery", &among.subquery)? {
                Some(row) => {
                    let InSubquery { expr, negated, .. } = among;
                    Transformed::yes(not_if(negated, Op::Equal.call(*expr, row.value_if_there()?)))
                }
                None => Transformed::no(Expr::InSubquery(among)),
            },
            Expr::SetComparison(among) => {
                match (OneRow::of("SetComparison", &among.subquery)?, Op::of_native(among.op)) {
                    (Some(row), Some(op)) => Transformed::yes(with_all(among, op, &row)?),
                    _ => Transformed::no(Expr::SetComparison(among)),
                }
            }
            Expr::ScalarSubquery(subquery) => match OneRow::of("ScalarSubquery", &subquery)? {
                Some(row) => Transformed::yes(row.value_if_there()?),
                None => Transformed::no(Expr::ScalarSubquery(subquery)),
            },
            other => Transformed::no(other),
        })
    })?;
    Ok(compared.data)
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn with_all(among: SetComparison, op: Op, row: &OneRow) -> Result<Expr> {
    let compared = op.call(*among.expr, row.value_if_there()?);
    Ok(match (among.quantifier, &row.condition) {
        (SetQuantifier::All, Some(_)) => or(Expr::Not(Box::new(row.is_there()?)), compared),
        _ => compared,
    })
}

/// A correlated subquery that is an aggregate without GROUP BY, below nodes that add no rows.
struct OneRow {
    aggregate: LogicalPlan,
    /// The columns of the subquery, as expressions over the aggregate.
    columns: Vec<Expr>,
    /// The condition that decides whether the subquery has its row, if there is one.
    condition: Option<Expr>,
    subquery: Subquery,
}

impl OneRow {
    fn of(kind: &str, subquery: &Subquery) -> Result<Option<Self>> {
        if !is_correlated(&subquery.subquery)? {
            return Ok(None);
        }
        let row = Self::find(&subquery.subquery, subquery)?;
        let below = row.as_ref().map_or(vec![subquery.subquery.as_ref()], |row| row.aggregate.inputs());
        for plan in below {
            if makes_a_row_of_nothing(plan)? {
                // This is DataFusion's message for a subquery that it cannot compute, which is reworded elsewhere.
                return not_impl_err!("Physical plan does not support logical expression {kind}(");
            }
        }
        Ok(row)
    }

    fn find(plan: &LogicalPlan, subquery: &Subquery) -> Result<Option<Self>> {
        let below = |plan: &LogicalPlan| Self::find(plan, subquery);
        match plan {
            LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.is_empty() => {
                let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
                Ok(Some(Self { aggregate: plan.clone(), columns, condition: None, subquery: subquery.clone() }))
            }
            LogicalPlan::Projection(projection) => {
                let Some(row) = below(&projection.input)? else { return Ok(None) };
                let columns = projection.expr.iter().map(|expr| row.over(expr.clone().unalias(), &projection.input));
                Ok(Some(Self { columns: columns.collect::<Result<_>>()?, ..row }))
            }
            LogicalPlan::Filter(filter) => {
                let Some(row) = below(&filter.input)? else { return Ok(None) };
                let condition = Expr::IsTrue(Box::new(row.over(filter.predicate.clone(), &filter.input)?));
                Ok(Some(row.only_if(condition)))
            }
            LogicalPlan::SubqueryAlias(named) => below(&named.input),
            LogicalPlan::Sort(sort) => below(&sort.input),
            LogicalPlan::Distinct(Distinct::All(input)) => below(input),
            LogicalPlan::Limit(limit) => {
                let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
                    (limit.get_skip_type()?, limit.get_fetch_type()?)
                else {
                    return Ok(None);
                };
                let row = below(&limit.input)?;
                let is_cut = skip > 0 || fetch == Some(0);
                Ok(if is_cut { row.map(|row| row.only_if(lit(false))) } else { row })
            }
            _ => Ok(None),
        }
    }

    fn only_if(self, condition: Expr) -> Self {
        let condition = match self.condition {
            Some(before) => and(before, condition),
            None => condition,
        };
        Self { condition: Some(condition), ..self }
    }

    /// Rewrites an expression over `plan` as an expression over the aggregate.
    fn over(&self, expr: Expr, plan: &LogicalPlan) -> Result<Expr> {
        let replaced = expr.transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            Ok(match plan.schema().maybe_index_of_column(column) {
                Some(at) => Transformed::yes(self.columns[at].clone()),
                None => Transformed::no(expr),
            })
        })?;
        Ok(replaced.data)
    }

    fn is_there(&self) -> Result<Expr> {
        match &self.condition {
            Some(condition) => Ok(Expr::IsTrue(Box::new(self.scalar(condition.clone(), IS_THERE)?))),
            None => Ok(lit(true)),
        }
    }

    /// The value of the first column; NULL if there is no row.
    fn value_if_there(&self) -> Result<Expr> {
        let field = self.subquery.subquery.schema().field(0);
        let value = self.columns[0].clone();
        let value = match &self.condition {
            Some(condition) => {
                let nothing = Expr::Literal(ScalarValue::try_new_null(field.data_type())?, None);
                when(condition.clone(), value).otherwise(nothing)?
            }
            None => value,
        };
        self.scalar(value, field.name())
    }

    fn scalar(&self, value: Expr, name: &str) -> Result<Expr> {
        let plan = LogicalPlanBuilder::from(self.aggregate.clone()).project([value.alias(name)])?.build()?;
        Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..self.subquery.clone() }))
    }
}

/// Whether the plan contains a correlated aggregate that returns a row for no input, which DataFusion loses.
fn makes_a_row_of_nothing(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::Aggregate(Aggregate { group_expr, input, .. }) => {
            let is_total = group_expr.is_empty() || matches!(group_expr[..], [Expr::GroupingSet(_)]);
            Ok(is_total && is_correlated(input)?)
        }
        _ => Ok(false),
    })
}
