//! Converts sqlparser's trees to the normal form that [`super::expr_forms`] describes, with the checks that need the
//! tree.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    AccessExpr, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, LambdaFunction, LimitClause, ObjectName,
    Query, Select, SelectItem, TableFactor, UnaryOperator, Value, ValueWithSpan, VisitorMut,
};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Result;
use super::token::place;
use super::walk::walk_mut;
use super::{data_type, error, expr_forms};
use crate::diagnostic::{Diagnostic, LITERAL, MISPLACED, SYNTAX, Span};

/// Converts a query to normal form.
pub(super) fn query(query: &mut Query) -> Result<()> {
    let mut normalise = Normalise::default();
    walk_mut(query, &mut normalise);
    normalise.finish()
}

/// Converts an expression to normal form.
pub(super) fn expr(expr: &mut Expr) -> Result<()> {
    let mut normalise = Normalise::default();
    walk_mut(expr, &mut normalise);
    normalise.finish()
}

#[derive(Default)]
struct Normalise {
    /// The positions of `->*` found so far that are not items of a SELECT list.
    stars: Vec<Span>,
    /// The error that ended the walk.
    error: Option<Diagnostic>,
}

impl Normalise {
    fn finish(self) -> Result<()> {
        match (self.error, self.stars.first()) {
            (Some(error), _) => Err(error),
            (None, Some(star)) => Err(Diagnostic::new(MISPLACED, "\"->*\" expands to several columns")
                .at(*star)
                .detail("It selects all fields of a struct, and must be an item of its own in the SELECT list.")),
            (None, None) => Ok(()),
        }
    }

    /// Ends the walk at the first error.
    fn flow(&mut self, checked: Result<()>) -> ControlFlow<()> {
        self.error = checked.err();
        if self.error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl VisitorMut for Normalise {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.flow(check_limit(query))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        fold_lowest_bigint(expr);
        self.flow(match expr {
            Expr::Lambda(lambda) => check_lambda(lambda),
            Expr::Value(value) => check_value(value),
            _ => Ok(()),
        })
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // The name to which `rewrite` converted the type.
            Expr::Cast { kind: CastKind::DoubleColon, data_type: ty, .. } => {
                if let DataType::Custom(name, _) = ty
                    && let Some(Ok(known)) = name.0[0].as_ident().map(|name| super::parse_type(&name.value))
                {
                    *ty = data_type::to_ast(&known);
                }
            }
            Expr::CompoundIdentifier(parts) => *expr = identifiers(std::mem::take(parts)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let root = std::mem::replace(root.as_mut(), Expr::Value(Value::Null.into()));
                *expr = accesses(root, std::mem::take(access_chain));
            }
            _ => {}
        }
        self.stars.extend(star(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            let found = expr_forms::struct_star(item).and_then(star);
            self.stars.retain(|span| Some(*span) != found);
        }
        self.flow(select.projection.iter().filter_map(alias_of_item).try_for_each(check_alias))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(unnest) = unnest(factor) {
            *factor = unnest;
        }
        self.flow(alias_of_table(factor).map_or(Ok(()), check_alias))
    }
}

/// `a.b->c` as sqlparser parses it: one list of names, in which the fields are in single quotes.
fn identifiers(parts: Vec<Ident>) -> Expr {
    let Some(first) = parts.iter().position(is_field).filter(|&first| first > 0) else {
        return Expr::CompoundIdentifier(parts);
    };
    let mut parts = parts;
    let access_chain = parts.drain(first..).map(|part| access(AccessExpr::Dot(Expr::Identifier(part)))).collect();
    Expr::CompoundFieldAccess { root: Box::new(column(parts)), access_chain }
}

/// A field access whose root combines the qualifier and the column.
fn accesses(root: Expr, chain: Vec<AccessExpr>) -> Expr {
    let mut parts = match root {
        Expr::Identifier(part) => vec![part],
        root => {
            let access_chain = chain.into_iter().map(access).collect();
            return Expr::CompoundFieldAccess { root: Box::new(root), access_chain };
        }
    };
    let mut chain = chain.into_iter().peekable();
    while let Some(AccessExpr::Dot(Expr::Identifier(part))) = chain.next_if(is_plain_dot) {
        parts.push(part);
    }
    Expr::CompoundFieldAccess { root: Box::new(column(parts)), access_chain: chain.map(access).collect() }
}

fn column(parts: Vec<Ident>) -> Expr {
    match <[Ident; 1]>::try_from(parts) {
        Ok([part]) => Expr::Identifier(part),
        Err(parts) => Expr::CompoundIdentifier(parts),
    }
}

fn is_plain_dot(access: &AccessExpr) -> bool {
    matches!(access, AccessExpr::Dot(Expr::Identifier(part)) if !is_field(part))
}

/// True for a name that follows an arrow; see [`super::rewrite`].
fn is_field(part: &Ident) -> bool {
    part.quote_style == Some('\'') || part.quote_style.is_none() && part.value == "*"
}

fn access(access: AccessExpr) -> AccessExpr {
    match access {
        AccessExpr::Dot(Expr::Identifier(part)) if is_field(&part) => AccessExpr::Dot(match part.quote_style {
            Some(_) => Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(part.value), span: part.span }),
            None => Expr::Wildcard(AttachedToken(TokenWithSpan { token: Token::Mul, span: part.span })),
        }),
        other => other,
    }
}

/// The position of the `*` in `a->*`.
fn star(expr: &Expr) -> Option<Span> {
    match expr {
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Wildcard(token))) => place(token.0.span),
            _ => None,
        },
        _ => None,
    }
}

/// The smallest BIGINT is written as the negation of a number that is not a BIGINT.
fn fold_lowest_bigint(expr: &mut Expr) {
    let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = expr else { return };
    let Expr::Value(ValueWithSpan { value: Value::Number(digits, long), span }) = inner.as_ref() else { return };
    if digits == "9223372036854775808" {
        *expr = Expr::Value(ValueWithSpan { value: Value::Number(format!("-{digits}"), *long), span: *span });
    }
}

fn alias_of_item(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    }
}

fn alias_of_table(factor: &TableFactor) -> Option<&Ident> {
    use TableFactor::{Derived, NestedJoin, Table, UNNEST};
    match factor {
        Table { alias, .. } | Derived { alias, .. } | NestedJoin { alias, .. } | UNNEST { alias, .. } => {
            alias.as_ref().map(|alias| &alias.name)
        }
        _ => None,
    }
}

/// Refuses a string after a word that is a keyword in other dialects, such as `ILIKE 'b'`; [`super::rewrite`] finds
/// all others.
fn check_alias(alias: &Ident) -> Result<()> {
    match alias.quote_style {
        Some('\'') => {
            let found = Token::SingleQuotedString(alias.value.clone());
            Err(error::string_for_name(place(alias.span).unwrap_or_default(), &found))
        }
        _ => Ok(()),
    }
}

fn check_value(value: &ValueWithSpan) -> Result<()> {
    let at = place(value.span).unwrap_or_default();
    match &value.value {
        Value::Number(digits, _) => check_number(digits, at),
        Value::Placeholder(name) => Err(Diagnostic::new(SYNTAX, format!("\"{name}\" is not allowed here")).at(at)),
        _ => Ok(()),
    }
}

fn check_number(digits: &str, at: Span) -> Result<()> {
    if digits.contains(['e', 'E']) {
        return match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(()),
            _ => Err(Diagnostic::new(LITERAL, format!("number overflows DOUBLE: {digits}")).at(at)),
        };
    }
    if digits.contains('.') || digits.parse::<i64>().is_ok() {
        return Ok(());
    }
    Err(Diagnostic::new(LITERAL, format!("number is too large for BIGINT: {digits}"))
        .at(at)
        .detail(format!("The largest BIGINT is {}.", i64::MAX))
        .hint(format!("Write it as a DECIMAL: {digits}.0")))
}

fn check_lambda(lambda: &LambdaFunction) -> Result<()> {
    match lambda.params.iter().find(|param| param.data_type.is_some()) {
        None => Ok(()),
        Some(param) => Err(Diagnostic::new(SYNTAX, "a lambda parameter cannot have a type")
            .at(place(param.name.span).unwrap_or_default())),
    }
}

fn check_limit(query: &Query) -> Result<()> {
    let Some(LimitClause::LimitOffset { limit: Some(limit), .. }) = &query.limit_clause else { return Ok(()) };
    let (Expr::UnaryOp { op: UnaryOperator::Minus, expr }, message) = (limit, "LIMIT cannot be negative") else {
        return Ok(());
    };
    let span = match expr.as_ref() {
        Expr::Value(value) => place(value.span),
        _ => None,
    };
    Err(Diagnostic { span, ..Diagnostic::new(LITERAL, message) })
}

/// `UNNEST(array, …)` in FROM, which sqlparser parses as an ordinary function in this dialect.
fn unnest(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor else { return None };
    if !is_unnest(name) {
        return None;
    }
    let array_exprs = args.args.iter().map(plain_arg).collect::<Option<_>>()?;
    Some(TableFactor::UNNEST {
        alias: alias.clone(),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

fn is_unnest(name: &ObjectName) -> bool {
    match name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|it| it.quote_style.is_none() && it.value == "UNNEST"),
        _ => false,
    }
}

fn plain_arg(arg: &FunctionArg) -> Option<Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}
