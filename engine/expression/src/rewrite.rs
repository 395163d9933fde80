//! Rewrites the dialect's expressions to forms that DataFusion knows.
//!
//! The original forms are listed in [`headwater_language::sql::expr_forms`]. CAST, LIKE, IS DISTINCT FROM and
//! constructors become calls of the dialect's own functions, and every number literal gets its type (`crate::dialect`).
//! A string compared with ROWTIME or a window bound becomes a time.

use std::ops::ControlFlow;

use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::Utc;
use headwater_formats::decode::{ROWTIME, WINDOWEND, WINDOWSTART};
use headwater_formats::java_time::iso::{
    format_iso_timestamp_ms, parse_iso_time_ms, parse_partial_iso_date, parse_partial_iso_timestamp_ms,
};
use headwater_functions::ELEMENT;
use headwater_language::diagnostic::{Diagnostic, LITERAL, NOT_SUPPORTED};
use headwater_language::sql::{call, expr_forms::cast_type, take, walk_mut};
use headwater_language::types::SqlType;
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, LimitClause, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, Select, Subscript,
    TableFactor, TypedString, UnaryOperator, Value, ValueWithSpan, VisitorMut, WindowFrameBound, WindowSpec,
    WindowType,
};

use super::{aggregate_call, calls};
use crate::dialect::{self, literal};

/// Rewrites the expressions of a query in place. Expressions that cannot be rewritten are reported in `errors`.
pub fn rewrite(query: &mut Query, errors: &mut Vec<Diagnostic>) {
    walk_mut(query, &mut Rewriter { errors, in_call: 0 });
}

/// Rewrites one expression in place. What cannot be rewritten is reported in `errors`.
pub fn rewrite_expr(expr: &mut Expr, errors: &mut Vec<Diagnostic>) {
    calls::rewrite(expr);
    walk_mut(expr, &mut Rewriter { errors, in_call: 0 });
}

struct Rewriter<'a> {
    errors: &'a mut Vec<Diagnostic>,
    /// How many calls in FROM enclose this location: number literals in them are left unchanged.
    in_call: usize,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            expressions.iter_mut().for_each(literal::unwrap);
        }
        for NamedWindowDefinition(_, window) in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = window {
                frame_numbers(spec);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(OrderByKind::Expressions(expressions)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            expressions.iter_mut().for_each(|by| literal::unwrap(&mut by.expr));
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(literal::unwrap);
                offset.iter_mut().for_each(|offset| literal::unwrap(&mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                literal::unwrap(offset);
                literal::unwrap(limit);
            }
            None => {}
        }
        if let Some(quantity) = query.fetch.as_mut().and_then(|fetch| fetch.quantity.as_mut()) {
            literal::unwrap(quantity);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.in_call += usize::from(is_call(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.in_call -= usize::from(is_call(factor));
        ControlFlow::Continue(())
    }

    /// Treats a negative number as one literal, so that the smallest INT and BIGINT can be written.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr: inner } = expr
            && let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), span }) = bare(inner)
            && !digits.starts_with(['-', '+'])
        {
            let sign = if *op == UnaryOperator::Minus { "-" } else { "" };
            *expr = Expr::Value(Value::Number(format!("{sign}{digits}"), false).with_span(*span));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundFieldAccess { .. } => self.access(expr),
            Expr::Function(_) => self.function(expr),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, .. } => cast(expr),
            Expr::TypedString(TypedString { data_type: DataType::Decimal(_), .. }) => self.typed_decimal(expr),
            Expr::TypedString(_) => self.typed_time(expr),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: value } if self.in_call == 0 && !is_interval(value) => {
                *expr = call(dialect::NEGATE, vec![take(value)]);
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                *expr = call("CONVERT_TZ", vec![take(timestamp), text("UTC".to_owned()), take(time_zone)]);
            }
            Expr::Value(ValueWithSpan { value: Value::Number(..), .. }) if self.in_call == 0 => self.number(expr),
            Expr::Interval(interval) => literal::unwrap(&mut interval.value),
            Expr::Array(array) => *expr = call(dialect::ARRAY, std::mem::take(&mut array.elem)),
            Expr::Like { any: false, .. } => like(expr),
            Expr::IsDistinctFrom(left, right) => *expr = call(dialect::DISTINCT, vec![take(left), take(right)]),
            Expr::IsNotDistinctFrom(left, right) => *expr = call(dialect::NOT_DISTINCT, vec![take(left), take(right)]),
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
    /// Rewrites `a->b[1]->c` from left to right.
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
        if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
            frame_numbers(spec);
        }
        let Some(name) = simple_name(function) else { return };
        match name.as_str() {
            "STRUCT" => struct_literal(expr),
            "MAP" => map_literal(expr),
            "AS_VALUE" => self.only_argument(expr),
            "EXPLODE" | "CUBE_EXPLODE" => *expr = call("unnest", vec![headwater_functions::rows_of(take(expr))]),
            _ => aggregate_call::rewrite(function, self.errors),
        }
    }

    fn number(&mut self, expr: &mut Expr) {
        let Some((text, span)) = literal::written(expr) else { return };
        match literal::number(text, span) {
            Ok(number) => *expr = number,
            Err(why) => self.errors.push(Diagnostic::new(LITERAL, why).at_maybe(headwater_language::sql::place(span))),
        }
    }

    /// Rewrites `DECIMAL '1.5'` to the number.
    fn typed_decimal(&mut self, expr: &mut Expr) {
        let Expr::TypedString(TypedString { value, .. }) = expr else { return };
        let span = value.span;
        let Some(text) = value.value.clone().into_string() else { return };
        let digits = text.trim();
        let is_number = digits.parse::<f64>().is_ok_and(f64::is_finite) && !digits.contains(['e', 'E']);
        // A number with a decimal point is always a DECIMAL.
        let digits = if digits.contains('.') { digits.to_owned() } else { format!("{digits}.") };
        match literal::number(&digits, span) {
            Ok(number) if is_number => *expr = number,
            _ => {
                let error = Diagnostic::new(LITERAL, format!("\"{text}\" is not a valid DECIMAL"));
                self.errors.push(error.at_maybe(headwater_language::sql::place(span)));
            }
        }
    }

    /// Rewrites `TIMESTAMP '2024-05-01 10:00:00'` and similar literals to a CAST of the string.
    fn typed_time(&mut self, expr: &mut Expr) {
        let Expr::TypedString(TypedString { data_type, value, .. }) = expr else { return };
        let Some(ty) = time_type(data_type) else { return };
        let (span, Some(said)) = (value.span, value.value.clone().into_string()) else { return };
        match canonical_time(said.trim(), &ty) {
            Some(canonical) => *expr = call(dialect::CAST, vec![text(canonical), text(ty.to_string())]),
            None => {
                let error = Diagnostic::new(LITERAL, format!("\"{said}\" is not a valid {ty}"));
                self.errors.push(error.at_maybe(headwater_language::sql::place(span)));
            }
        }
    }

    fn only_argument(&mut self, expr: &mut Expr) {
        let Expr::Function(function) = expr else { return };
        match arguments(function).as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => *expr = inner.clone(),
            _ => {
                let span = function
                    .name
                    .0
                    .first()
                    .and_then(|p| p.as_ident())
                    .and_then(|i| headwater_language::sql::place(i.span));
                self.errors.push(Diagnostic::new(NOT_SUPPORTED, "AS_VALUE takes one argument").at_maybe(span));
            }
        }
    }

    /// Converts a string that is compared with a time column: `ROWTIME > '2024-05-01T10:00'`.
    fn magic_time(&mut self, column: &Expr, literal: &mut Expr) {
        if !is_time_column(column) {
            return;
        }
        let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = literal else { return };
        match parse_partial_iso_timestamp_ms(text) {
            // BIGINT, as the columns are.
            Ok(ms) => *literal = Expr::value(Value::Number(ms.to_string(), false)),
            Err(error) => {
                let message = format!("'{text}' is not a time: {error}");
                let hint = "Write '2024-05-01T10:11:12.123' or a part of it, with a time zone such as Z or +0200, or ms since the epoch.";
                self.errors
                    .push(Diagnostic::new(LITERAL, message).at_maybe(headwater_language::sql::place(*span)).hint(hint));
            }
        }
    }
}

/// The expression without parentheses around it.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

fn is_interval(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::Interval(_))
}

/// The type of a DATE, TIME or TIMESTAMP literal, with or without a time zone.
fn time_type(ty: &DataType) -> Option<SqlType> {
    match ty {
        DataType::Date => Some(SqlType::Date),
        DataType::Time(..) => Some(SqlType::Time),
        DataType::Timestamp(..) | DataType::Datetime(_) => Some(SqlType::Timestamp),
        _ => None,
    }
}

/// The literal's string in the form that CAST reads. Literals also allow a space before the time, and more digits than
/// a TIMESTAMP keeps.
fn canonical_time(said: &str, ty: &SqlType) -> Option<String> {
    let known = match ty {
        SqlType::Date => parse_partial_iso_date(said).is_ok(),
        SqlType::Time => parse_iso_time_ms(said).is_ok(),
        _ => parse_partial_iso_timestamp_ms(said).is_ok(),
    };
    if known {
        return Some(said.to_owned());
    }
    let instant = string_to_datetime(&Utc, said).ok().filter(|_| *ty == SqlType::Timestamp)?;
    let mut canonical = String::new();
    format_iso_timestamp_ms(instant.timestamp_millis(), &mut canonical);
    Some(canonical)
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

fn struct_literal(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let field = |arg| match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => Some([text(name.value), value]),
        _ => None,
    };
    let fields: Option<Vec<_>> = arguments(function).into_iter().map(field).collect();
    // A STRUCT without field names is DataFusion's.
    if let Some(fields) = fields {
        *expr = call(dialect::STRUCT, fields.into_iter().flatten().collect());
    }
}

fn map_literal(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let entry = |arg| match arg {
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => Some([name, value]),
        _ => None,
    };
    let entries: Option<Vec<_>> = arguments(function).into_iter().map(entry).collect();
    if let Some(entries) = entries {
        *expr = call(dialect::MAP, entries.into_iter().flatten().collect());
    }
}

/// Rewrites a CAST to a type of the dialect. A CAST to another type, such as SMALLINT, is DataFusion's and gives NULL
/// where it fails.
fn cast(expr: &mut Expr) {
    let Expr::Cast { kind, expr: value, data_type, .. } = expr else { return };
    match cast_type(data_type) {
        Some(ty) => *expr = call(dialect::CAST, vec![take(value), text(ty.to_string())]),
        None => *kind = CastKind::TryCast,
    }
}

fn like(expr: &mut Expr) {
    let Expr::Like { negated, expr: value, pattern, escape_char, .. } = expr else { return };
    let negated = *negated;
    let escape = escape_char.take().map(Expr::Value);
    let like = call(dialect::LIKE, [take(value), take(pattern)].into_iter().chain(escape).collect());
    *expr = match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(like) },
        false => like,
    };
}

/// Whether a relation is a function call, which reads its arguments itself.
fn is_call(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::TableFunction { .. }
    )
}

/// Restores the plain numbers in the bounds of a window frame.
fn frame_numbers(spec: &mut WindowSpec) {
    let Some(frame) = &mut spec.window_frame else { return };
    for bound in std::iter::once(&mut frame.start_bound).chain(frame.end_bound.as_mut()) {
        if let WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) = bound {
            literal::unwrap(rows);
        }
    }
}

fn text(value: String) -> Expr {
    Expr::value(Value::SingleQuotedString(value))
}
