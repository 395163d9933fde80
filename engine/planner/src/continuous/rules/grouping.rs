//! GROUP BY, aggregates and HAVING.

use headwater_functions::aggregate;
use headwater_language::diagnostic::{Diagnostic, PLAN, STREAMING};
use headwater_language::sql::walk;
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value};

use crate::continuous::query::{Streaming, called};
use crate::continuous::scope::span_of;
use crate::sides::{contains_map, map_in_key};

/// Each GROUP BY expression appears once, is not a list and not an aggregate, and has a type that a key may have.
pub fn expressions(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let mut seen: Vec<String> = Vec::new();
    for group in &query.groups {
        let text = query.scope.text(group);
        let refuse = |message: String| Diagnostic::new(STREAMING, message).at(span_of(group, query.span()));
        if let Expr::Tuple(list) = group {
            let list: Vec<String> = list.iter().map(|expr| query.scope.text(expr)).collect();
            let message = format!("GROUP BY takes separate expressions, not the list \"({})\"", list.join(", "));
            errors.push(refuse(message));
        } else if seen.contains(&text) {
            let of = query.only_source().map(|source| format!(" of \"{}\"", source.name)).unwrap_or_default();
            errors.push(refuse(format!("\"{text}\"{of} appears twice in GROUP BY")));
        } else {
            seen.push(text);
            can_be_a_key(query, group, errors);
        }
    }
}

fn can_be_a_key(query: &Streaming<'_>, group: &Expr, errors: &mut Vec<Diagnostic>) {
    let refuse = |message: String| Diagnostic::new(STREAMING, message).at(span_of(group, query.span()));
    let aggregates = query.aggregates_in(group);
    for aggregate in aggregates.iter().filter_map(called) {
        errors.push(refuse(format!("GROUP BY cannot contain the aggregate {aggregate}")));
    }
    let mut found = Vec::new();
    if aggregates.is_empty()
        && let Some(ty) = query.ty(group, &mut found).filter(contains_map)
    {
        errors.push(refuse(map_in_key(&name_of(query, group), &ty)));
    }
    // Names and functions that do not exist are reported once, by their own rules.
    errors.extend(found.into_iter().filter(|error| error.code == PLAN));
}

/// The name of a GROUP BY expression in the result.
fn name_of(query: &Streaming<'_>, group: &Expr) -> String {
    let text = query.scope.text(group);
    let item = query.items.iter().find(|item| query.scope.text(&item.expr) == text);
    item.map_or(text, |item| item.name.clone())
}

/// GROUP BY requires an aggregate, and an aggregate that is written to a topic requires GROUP BY.
pub fn something_aggregated(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if !query.groups.is_empty() && query.aggregates().is_empty() {
        let message = "GROUP BY needs an aggregate in SELECT or HAVING";
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()).hint("Add one, such as COUNT(*)."));
    }
    let alone = query.selected_aggregates();
    if query.groups.is_empty() && query.purpose.sink().is_some() && !alone.is_empty() {
        let texts: Vec<String> = alone.iter().map(|aggregate| query.scope.text(aggregate)).collect();
        let message = format!("aggregates that are written to a topic need a GROUP BY: {}", texts.join(", "));
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}

/// Aggregates are not nested, and arguments that must be constant are literals.
pub fn arguments(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for aggregate in &query.aggregates() {
        let (Some(name), span) = (called(aggregate), span_of(aggregate, query.span())) else { continue };
        let arguments = arguments_of(aggregate);
        for inner in arguments.iter().flat_map(|argument| query.aggregates_in(argument)).filter_map(|a| called(&a)) {
            let message = format!("the aggregate {name} cannot take the aggregate {inner}");
            errors.push(Diagnostic::new(STREAMING, message).at(span));
        }
        let first_constant = arguments.len() - aggregate::constants(&name, arguments.len());
        for (at, argument) in arguments.iter().enumerate().skip(first_constant) {
            if let Some(expected) = unlike_a_constant(argument) {
                let text = query.scope.text(argument);
                let message = format!("argument {} of {name} must be {expected}, not \"{text}\"", at + 1);
                errors.push(Diagnostic::new(PLAN, message).at(span_of(argument, query.span())));
            }
        }
    }
}

/// What an argument would have to be, if it is not a valid constant: every number is a count. Other literals are refused for
/// their types, when the call is resolved.
fn unlike_a_constant(argument: &Expr) -> Option<&'static str> {
    match argument {
        Expr::Nested(inner) => unlike_a_constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if unlike_a_constant(expr) != Some(LITERAL) => Some(COUNT),
        Expr::Value(value) => match &value.value {
            Value::Null | Value::Placeholder(_) => Some(LITERAL),
            Value::Number(digits, _) if digits.bytes().all(|digit| digit == b'0') => Some(COUNT),
            _ => None,
        },
        _ => Some(LITERAL),
    }
}

const LITERAL: &str = "a literal";
const COUNT: &str = "1 or more";

/// WHERE contains no aggregates: it filters rows before they are grouped.
pub fn filter(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(filter) = query.select.selection.as_ref().filter(|_| query.is_grouped()) else { return };
    for aggregate in query.aggregates_in(filter).iter().filter_map(called) {
        let message = format!("WHERE cannot contain the aggregate {aggregate}");
        let error = Diagnostic::new(STREAMING, message).at(span_of(filter, query.span()));
        errors.push(error.hint("Use HAVING to filter groups."));
    }
}

/// Aggregates over a table can retract rows.
pub fn tables(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let all_tables = (0..query.scope.members.len()).all(|member| query.is_table(member));
    let mut stuck: Vec<String> = query.aggregates().iter().filter_map(called).collect();
    stuck.retain(|name| !aggregate::retracts(name));
    stuck.dedup();
    if all_tables && !stuck.is_empty() {
        let message = format!("these aggregates cannot be used over a table, whose rows change: {}", stuck.join(", "));
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}

/// Table functions are not combined with aggregates or GROUP BY.
pub fn table_functions(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    for (name, span) in query.items.iter().flat_map(|item| query.table_functions_in(&item.expr)) {
        if query.is_grouped() {
            let message = format!("table function {name} cannot be used together with aggregates or GROUP BY");
            errors.push(Diagnostic::new(STREAMING, message).at(span));
        }
    }
}

/// SELECT and HAVING use columns only inside aggregates and GROUP BY expressions.
pub fn everything_grouped(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if !query.is_grouped() {
        return;
    }
    let groups: Vec<String> = query.groups.iter().map(|group| query.scope.text(group)).collect();
    let is_loose = |expr: &Expr| !loose(query, expr, &groups).is_empty();
    let items: Vec<_> = query.items.iter().filter(|item| is_loose(&item.expr)).collect();
    if let Some(first) = items.first() {
        let texts: Vec<String> = items.iter().map(|item| query.scope.text(&item.expr)).collect();
        let message = format!("in SELECT and neither aggregated nor in GROUP BY: {}", texts.join(", "));
        let hint = "Add it to GROUP BY, or take it out of SELECT.";
        errors.push(Diagnostic::new(STREAMING, message).at(first.span.unwrap_or(query.span())).hint(hint));
    }
    let Some(having) = &query.select.having else { return };
    if let Some(expr) = loose(query, having, &groups).first() {
        let message = format!("in HAVING and neither aggregated nor in GROUP BY: {}", query.scope.text(expr));
        errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, query.span())));
    }
}

/// The columns in an expression that are outside of aggregates and GROUP BY expressions.
fn loose(query: &Streaming<'_>, expr: &Expr, groups: &[String]) -> Vec<Expr> {
    if groups.contains(&query.scope.text(expr)) || query.is_aggregate(expr) {
        return Vec::new();
    }
    if query.scope.column(expr).is_some() {
        return vec![expr.clone()];
    }
    children(expr).iter().flat_map(|child| loose(query, child, groups)).collect()
}

/// The arguments of a call.
fn arguments_of(call: &Expr) -> Vec<Expr> {
    let Expr::Function(function) = call else { return Vec::new() };
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => expr.clone(),
        _ => Expr::value(Value::Null),
    };
    list.args.iter().map(argument).collect()
}

/// The direct children of an expression.
fn children(expr: &Expr) -> Vec<Expr> {
    struct Children {
        depth: usize,
        found: Vec<Expr>,
    }
    impl sqlparser::ast::Visitor for Children {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
            if self.depth == 1 {
                self.found.push(expr.clone());
            }
            self.depth += 1;
            std::ops::ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &Expr) -> std::ops::ControlFlow<()> {
            self.depth -= 1;
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut children = Children { depth: 0, found: Vec::new() };
    walk(expr, &mut children);
    children.found
}
