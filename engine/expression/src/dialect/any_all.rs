//! ANY and ALL with a subquery, with the dialect's comparisons.
//!
//! ```text
//! x < ANY (SELECT v …)    EXISTS (SELECT … WHERE x < v)
//! x < ALL (SELECT v …)    NOT EXISTS (SELECT … WHERE NOT x < v)
//! ```
//!
//! A comparison with NULL is false, so one NULL in `v` makes every ALL false. DataFusion (55) would compare DOUBLEs by
//! their bits, and it looks `x` up among the columns of the subquery if one of them has that name; so `v` gets a name
//! of its own here.
//!
//! DataFusion supports EXISTS only in conditions. Elsewhere, as in a SELECT list or in ORDER BY, a mark join marks the
//! rows if the subquery does not refer to the outer query. IN is treated the same way.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, NullEquality, Result, internal_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
};

use super::comparison::{self, relax};
use super::correlation::is_correlated;
use super::operator::Op;
use super::pass::each_grouped;
use super::subqueries::{outer, with_keys};
use super::{correlation, guard, lower};

/// The name of the column with the values of a subquery.
const VALUE: &str = "headwater_value";

/// The prefix of the names of relations that mark rows, followed by a number.
const MARKS: &str = "headwater_marks_";

/// The column that DataFusion adds to marked rows.
const MARK: &str = "mark";

/// Replaces ANY and ALL in an expression with EXISTS.
pub(super) fn as_exists(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| match expr {
        Expr::SetComparison(among) => exists(among, schema).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn exists(among: SetComparison, schema: &DFSchema) -> Result<Expr> {
    let Some(op) = Op::of_native(among.op) else { return Ok(Expr::SetComparison(among)) };
    let SetComparison { expr, mut subquery, quantifier, .. } = among;
    let value = guard::wrap_parts(lower(*expr, schema)?, schema)?;
    let values = Values::of(&subquery)?;
    comparison::check_sides(op, (&value, schema), (&values.shown, subquery.subquery.schema()))?;
    let value = outer(value, schema, &mut subquery.outer_ref_columns)?;
    let condition = found(quantifier, op, value, values.column, values.plan.schema())?;
    let plan = with_keys(Filter::new(condition, Arc::new(values.plan)))?;
    correlation::check_names(&plan, correlation::SubqueryKind::AnyAll)?;
    let subquery = Subquery { subquery: Arc::new(plan), ..subquery };
    Ok(Expr::Exists(Exists { subquery, negated: is_all(quantifier) }))
}

/// The condition for the values that decide: those that ANY looks for, or that ALL must not contain.
fn found(quantifier: SetQuantifier, op: Op, value: Expr, column: Expr, schema: &DFSchema) -> Result<Expr> {
    let compared = comparison::lower(op, value, column, schema)?;
    let condition = if is_all(quantifier) { Expr::Not(Box::new(compared)) } else { relax(compared)? };
    guard::wrap_condition(condition, schema)
}

fn is_all(quantifier: SetQuantifier) -> bool {
    matches!(quantifier, SetQuantifier::All)
}

/// The values of a subquery, as a column with a generated name.
pub(super) struct Values {
    pub plan: LogicalPlan,
    pub column: Expr,
    /// The same column under the name that its query gives it.
    pub shown: Expr,
}

impl Values {
    pub fn of(subquery: &Subquery) -> Result<Self> {
        let inner = subquery.subquery.as_ref().clone();
        let shown = Expr::from(inner.schema().columns().swap_remove(0));
        let plan = LogicalPlanBuilder::from(inner).project([shown.clone().alias(VALUE)])?.build()?;
        Ok(Self { plan, column: Expr::Column(Column::new_unqualified(VALUE)), shown })
    }
}

/// Rejects ANY and ALL that are neither marked nor in a condition: they refer to the outer query.
pub(super) fn refused(expr: Expr) -> Result<Expr> {
    expr.apply(|expr| match expr {
        Expr::SetComparison(among) => {
            Err(correlation::refused(correlation::SubqueryKind::AnyAll, &among.subquery.subquery)?)
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(expr)
}

/// Replaces ANY, ALL and IN with subqueries that do not refer to the outer query by marks of the rows.
pub(super) fn marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    use LogicalPlan::{Aggregate, Projection, Sort, Window};
    if !matches!(plan, Projection(_) | Aggregate(_) | Sort(_) | Window(_)) || !correlation::has_subqueries(&plan)? {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    let names = NamePreserver::new(&plan);
    let marks = RefCell::new(Marks { input: plan.inputs()[0].clone(), count: 0 });
    let in_place = |expr: Expr| {
        let name = names.save(&expr);
        marks.borrow_mut().in_place(expr).map(|expr| name.restore(expr))
    };
    let expressions = plan.expressions().into_iter().map(|expr| each_grouped(expr, &in_place));
    let expressions = expressions.collect::<Result<_>>()?;
    let marks = marks.into_inner();
    if marks.count == 0 {
        return Ok(plan);
    }
    let plan = plan.with_new_exprs(expressions, vec![marks.input])?;
    match plan.schema().columns() == columns {
        true => Ok(plan),
        false => LogicalPlanBuilder::from(plan).project(columns.into_iter().map(Expr::Column))?.build(),
    }
}

/// Adds a mark to the rows for each subquery.
struct Marks {
    input: LogicalPlan,
    count: usize,
}

impl Marks {
    /// Replaces the subqueries of an expression with marks.
    fn in_place(&mut self, expr: Expr) -> Result<Expr> {
        let replaced = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::SetComparison(among) if self.takes(&among)? => Transformed::yes(self.mark(among)?),
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let equal = SetComparison::new(expr, subquery, Operator::Eq, SetQuantifier::Any);
                    match (self.takes(&equal)?, negated) {
                        (true, true) => Transformed::yes(Expr::Not(Box::new(self.mark(equal)?))),
                        (true, false) => Transformed::yes(self.mark(equal)?),
                        (false, _) => {
                            Transformed::no(Expr::InSubquery(InSubquery::new(equal.expr, equal.subquery, negated)))
                        }
                    }
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(replaced.data)
    }

    fn takes(&self, among: &SetComparison) -> Result<bool> {
        Ok(Op::of_native(among.op).is_some() && !is_correlated(&among.subquery.subquery)?)
    }

    /// Marks the rows for which the subquery contains a matching value.
    fn mark(&mut self, among: SetComparison) -> Result<Expr> {
        let SetComparison { expr, subquery, op, quantifier } = among;
        let Some(op) = Op::of_native(op) else { return internal_err!("ANY or ALL without a comparison operator") };
        let schema = self.input.schema().clone();
        let value = guard::wrap_parts(lower(*expr, &schema)?, &schema)?;
        let values = Values::of(&subquery)?;
        comparison::check_sides(op, (&value, &schema), (&values.shown, subquery.subquery.schema()))?;
        // A column of a query further out cannot be compared by a mark join.
        outer(value.clone(), &schema, &mut Vec::new())?;
        let relation = format!("{MARKS}{}", self.count);
        let right = LogicalPlanBuilder::from(values.plan).alias(relation.as_str())?.build()?;
        let column = Expr::Column(Column::new(Some(relation.as_str()), VALUE));
        let condition = found(quantifier, op, value, column, &schema.join(right.schema())?)?;
        let (left, right) = (Arc::new(self.input.clone()), Arc::new(right));
        let (constraint, equality) = (JoinConstraint::On, NullEquality::NullEqualsNothing);
        let join =
            Join::try_new(left, right, vec![], Some(condition), JoinType::LeftMark, constraint, equality, false)?;
        self.input = LogicalPlan::Join(join);
        self.count += 1;
        let mark = Expr::Column(Column::new(Some(relation), MARK));
        Ok(if is_all(quantifier) { Expr::Not(Box::new(mark)) } else { mark })
    }
}
