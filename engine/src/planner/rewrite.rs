//! The dialect's expressions as DataFusion knows them, and names for columns that have none.
//!
//! What each form looks like before is in [`crate::sql::expr_forms`]. A cast that fails gives null, as
//! in ksqlDB, so CAST becomes TRY_CAST; a text compared with ROWTIME or a window bound is a time; a
//! number with an exponent is a DOUBLE, where DataFusion would make a DECIMAL of it.

use std::ops::ControlFlow;

use headwater_connectors::java_time::iso::parse_partial_iso_timestamp_ms;
use headwater_connectors::table::{ROWTIME, WINDOWEND, WINDOWSTART};
use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, Subscript, Value, ValueWithSpan,
    VisitMut, VisitorMut,
};

use super::star::call;
use crate::diagnostic::{Diagnostic, LITERAL, NOT_SUPPORTED};
use crate::functions::ELEMENT;

/// Functions of the dialect that DataFusion has under another name.
const OTHER_NAMES: &[(&str, &str)] = &[("COLLECT_LIST", "array_agg"), ("EXPLODE", "unnest")];

/// Rewrites a query in place. Reports what cannot be.
pub fn rewrite(query: &mut Query, errors: &mut Vec<Diagnostic>) {
    let mut rewriter = Rewriter { errors };
    let _: ControlFlow<()> = query.visit(&mut rewriter);
}

/// Rewrites one expression in place. Reports what cannot be.
pub fn rewrite_expr(expr: &mut Expr, errors: &mut Vec<Diagnostic>) {
    super::calls::rewrite(expr);
    let mut rewriter = Rewriter { errors };
    let _: ControlFlow<()> = expr.visit(&mut rewriter);
}

struct Rewriter<'a> {
    errors: &'a mut Vec<Diagnostic>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_columns(select);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundFieldAccess { .. } => self.access(expr),
            Expr::Function(_) => self.function(expr),
            Expr::Cast { kind: kind @ CastKind::Cast, .. } => *kind = CastKind::TryCast,
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits.contains(['e', 'E']) => {
                *expr = double(std::mem::take(digits));
            }
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                self.magic_time(left, right);
                self.magic_time(right, left);
            }
            Expr::Between { expr, low, high, .. } => {
                self.magic_time(expr, low);
                self.magic_time(expr, high);
            }
            Expr::InList { expr, list, .. } => list.iter_mut().for_each(|item| self.magic_time(expr, item)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    /// `a->b[1]->c` from left to right.
    fn access(&mut self, expr: &mut Expr) {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
        let mut value = std::mem::replace(root.as_mut(), Expr::value(Value::Null));
        for link in std::mem::take(access_chain) {
            value = match link {
                AccessExpr::Dot(field) => call("get_field", vec![value, field]),
                AccessExpr::Subscript(Subscript::Index { index }) => call(ELEMENT, vec![value, index]),
                AccessExpr::Subscript(slice @ Subscript::Slice { .. }) => Expr::CompoundFieldAccess {
                    root: Box::new(value),
                    access_chain: vec![AccessExpr::Subscript(slice)],
                },
            };
        }
        *expr = value;
    }

    fn function(&mut self, expr: &mut Expr) {
        let Expr::Function(function) = expr else { return };
        let Some(name) = simple_name(function) else { return };
        match name.as_str() {
            "STRUCT" => *expr = struct_literal(function),
            "MAP" => *expr = map_literal(function),
            "AS_VALUE" => self.only_argument(expr),
            "COUNT_DISTINCT" => count_distinct(function),
            _ => {
                if let Some((_, other)) = OTHER_NAMES.iter().find(|(ours, _)| *ours == name) {
                    function.name = ObjectName::from(vec![Ident::new(*other)]);
                }
            }
        }
    }

    fn only_argument(&mut self, expr: &mut Expr) {
        let Expr::Function(function) = expr else { return };
        match arguments(function).as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => *expr = inner.clone(),
            _ => {
                let span = function.name.0.first().and_then(|p| p.as_ident()).and_then(|i| crate::sql::place(i.span));
                self.errors.push(Diagnostic::new(NOT_SUPPORTED, "AS_VALUE takes one argument").at_maybe(span));
            }
        }
    }

    /// A text compared with a time column is a time: `ROWTIME > '2024-05-01T10:00'`.
    fn magic_time(&mut self, column: &Expr, literal: &mut Expr) {
        if !is_time_column(column) {
            return;
        }
        let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = literal else { return };
        match parse_partial_iso_timestamp_ms(text) {
            Ok(ms) => *literal = Expr::value(Value::Number(ms.to_string(), false)),
            Err(error) => {
                let message = format!("'{text}' is not a time: {error}");
                let hint = "Write it as '2024-05-01T10:11:12.123', in part or whole, with a zone such as Z or +0200, or as ms since the epoch.";
                self.errors.push(Diagnostic::new(LITERAL, message).at_maybe(crate::sql::place(*span)).hint(hint));
            }
        }
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_time_column(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    name.is_some_and(|n| [ROWTIME, WINDOWSTART, WINDOWEND].contains(&n.value.as_str()))
}

fn simple_name(function: &Function) -> Option<String> {
    match &function.name.0[..] {
        [part] => part.as_ident().map(|ident| ident.value.to_uppercase()),
        _ => None,
    }
}

fn arguments(function: &Function) -> Vec<FunctionArg> {
    match &function.args {
        FunctionArguments::List(list) => list.args.clone(),
        _ => Vec::new(),
    }
}

fn struct_literal(function: &Function) -> Expr {
    let fields = arguments(function).into_iter().flat_map(|arg| match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => vec![text(name.value), value],
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => vec![value],
        _ => Vec::new(),
    });
    call("named_struct", fields.collect())
}

fn map_literal(function: &Function) -> Expr {
    let entries = arguments(function).into_iter().filter_map(|arg| match arg {
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => Some((name, value)),
        _ => None,
    });
    let (keys, values): (Vec<Expr>, Vec<Expr>) = entries.unzip();
    let array = |elem| Expr::Array(Array { elem, named: true });
    call("map", vec![array(keys), array(values)])
}

fn count_distinct(function: &mut Function) {
    function.name = ObjectName::from(vec![Ident::new("count")]);
    if let FunctionArguments::List(list) = &mut function.args {
        list.duplicate_treatment = Some(sqlparser::ast::DuplicateTreatment::Distinct);
    }
}

fn double(digits: String) -> Expr {
    Expr::Cast {
        kind: CastKind::TryCast,
        expr: Box::new(text(digits)),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

fn text(value: String) -> Expr {
    Expr::value(Value::SingleQuotedString(value))
}

/// Gives every column of a SELECT list the name that ksqlDB gives it: a field's own name, `KSQL_COL_n`
/// for other expressions, `ALIAS_COLUMN` where two sources have a column of one name.
pub(super) fn name_columns(select: &mut Select) {
    let mut taken: Vec<String> = select.projection.iter().filter_map(given_name).collect();
    let mut generated = 0..;
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let Some(name) = new_name(expr, &mut taken, &mut generated) else { continue };
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
    }
}

/// The name that an item has without our doing.
fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|n| n.value.clone()),
        _ => None,
    }
}

fn new_name(expr: &Expr, taken: &mut Vec<String>, generated: &mut impl Iterator<Item = usize>) -> Option<String> {
    let name = match expr {
        Expr::Identifier(_) | Expr::Wildcard(_) => return None,
        Expr::CompoundIdentifier(names) => {
            let name = &names.last()?.value;
            let clash = taken.iter().filter(|t| *t == name).count() > 1;
            return clash.then(|| names.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join("_"));
        }
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(field), .. }))) => {
                free_name(field, taken)
            }
            _ => generated_name(taken, generated),
        },
        _ => generated_name(taken, generated),
    };
    taken.push(name.clone());
    Some(name)
}

fn free_name(field: &str, taken: &[String]) -> String {
    let free = |name: &String| !taken.contains(name);
    let numbered = (1..).map(|n| format!("{field}_{n}"));
    std::iter::once(field.to_owned()).chain(numbered).find(free).unwrap_or_else(|| field.to_owned())
}

fn generated_name(taken: &[String], generated: &mut impl Iterator<Item = usize>) -> String {
    let names = generated.map(|n| format!("KSQL_COL_{n}"));
    let mut free = names.filter(|name| !taken.contains(name));
    free.next().unwrap_or_else(|| "KSQL_COL".to_owned())
}
