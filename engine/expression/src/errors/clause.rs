//! DataFusion's errors about a clause as a whole, reworded for the dialect and placed at the clause.

use std::ops::ControlFlow;

use headwater_language::diagnostic::{Diagnostic, PLAN, Span};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{each_expr, join_condition, place, print, walk};
use sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, LimitClause, OrderByKind, Query, Select, SetExpr, Spanned as _, TableFactor,
    Value, ValueWithSpan, Visitor,
};

use super::wording;

/// A better diagnostic for an error about a clause; none if the error is not about one.
pub(super) fn reword(original: &Diagnostic, query: &Query) -> Option<Diagnostic> {
    let better = position(&original.message, query)
        .or_else(|| sides(original, query))
        .or_else(|| limit(&original.message, query))
        .or_else(|| condition(&original.message, query))
        .or_else(|| subquery(&original.message, query));
    better.map(|better| Diagnostic { span: better.span.or(original.span), ..better })
}

/// A position in ORDER BY or GROUP BY that is not the position of a column.
fn position(message: &str, query: &Query) -> Option<Diagnostic> {
    let ordered = message.strip_prefix("order by column out of bounds, specified: ");
    let grouped = message.strip_prefix("cannot find column with position ");
    let (clause, (given, rest)) = match (ordered, grouped) {
        (Some(rest), _) => ("ORDER BY", rest.split_once(", max: ")?),
        (_, Some(rest)) => ("GROUP BY", rest.split_once(" in SELECT clause. Valid columns: 1 to ")?),
        _ => return None,
    };
    let span = numbered(clause, given, query);
    let columns = if rest == "1" { "is 1 column".to_owned() } else { format!("are {rest} columns") };
    Some(
        Diagnostic::new(PLAN, format!("position {given} in {clause} is not in the SELECT list: there {columns}"))
            .at_maybe(span),
    )
}

/// The location of a number that is an item of a clause, if it appears there once.
fn numbered(clause: &'static str, number: &str, query: &Query) -> Option<Span> {
    let mut items = Numbered { clause, number, spans: Vec::new() };
    walk(query, &mut items);
    only(&items.spans)
}

/// The only location in the list; none if there are several, since the error does not say which is meant.
fn only(spans: &[Span]) -> Option<Span> {
    match *spans {
        [span] => Some(span),
        _ => None,
    }
}

/// Collects the locations where a number is an item of ORDER BY or GROUP BY.
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

/// UNION, INTERSECT or EXCEPT whose sides have different numbers of columns.
fn sides(original: &Diagnostic, query: &Query) -> Option<Diagnostic> {
    let operator = original.message.strip_suffix(" queries have different number of columns")?;
    let numbers: Vec<&str> = original.detail.iter().flat_map(|detail| detail.split(' ')).collect();
    let mut numbers = numbers.into_iter().filter(|word| word.parse::<usize>().is_ok());
    let error = Diagnostic::new(PLAN, format!("the sides of {operator} have different numbers of columns"));
    let error = match (numbers.next(), numbers.next()) {
        (Some(left), Some(right)) => error.detail(format!("The left side has {left}, the right side has {right}.")),
        _ => error,
    };
    match query.body.as_ref() {
        // With nested set operations, DataFusion does not say which one is meant.
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
    let error = Diagnostic::new(PLAN, format!("LIMIT must be an integer, not {found}"));
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

/// A WHERE or HAVING that is not a BOOLEAN, or a HAVING that uses a column which is not grouped.
fn condition(message: &str, query: &Query) -> Option<Diagnostic> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    if let (true, Some(having)) = (message.starts_with("HAVING clause references: "), &select.having) {
        let message = format!("in HAVING and neither aggregated nor in GROUP BY: {}", print::expr(having));
        return Some(Diagnostic::new(PLAN, message).at_maybe(place(having.span())));
    }
    if message.contains(" must be boolean type, but got ") {
        return only_join(select);
    }
    let (_, found) = message.strip_prefix("cannot create filter with non-boolean predicate ")?.rsplit_once(' ')?;
    let (clause, condition) = match (&select.selection, &select.having) {
        (Some(condition), None) => ("WHERE", condition),
        (None, Some(condition)) => ("HAVING", condition),
        _ => return None,
    };
    let message = format!("{clause} must be a BOOLEAN, but \"{}\" is {found}", print::expr(condition));
    Some(Diagnostic::new(PLAN, message).at_maybe(place(condition.span())))
}

/// The condition of the only join with ON, if it is not a BOOLEAN.
fn only_join(select: &Select) -> Option<Diagnostic> {
    let joins = select.from.iter().flat_map(|from| &from.joins);
    let conditions: Vec<&Expr> = joins
        .filter_map(|join| match join_condition(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => Some(condition),
            _ => None,
        })
        .collect();
    let [condition] = conditions[..] else { return None };
    let message = format!("ON must be a BOOLEAN, but \"{}\" is not", print::expr(condition));
    Some(Diagnostic::new(PLAN, message).at_maybe(place(condition.span())))
}

/// A subquery that DataFusion cannot compute, placed at the only subquery of its kind in the query.
fn subquery(message: &str, query: &Query) -> Option<Diagnostic> {
    let kind: fn(&Expr) -> bool = match message.strip_prefix("physical plan does not support logical expression ") {
        Some(found) if found.starts_with("Exists") => |expr| matches!(expr, Expr::Exists { .. }),
        Some(found) if found.starts_with("InSubquery") => |expr| matches!(expr, Expr::InSubquery { .. }),
        Some(found) if found.starts_with("SetComparison") => {
            |expr| matches!(expr, Expr::AnyOp { .. } | Expr::AllOp { .. })
        }
        Some(found) if found.starts_with("ScalarSubquery") => |expr| matches!(expr, Expr::Subquery(_)),
        Some(found) if !found.starts_with("OuterReference") => return None,
        None if message.contains("scalar subquery") || message.contains("scalar correlated subquery") => {
            |expr| matches!(expr, Expr::Subquery(_))
        }
        None if !message.contains("ubquery") && !message.contains("outer reference") => return None,
        _ => is_subquery,
    };
    let reworded = wording::known(message)?;
    if let Some(lateral) =
        lateral(query).filter(|_| message.contains("OuterReference") || message.contains("undecorrelated"))
    {
        return Some(wording::correlated("a LATERAL subquery").at(lateral));
    }
    let all = subqueries(query);
    let of_kind: Vec<Span> = all.iter().filter(|(expr, _)| kind(expr)).map(|(_, span)| *span).collect();
    if !of_kind.is_empty() {
        return Some(reworded.at_maybe(only(&of_kind)));
    }
    // EXISTS, IN, ANY and ALL used as values have been rewritten to scalar subqueries by now.
    match &all[..] {
        [(expr, span)] if wording::is_correlated(&reworded) => Some(wording::correlated(words(expr)).at(*span)),
        [(_, span)] => Some(reworded.at(*span)),
        _ => Some(reworded),
    }
}

/// The error for a query that cannot be planned although all of its names exist; its subquery is to blame if it has
/// one.
pub(super) fn unplanned(query: &Query) -> Diagnostic {
    match (&subqueries(query)[..], lateral(query)) {
        ([], None) => wording::unplanned(),
        ([], Some(lateral)) => wording::correlated("a LATERAL subquery").at(lateral),
        ([(expr, span)], None) => wording::correlated(words(expr)).at(*span),
        _ => wording::correlated("a subquery"),
    }
}

/// The subqueries in the expressions of a query, with their locations. The subquery of ANY or ALL is listed once, as the
/// whole ANY or ALL.
fn subqueries(query: &Query) -> Vec<(Expr, Span)> {
    let mut found = Vec::new();
    let mut compared: Vec<Span> = Vec::new();
    each_expr(query, &mut |expr| {
        let Some(span) = place(expr.span()).filter(|_| is_subquery(expr)) else { return };
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr {
            compared.extend(place(right.span()));
        } else if compared.contains(&span) {
            return;
        }
        found.push((expr.clone(), span));
    });
    found
}

/// The name of a kind of subquery in messages.
fn words(expr: &Expr) -> &'static str {
    match expr {
        Expr::Exists { .. } => "EXISTS",
        Expr::InSubquery { .. } => "IN with a subquery",
        Expr::AnyOp { .. } | Expr::AllOp { .. } => "ANY or ALL with a subquery",
        _ => "a scalar subquery",
    }
}

/// The location of the first LATERAL subquery.
fn lateral(query: &Query) -> Option<Span> {
    let mut found = Laterals(None);
    walk(query, &mut found);
    found.0
}

struct Laterals(Option<Span>);

impl Visitor for Laterals {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: true, subquery, .. } = factor {
            self.0 = self.0.or(place(subquery.span()));
        }
        ControlFlow::Continue(())
    }
}
