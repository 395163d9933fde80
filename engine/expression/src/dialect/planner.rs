//! Planning of operators: each becomes an [`Operation`](super::operator::Operation) until it is lowered.
//!
//! The types are known at this point but are preliminary: a column of a UNION may still change its type until the plan
//! is complete. So only certain errors are reported here, before DataFusion would report them in its own wording.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use headwater_language::types::SqlType;

use super::kind::Kind;
use super::operator::{Division, Op};
use super::{arithmetic, comparison};

/// DataFusion's hook for planning the dialect's operators.
#[derive(Debug)]
pub(super) struct Operators {
    pub division: Division,
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(op) = Op::of(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let op = if op == Op::Divide && self.division == Division::Exact { Op::DivideExactly } else { op };
        // An operand without a type names a column that does not exist, which DataFusion reports with its location.
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

/// Whether a type is available only in bounded queries, or the operation is date arithmetic or array concatenation,
/// which the dialect does not have.
fn is_foreign(op: Op, kind: &Kind) -> bool {
    match kind {
        Kind::Foreign(_) => true,
        Kind::Of(SqlType::Date | SqlType::Time | SqlType::Timestamp) => op.is_arithmetic(),
        Kind::Of(SqlType::Array(_)) => op == Op::Concat,
        _ => false,
    }
}
