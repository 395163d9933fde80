//! Names in calls that are not columns: units of time, as in `DATEADD(DAYS, 5, day)`, and lambda parameters.
//!
//! Separate from the other rewriting because it must happen before column names are resolved.

use std::ops::ControlFlow;

use headwater_functions::{ADDING, UNIT_CALL, UNITS};
use headwater_language::sql::{Tree, call, walk_mut};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OneOrManyWithParens, Value, VisitorMut,
};

/// Replaces each unit of time with the call that carries it, and quotes lambda parameters, which DataFusion would
/// otherwise fold to lower case.
pub fn rewrite(tree: &mut impl Tree) {
    walk_mut(tree, &mut Calls);
}

struct Calls;

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            match &mut lambda.params {
                OneOrManyWithParens::One(param) => param.name.quote_style = Some('`'),
                OneOrManyWithParens::Many(params) => {
                    params.iter_mut().for_each(|param| param.name.quote_style = Some('`'));
                }
            }
        }
        if let Expr::Function(function) = expr
            && let Some(unit) = unit(function)
            && let Expr::Identifier(name) = &unit
        {
            *unit = call(UNIT_CALL, vec![Expr::value(Value::SingleQuotedString(name.value.clone()))]);
        }
        ControlFlow::Continue(())
    }
}

/// The first argument of a function that takes a unit of time, if it is a unit.
fn unit(function: &mut Function) -> Option<&mut Expr> {
    let [name] = &function.name.0[..] else { return None };
    let name = &name.as_ident()?.value;
    if !ADDING.iter().any(|adding| adding.eq_ignore_ascii_case(name)) {
        return None;
    }
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut() else { return None };
    let is_unit = matches!(first, Expr::Identifier(name)
        if name.quote_style.is_none() && UNITS.iter().any(|(unit, _)| *unit == name.value));
    is_unit.then_some(first)
}
