//! Simplification of a single expression, as DataFusion's analyzer and optimizer do it for plans: functions such as
//! COALESCE can be evaluated only after that.

use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// Simplifies an expression over the schema of `context`.
pub fn simplified(expr: Expr, context: SimplifyContext) -> Result<Expr> {
    let schema = context.schema().clone();
    let simplifier = ExprSimplifier::new(context);
    simplifier.simplify(simplifier.coerce(expr, &schema)?)
}
