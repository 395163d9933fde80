//! Operators as DataFusion plans them: each becomes an [`Operation`](super::operator::Operation) until it is lowered.
//!
//! Types are known here, if only for now: a column of a UNION may change its type until the whole plan stands. So only
//! what is certainly wrong is refused here, before DataFusion would refuse it with other words.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use headwater_language::types::SqlType;

use super::kind::Kind;
use super::operator::{Division, Op};
use super::{arithmetic, comparison};

/// The planner of the dialect's operators.
#[derive(Debug)]
pub(super) struct Operators {
    pub division: Division,
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(op) = Op::of(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let op = if op == Op::Divide && self.division == Division::Exact { Op::DivideExactly } else { op };
        // What has no type names a column that does not exist, which DataFusion tells with its place.
        let (Ok(left), Ok(right)) = (Kind::of(&expr.left, schema), Kind::of(&expr.right, schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        if is_foreign(op, &left) || is_foreign(op, &right) {
            return Ok(PlannerResult::Original(expr));
        }
        match op {
            op if op.is_arithmetic() => arithmetic::check(op, &expr.left, &expr.right, schema)?,
            Op::Concat => arithmetic::check_concat(&expr.left, &expr.right, schema)?,
            _ => comparison::check(op, &expr.left, &expr.right, schema)?,
        }
        Ok(PlannerResult::Planned(op.call(expr.left, expr.right)))
    }
}

/// Types that only bounded queries know, and arithmetic of times and concatenation of arrays, which the dialect does not have.
fn is_foreign(op: Op, kind: &Kind) -> bool {
    match kind {
        Kind::Foreign(_) => true,
        Kind::Of(SqlType::Date | SqlType::Time | SqlType::Timestamp) => op.is_arithmetic(),
        Kind::Of(SqlType::Array(_)) => op == Op::Concat,
        _ => false,
    }
}
