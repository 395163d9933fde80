//! What DataFusion says of a clause as a whole, in words of the dialect and with the clause's own place.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SetExpr, Spanned as _, Value, ValueWithSpan, Visitor,
};

use crate::diagnostic::{Diagnostic, NOT_SUPPORTED, PLAN, Span};
use crate::sql::expr_forms::is_subquery;
use crate::sql::{each_expr, place, print, walk};

/// The same diagnostic better told, where it is about a clause.
pub(super) fn retell(told: Diagnostic, query: &Query) -> Diagnostic {
    let better = position(&told.message, query)
        .or_else(|| sides(&told, query))
        .or_else(|| limit(&told.message, query))
        .or_else(|| condition(&told.message, query))
        .or_else(|| subquery(&told.message, query));
    match better {
        Some(better) => Diagnostic { span: better.span.or(told.span), ..better },
        None => told,
    }
}

/// A position in ORDER BY or GROUP BY that no column has.
fn position(message: &str, query: &Query) -> Option<Diagnostic> {
    let ordered = message.strip_prefix("order by column out of bounds, specified: ");
    let grouped = message.strip_prefix("cannot find column with position ");
    let (clause, (given, rest)) = match (ordered, grouped) {
        (Some(rest), _) => ("ORDER BY", rest.split_once(", max: ")?),
        (_, Some(rest)) => ("GROUP BY", rest.split_once(" in SELECT clause. Valid columns: 1 to ")?),
        _ => return None,
    };
    let span = numbered(clause, given, query);
    let columns = if rest == "1" { "is one".to_owned() } else { format!("are {rest}") };
    Some(Diagnostic::new(PLAN, format!("{clause} {given} names no column: there {columns}")).at_maybe(span))
}

/// Where a number is an item of a clause.
fn numbered(clause: &'static str, number: &str, query: &Query) -> Option<Span> {
    let mut items = Numbered { clause, number, spans: Vec::new() };
    walk(query, &mut items);
    only(&items.spans)
}

/// The one place there is. Of several it is not said which is meant.
fn only(spans: &[Span]) -> Option<Span> {
    match *spans {
        [span] => Some(span),
        _ => None,
    }
}

/// The places where a number is an item of ORDER BY or GROUP BY.
struct Numbered<'a> {
    clause: &'static str,
    number: &'a str,
    spans: Vec<Span>,
}

impl Numbered<'_> {
    fn see<'a>(&mut self, clause: &str, items: impl Iterator<Item = &'a Expr>) {
        let place = |item: &Expr| match item {
            Expr::Value(ValueWithSpan { value: Value::Number(text, _), span }) if text == self.number => place(*span),
            _ => None,
        };
        if clause == self.clause {
            self.spans.extend(items.filter_map(place));
        }
    }
}

impl Visitor for Numbered<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(OrderByKind::Expressions(items)) = query.order_by.as_ref().map(|by| &by.kind) {
            self.see("ORDER BY", items.iter().map(|item| &item.expr));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(items, _) = &select.group_by {
            self.see("GROUP BY", items.iter());
        }
        ControlFlow::Continue(())
    }
}

/// The sides of UNION, INTERSECT or EXCEPT with different numbers of columns.
fn sides(told: &Diagnostic, query: &Query) -> Option<Diagnostic> {
    let operator = told.message.strip_suffix(" queries have different number of columns")?;
    let numbers: Vec<&str> = told.detail.iter().flat_map(|detail| detail.split(' ')).collect();
    let mut numbers = numbers.into_iter().filter(|word| word.parse::<usize>().is_ok());
    let error = Diagnostic::new(PLAN, format!("the sides of {operator} have different numbers of columns"));
    let error = match (numbers.next(), numbers.next()) {
        (Some(left), Some(right)) => error.detail(format!("The left side has {left}, the right side {right}.")),
        _ => error,
    };
    match query.body.as_ref() {
        // Of several it is not said which.
        SetExpr::SetOperation { left, right, .. } if !is_set(left) && !is_set(right) => {
            Some(error.at_maybe(place(right.span())))
        }
        _ => Some(error),
    }
}

fn is_set(body: &SetExpr) -> bool {
    matches!(body, SetExpr::SetOperation { .. } | SetExpr::Query(_))
}

fn limit(message: &str, query: &Query) -> Option<Diagnostic> {
    let found = message.strip_prefix("expected LIMIT to be an integer or null, but got ")?;
    let error = Diagnostic::new(PLAN, format!("LIMIT takes a whole number, not a {found}"));
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. }) if !is_number(limit) => {
            Some(error.at_maybe(place(limit.span())))
        }
        _ => Some(error),
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Number(..), .. }))
}

/// A WHERE or HAVING that is no condition, a HAVING of what is not grouped.
fn condition(message: &str, query: &Query) -> Option<Diagnostic> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    if let (Some(loose), Some(having)) = (message.strip_prefix("HAVING clause references: "), &select.having) {
        return Some(Diagnostic::new(PLAN, format!("in HAVING {loose}")).at_maybe(place(having.span())));
    }
    let (_, found) = message.strip_prefix("cannot create filter with non-boolean predicate ")?.rsplit_once(' ')?;
    let (clause, condition) = match (&select.selection, &select.having) {
        (Some(condition), None) => ("WHERE", condition),
        (None, Some(condition)) => ("HAVING", condition),
        _ => return None,
    };
    let message = format!("{clause} takes a BOOLEAN, \"{}\" is {found}", print::expr(condition));
    Some(Diagnostic::new(PLAN, message).at_maybe(place(condition.span())))
}

/// A subquery that DataFusion cannot compute where it is.
fn subquery(message: &str, query: &Query) -> Option<Diagnostic> {
    let found = message.strip_prefix("physical plan does not support logical expression ")?;
    let what = match found.split('(').next()? {
        "Exists" => "EXISTS",
        "InSubquery" => "IN over a subquery",
        "ScalarSubquery" => "a subquery for a value",
        "SetComparison" => "ANY or ALL over a subquery",
        _ => return None,
    };
    let message =
        format!("{what} cannot be computed here: it depends on the query around it in a way that is not supported");
    let detail = "A subquery may refer to the query around it by conditions with =, and have no LIMIT then.";
    let error = Diagnostic::new(NOT_SUPPORTED, message).detail(detail).hint("Say it as a join.");
    let mut spans = Vec::new();
    each_expr(query, &mut |expr| spans.extend(is_subquery(expr).then(|| place(expr.span())).flatten()));
    Some(error.at_maybe(only(&spans)))
}
