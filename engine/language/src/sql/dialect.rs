//! The implementation of sqlparser's `Dialect`, and of expressions that sqlparser cannot parse by itself.
//!
//! The hooks parse `CAST`, `MAP(k := v)` and `STRUCT(f := v)` because sqlparser would try one way, fail, and try
//! another: errors would be lost, and the number of attempts would multiply with nesting. For the same reason, every
//! expression costs one step of a budget, which ends endless backtracking.

use std::cell::{Cell, RefCell};

use sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
    FunctionArguments, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, ObjectName, OneOrManyWithParens,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Cursor;
use super::data_type;
use super::token::{keyword, word};
use crate::diagnostic::Diagnostic;

/// The number of steps allowed for each token; a normal statement needs fewer than four.
const STEPS_PER_TOKEN: usize = 64;
/// The maximum number of parameters of a lambda; no function accepts one with more than three.
const LAMBDA_PARAMS_MAX: usize = 8;

/// The dialect, for parsing one sequence of tokens.
#[derive(Debug, Default)]
pub(super) struct Dialect {
    steps_left: Cell<usize>,
    fault: RefCell<Option<Diagnostic>>,
}

type Read<T> = Result<T, ParserError>;

impl Dialect {
    /// The dialect, with a budget for this many tokens.
    pub fn for_tokens(tokens: usize) -> Self {
        Self { steps_left: Cell::new(1_000 + tokens.saturating_mul(STEPS_PER_TOKEN)), fault: RefCell::default() }
    }

    /// The error that a hook found; sqlparser itself then only reports that it stopped.
    pub fn take_fault(&self) -> Option<Diagnostic> {
        self.fault.borrow_mut().take()
    }

    /// Stops sqlparser for good, with an error that it does not swallow by a second attempt.
    fn stop<T>(&self, fault: Option<Diagnostic>) -> Read<T> {
        *self.fault.borrow_mut() = fault;
        Err(ParserError::RecursionLimitExceeded)
    }

    fn prefix(&self, parser: &mut Parser<'_>) -> Read<Option<Expr>> {
        match self.steps_left.get().checked_sub(1) {
            Some(left) => self.steps_left.set(left),
            None => return self.stop(None),
        }
        if cannot_begin_expression(&parser.peek_token_ref().token) {
            return parser.expected_ref("an expression", parser.peek_token_ref());
        }
        if let Some(params) = lambda_params(parser) {
            return lambda(parser, params).map(Some);
        }
        if parser.peek_nth_token_ref(1).token != Token::LParen {
            return Ok(None);
        }
        match word(&parser.peek_token_ref().token) {
            Some("CAST") => self.cast(parser, CastKind::Cast).map(Some),
            Some("TRY_CAST") => self.cast(parser, CastKind::TryCast).map(Some),
            Some("MAP" | "STRUCT") => constructor(parser).map(Some),
            _ => Ok(None),
        }
    }

    /// `CAST(expression AS type)`, whose type is parsed by our own rules.
    fn cast(&self, parser: &mut Parser<'_>, kind: CastKind) -> Read<Expr> {
        parser.advance_token();
        parser.expect_token(&Token::LParen)?;
        let expr = Box::new(parser.parse_expr()?);
        parser.expect_keyword_is(Keyword::AS)?;
        let tokens = type_tokens(parser);
        let data_type = match cast_type(&tokens, parser.peek_token_ref()) {
            Ok(data_type) => data_type,
            Err(fault) => return self.stop(Some(fault)),
        };
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Cast { kind, expr, data_type, array: false, format: None })
    }
}

/// Keywords of clauses, which sqlparser would otherwise read as columns.
fn cannot_begin_expression(token: &Token) -> bool {
    use Keyword::*;
    matches!(
        keyword(token),
        AND | AS
            | BETWEEN
            | BY
            | DISTINCT
            | ELSE
            | END
            | ESCAPE
            | EXCEPT
            | FROM
            | GROUP
            | HAVING
            | IN
            | INTERSECT
            | IS
            | JOIN
            | LIKE
            | LIMIT
            | ON
            | OR
            | ORDER
            | PARTITION
            | SELECT
            | THEN
            | UNION
            | USING
            | WHEN
            | WHERE
            | WITH
    )
}

/// The number of parameters, if a lambda with parentheses comes next.
fn lambda_params(parser: &Parser<'_>) -> Option<usize> {
    if parser.peek_token_ref().token != Token::LParen {
        return None;
    }
    for params in 1..=LAMBDA_PARAMS_MAX {
        let [name, behind] = [2 * params - 1, 2 * params].map(|n| &parser.peek_nth_token_ref(n).token);
        match (name, behind) {
            (Token::Word(_), Token::Comma) => {}
            (Token::Word(_), Token::RParen) => {
                return (parser.peek_nth_token_ref(2 * params + 1).token == Token::Arrow).then_some(params);
            }
            _ => return None,
        }
    }
    None
}

/// `(a, b) -> expression`. sqlparser would swallow errors in the expression.
fn lambda(parser: &mut Parser<'_>, params: usize) -> Read<Expr> {
    let mut names = Vec::with_capacity(params);
    for _ in 0..params {
        parser.advance_token(); // The parenthesis or the comma before.
        names.push(LambdaFunctionParameter { name: parser.parse_identifier()?, data_type: None });
    }
    parser.expect_token(&Token::RParen)?;
    parser.expect_token(&Token::Arrow)?;
    let body = Box::new(parser.parse_expr()?);
    let params = OneOrManyWithParens::Many(names);
    Ok(Expr::Lambda(LambdaFunction { params, body, syntax: LambdaSyntax::Arrow }))
}

/// Reads the tokens up to the parenthesis that closes the CAST.
fn type_tokens(parser: &mut Parser<'_>) -> Vec<TokenWithSpan> {
    let mut depth = 0_usize;
    let mut tokens = Vec::new();
    loop {
        match parser.peek_token_ref().token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return tokens,
            Token::RParen => depth -= 1,
            Token::EOF => return tokens,
            _ => {}
        }
        tokens.push(parser.next_token());
    }
}

fn cast_type(tokens: &[TokenWithSpan], after: &TokenWithSpan) -> Result<DataType, Diagnostic> {
    let after = (after.token != Token::EOF).then_some(after);
    let mut cursor = Cursor::new("", tokens).before(after);
    let ty = data_type::parse(&mut cursor)?.value;
    if !cursor.is_done() {
        return Err(cursor.unexpected("\")\""));
    }
    Ok(data_type::to_ast(&ty))
}

/// `MAP(…)` or `STRUCT(…)` as a call whose arguments may have `:=`.
fn constructor(parser: &mut Parser<'_>) -> Read<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut args = Vec::new();
    if parser.peek_token_ref().token != Token::RParen {
        args.push(constructor_arg(parser, &name.value)?);
        while parser.consume_token(&Token::Comma) {
            args.push(constructor_arg(parser, &name.value)?);
        }
    }
    parser.expect_token(&Token::RParen)?;
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Ok(Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

fn constructor_arg(parser: &mut Parser<'_>, function: &str) -> Read<FunctionArg> {
    let operator = FunctionArgOperator::Assignment;
    if function == "STRUCT" && parser.peek_nth_token_ref(1).token == Token::Assignment {
        let name = parser.parse_identifier()?;
        parser.expect_token(&Token::Assignment)?;
        return Ok(FunctionArg::Named { name, arg: FunctionArgExpr::Expr(parser.parse_expr()?), operator });
    }
    let name = parser.parse_expr()?;
    if parser.consume_token(&Token::Assignment) {
        return Ok(FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(parser.parse_expr()?), operator });
    }
    Ok(FunctionArg::Unnamed(FunctionArgExpr::Expr(name)))
}

/// `IS [NOT] DISTINCT FROM value`. sqlparser would read a whole condition after it, including ANDs.
fn distinct_from(parser: &mut Parser<'_>, left: &Expr) -> Option<Read<Expr>> {
    let is = |n: usize, expected: &str| word(&parser.peek_nth_token_ref(n).token) == Some(expected);
    if !is(0, "IS") {
        return None;
    }
    let negated = is(1, "NOT");
    let skip = if negated { 2 } else { 1 };
    if !(is(skip, "DISTINCT") && is(skip + 1, "FROM")) {
        return None;
    }
    for _ in 0..skip + 2 {
        parser.advance_token();
    }
    let between = 20;
    Some(parser.parse_subexpr(between).map(|right| {
        let (left, right) = (Box::new(left.clone()), Box::new(right));
        if negated { Expr::IsNotDistinctFrom(left, right) } else { Expr::IsDistinctFrom(left, right) }
    }))
}

impl sqlparser::dialect::Dialect for Dialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '@'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        false
    }

    fn supports_named_fn_args_with_eq_operator(&self) -> bool {
        false
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// All words that are still keywords at this point are reserved, so none of them is tried as a name.
    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        kw != Keyword::NoKeyword
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Read<Expr>> {
        self.prefix(parser).transpose()
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, _precedence: u8) -> Option<Read<Expr>> {
        distinct_from(parser, left)
    }

    /// `||` binds less tightly than `+`; `:=`, `:` and `->` (here the arrow of a lambda) are not operators.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Read<u8>> {
        match parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(25)),
            Token::Assignment | Token::Colon | Token::Arrow | Token::RArrow => Some(Ok(0)),
            _ => None,
        }
    }
}
