//! MIN and MAX of values without an order, rejected when the query is planned: DataFusion would report them at run
//! time.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use headwater_expression::errors::place;
use headwater_functions::has_maps;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::type_name;

/// The errors for calls of MIN and MAX whose values have no order.
pub(super) fn check(plan: &LogicalPlan) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    // The visit itself cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        let inputs = node.inputs();
        for expr in node.expressions() {
            let _ = expr.apply(|part| {
                errors.extend(inputs.first().and_then(|input| refusal(part, input)));
                Ok(TreeNodeRecursion::Continue)
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    errors
}

fn refusal(expr: &Expr, input: &LogicalPlan) -> Option<Diagnostic> {
    let (name, args) = match expr {
        Expr::AggregateFunction(call) => (call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => (call.fun.name(), &call.params.args),
        _ => return None,
    };
    let ([value], "min" | "max") = (&args[..], name) else { return None };
    let ty = value.get_type(input.schema()).ok().filter(has_maps)?;
    let message = format!("{} does not take {}: maps have no order", name.to_uppercase(), type_name(&ty));
    let mut span = None;
    let _ = value.apply(|part| {
        if let Expr::Column(column) = part {
            span = span.or(column.spans().first().and_then(place));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    Some(Diagnostic::new(PLAN, message).at_maybe(span))
}
