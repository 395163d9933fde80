//! Prints queries and expressions: sqlparser's output is converted back to the dialect.
//!
//! This reverses [`super::super::rewrite`] and [`super::super::clauses`] on the tokens of the output: `.'F'` becomes
//! `->F`, the arrow of a lambda becomes `=>`, and the clauses that only exist for streams return to their places.

use std::fmt::{self, Display, Formatter};
use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, DataType, Expr, Ident, ObjectName, Value, ValueWithSpan, VisitorMut};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::ast::Query;
use super::super::data_type;
use super::super::rewrite::is_keyword;
use super::super::token::{printed, span_of, word};
use super::super::walk::walk_mut;
use super::{list, name, string};

/// Prints an expression as text that parses back to the same expression.
pub fn expr(expr: &Expr) -> String {
    let mut expr = expr.clone();
    walk_mut(&mut expr, &mut Outward);
    dialect(&expr.to_string(), Clauses::default())
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut body = self.body.clone();
        walk_mut(&mut body, &mut Outward);
        f.write_str(&dialect(&body.to_string(), Clauses::of(self)))
    }
}

/// Replaces nodes that sqlparser would print in a form that the dialect parses differently.
struct Outward;

impl VisitorMut for Outward {
    type Break = ();

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        string_outward(value);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => {
                if let Some(ty) = data_type::from_ast(data_type) {
                    *data_type = DataType::Custom(ObjectName::from(vec![Ident::new(ty.to_string())]), Vec::new());
                }
            }
            Expr::CompoundFieldAccess { access_chain, .. } => access_chain.iter_mut().for_each(star_outward),
            Expr::UnaryOp { expr, .. } => apart(expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A string with its quotes doubled; sqlparser does not double all of them.
fn string_outward(value: &mut ValueWithSpan) {
    if let Value::SingleQuotedString(text) = &value.value {
        value.value = Value::Number(string(text), false);
    }
}

/// Separates two adjacent prefix operators: `--` would begin a comment, and `~~` is another operator.
fn apart(expr: &mut Expr) {
    let text = expr.to_string();
    if text.starts_with(['-', '+', '~']) {
        *expr = Expr::Identifier(Ident::new(format!(" {text}")));
    }
}

/// `->*` is printed as a field with a name that no other field can have.
fn star_outward(access: &mut AccessExpr) {
    if matches!(access, AccessExpr::Dot(Expr::Wildcard(_))) {
        *access = AccessExpr::Dot(Expr::Value(Value::NationalStringLiteral("*".to_owned()).into()));
    }
}

/// The clauses to put back, each with the keywords that must follow it.
#[derive(Default)]
struct Clauses {
    within: Vec<(usize, String)>,
    /// The clauses, in the order in which they are written.
    others: Vec<(&'static [&'static str], String)>,
}

const AFTER_JOINED: &[&str] = &[
    "ON", "USING", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "SEMI", "ANTI", "WHERE", "GROUP",
    "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH",
];
const AFTER_WINDOW: &[&str] = &["WHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH"];
const AFTER_PARTITION_BY: &[&str] = &["HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH"];
const AFTER_EMIT: &[&str] = &["LIMIT", "OFFSET", "FETCH"];

impl Clauses {
    fn of(query: &Query) -> Self {
        let within = query.within.iter().map(|it| (it.join, it.value.to_string())).collect();
        let window = query.window.as_ref().map(|it| (AFTER_WINDOW, it.value.to_string()));
        let partition_by = query
            .partition_by
            .as_ref()
            .map(|it| (AFTER_PARTITION_BY, format!("PARTITION BY {}", list(&it.value, expr))));
        let emit = query.emit.as_ref().map(|it| (AFTER_EMIT, it.value.to_string()));
        Self { within, others: [window, partition_by, emit].into_iter().flatten().collect() }
    }

    /// Removes and returns the clauses that must come before `word`, or all remaining ones at the end.
    fn before(&mut self, word: Option<&str>, joins: usize) -> Vec<String> {
        let ends = |words: &[&str]| word.is_none_or(|word| words.contains(&word));
        let mut due = Vec::new();
        if ends(AFTER_JOINED) || word == Some(",") {
            due.extend(self.within.extract_if(.., |(join, _)| *join < joins).map(|(_, text)| text));
        }
        due.extend(self.others.extract_if(.., |(words, _)| ends(words)).map(|(_, text)| text));
        due
    }
}

/// Converts sqlparser's output to the dialect and puts the clauses back.
fn dialect(text: &str, mut clauses: Clauses) -> String {
    let tokens = printed(text);
    let mut out = String::with_capacity(text.len());
    let (mut at, mut depth, mut joins) = (0, 0_usize, 0);
    for (n, TokenWithSpan { token, .. }) in tokens.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (*token == Token::Comma || is_keyword(&tokens, n)) {
            clauses.before(word(token).or(Some(",")), joins).iter().for_each(|clause| push(&mut out, clause));
            joins += usize::from(word(token) == Some("JOIN"));
        }
        let span = span_of(&tokens[n]);
        out += &text[at..span.start];
        out += &piece(&tokens, n, &text[span.start..span.end]);
        at = span.end;
    }
    out += &text[at..];
    clauses.before(None, usize::MAX).iter().for_each(|clause| push(&mut out, clause));
    out
}

fn push(out: &mut String, clause: &str) {
    *out += " ";
    *out += clause;
}

/// The text of a token in the dialect.
fn piece(tokens: &[TokenWithSpan], n: usize, text: &str) -> String {
    let is_field = n > 0 && tokens[n - 1].token == Token::Period;
    match (&tokens[n].token, tokens.get(n + 1).map(|it| &it.token)) {
        (Token::Period, Some(Token::SingleQuotedString(_) | Token::NationalStringLiteral(_))) => "->".to_owned(),
        (Token::SingleQuotedString(value), _) if is_field => name(value),
        (Token::NationalStringLiteral(_), _) if is_field => "*".to_owned(),
        (Token::Arrow, _) => "=>".to_owned(),
        _ => text.to_owned(),
    }
}
