//! A single expression made ready for execution, as DataFusion's analyzer and optimizer do it for plans: functions such as
//! COALESCE have a value only after that.

use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// The expression in its simplest form, over the schema of `context`.
pub fn simplified(expr: Expr, context: SimplifyContext) -> Result<Expr> {
    let schema = context.schema().clone();
    let simplifier = ExprSimplifier::new(context);
    simplifier.simplify(simplifier.coerce(expr, &schema)?)
}
