//! Constant regular expressions: one that does not compile is rejected when the query is planned, instead of giving
//! NULL for every row.

use headwater_functions::{Category, Pattern};
use headwater_language::diagnostic::{Diagnostic, LITERAL};
use headwater_language::sql::place;
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _, Value,
};

/// The error in the constant pattern of a call; none if it is valid or not constant.
pub(super) fn check(call: &Function) -> Option<Diagnostic> {
    let function = headwater_functions::find(&call.name.to_string())?;
    if function.category != Category::RegularExpression {
        return None;
    }
    let FunctionArguments::List(list) = &call.args else { return None };
    let at = function.variants.first()?.params.iter().position(|param| param.name == "pattern")?;
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern)) = list.args.get(at)? else { return None };
    let why = Pattern::compile(&constant(pattern)?).err()?;
    Some(Diagnostic::new(LITERAL, why).at_maybe(place(pattern.span())))
}

/// The string of a constant.
fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        Expr::Nested(inner) => constant(inner),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => Some(constant(left)? + &constant(right)?),
        _ => None,
    }
}
