//! Parses tokens with sqlparser, and converts its errors to ours.

use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Result;
use super::dialect::Dialect;
use super::token::word;
use super::{error, limits, normal, rewrite};
use crate::diagnostic::Diagnostic;

/// How many tokens may be parsed again to locate an error, as a multiple of all tokens.
const REREAD_MAX: usize = 8;

/// Parses a query in standard SQL from all tokens; `after` is the token that follows them.
pub(super) fn query(tokens: &[TokenWithSpan], after: Option<&TokenWithSpan>) -> Result<Box<ast::Query>> {
    limits::check_depth(tokens)?;
    if let Some(error) = error::dangling_point(tokens) {
        return Err(error);
    }
    let standard = rewrite::standard(tokens)?;
    let mut query =
        run(&standard, after, |parser| parser.parse_query()).map_err(|error| innermost(&standard).unwrap_or(error))?;
    normal::query(&mut query)?;
    Ok(query)
}

/// Parses an expression from all tokens; `after` is the token that follows them.
pub(super) fn expr(tokens: &[TokenWithSpan], after: Option<&TokenWithSpan>) -> Result<ast::Expr> {
    limits::check_depth(tokens)?;
    if let Some(error) = error::dangling_point(tokens) {
        return Err(error);
    }
    let standard = rewrite::standard(tokens)?;
    let mut expr =
        run(&standard, after, |parser| parser.parse_expr()).map_err(|error| innermost(&standard).unwrap_or(error))?;
    normal::expr(&mut expr)?;
    Ok(expr)
}

fn run<T>(
    tokens: &[TokenWithSpan],
    after: Option<&TokenWithSpan>,
    read: impl FnOnce(&mut Parser<'_>) -> std::result::Result<T, ParserError>,
) -> Result<T> {
    let dialect = Dialect::for_tokens(tokens.len());
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(limits::RECURSION_MAX).with_tokens_with_locations(tokens.to_vec());
    let found = read(&mut parser).and_then(|found| match parser.peek_token_ref() {
        TokenWithSpan { token: Token::EOF, .. } => Ok(found),
        other => parser.expected_ref("end of statement", other),
    });
    found.map_err(|error| dialect.take_fault().unwrap_or_else(|| error::from_parser(&error, tokens, after)))
}

/// The error of the innermost query in parentheses that is invalid by itself.
///
/// sqlparser tries to parse `(SELECT …` in several ways and reports the error of the last attempt. Parsed alone, the
/// invalid query produces the right error.
fn innermost(tokens: &[TokenWithSpan]) -> Option<Diagnostic> {
    let mut open = Vec::new();
    let mut budget = tokens.len() * REREAD_MAX;
    for (n, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(n + 1),
            Token::RParen => {
                let start = open.pop()?;
                if !matches!(tokens.get(start).and_then(|token| word(&token.token)), Some("SELECT" | "WITH")) {
                    continue;
                }
                budget = budget.checked_sub(n - start)?;
                if let Err(error) = run(&tokens[start..n], Some(token), |parser| parser.parse_query()) {
                    return Some(error);
                }
            }
            _ => {}
        }
    }
    None
}
