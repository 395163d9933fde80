//! What DataFusion says of a clause as a whole, in words of the dialect and with the clause's own place.

use std::ops::ControlFlow;

use headwater_language::diagnostic::{Diagnostic, PLAN, Span};
use headwater_language::sql::expr_forms::is_subquery;
use headwater_language::sql::{each_expr, join_condition, place, print, walk};
use sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, LimitClause, OrderByKind, Query, Select, SetExpr, Spanned as _, TableFactor,
    Value, ValueWithSpan, Visitor,
};

use super::retold;

/// The same diagnostic better told, where it is about a clause.
pub(super) fn retell(told: &Diagnostic, query: &Query) -> Option<Diagnostic> {
    let better = position(&told.message, query)
        .or_else(|| sides(told, query))
        .or_else(|| limit(&told.message, query))
        .or_else(|| condition(&told.message, query))
        .or_else(|| subquery(&told.message, query));
    better.map(|better| Diagnostic { span: better.span.or(told.span), ..better })
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
    let message = format!("{clause} takes a BOOLEAN, \"{}\" is {found}", print::expr(condition));
    Some(Diagnostic::new(PLAN, message).at_maybe(place(condition.span())))
}

/// The ON of the one join that has one, which is no condition.
fn only_join(select: &Select) -> Option<Diagnostic> {
    let joins = select.from.iter().flat_map(|from| &from.joins);
    let conditions: Vec<&Expr> = joins
        .filter_map(|join| match join_condition(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => Some(condition),
            _ => None,
        })
        .collect();
    let [condition] = conditions[..] else { return None };
    let message = format!("ON takes a BOOLEAN, which \"{}\" is not", print::expr(condition));
    Some(Diagnostic::new(PLAN, message).at_maybe(place(condition.span())))
}

/// A subquery that DataFusion cannot compute where it is, under the one subquery of its kind.
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
    let told = retold::known(message)?;
    if let Some(lateral) =
        lateral(query).filter(|_| message.contains("OuterReference") || message.contains("undecorrelated"))
    {
        return Some(retold::correlated("a LATERAL subquery").at(lateral));
    }
    let all = subqueries(query);
    let of_kind: Vec<Span> = all.iter().filter(|(expr, _)| kind(expr)).map(|(_, span)| *span).collect();
    if !of_kind.is_empty() {
        return Some(told.at_maybe(only(&of_kind)));
    }
    // EXISTS, IN, ANY and ALL as values were made subqueries for a value on the way.
    match &all[..] {
        [(expr, span)] if retold::is_correlated(&told) => Some(retold::correlated(words(expr)).at(*span)),
        [(_, span)] => Some(told.at(*span)),
        _ => Some(told),
    }
}

/// A query that has no plan though every name in it is known: because of its subquery if there is one.
pub(super) fn unplanned(query: &Query) -> Diagnostic {
    match (&subqueries(query)[..], lateral(query)) {
        ([], None) => retold::unplanned(),
        ([], Some(lateral)) => retold::correlated("a LATERAL subquery").at(lateral),
        ([(expr, span)], None) => retold::correlated(words(expr)).at(*span),
        _ => retold::correlated("a subquery"),
    }
}

/// The subqueries in expressions of a query, with their places. That of ANY or ALL is one with it.
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

/// What a subquery in an expression is called in messages.
fn words(expr: &Expr) -> &'static str {
    match expr {
        Expr::Exists { .. } => "EXISTS",
        Expr::InSubquery { .. } => "IN over a subquery",
        Expr::AnyOp { .. } | Expr::AllOp { .. } => "ANY or ALL over a subquery",
        _ => "a subquery for a value",
    }
}

/// Where the first LATERAL subquery is.
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
