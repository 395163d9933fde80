//! The dialect's syntax, from text to statements. This module knows how things are written, not what they mean.
//!
//! A script is split at its semicolons (`scan`). Each statement is converted to tokens with folded words (`token`),
//! from which our own statements are parsed (`statement`). From a query, the clauses that only exist for streams are
//! removed (`clauses`); the rest is rewritten to equivalent standard SQL (`rewrite`) and parsed by sqlparser
//! (`standard`).
//!
//! ```
//! let parsed = headwater_language::sql::parse("SELECT id FROM orders EMIT CHANGES; SELCT 1;");
//! assert_eq!(parsed.statements.len(), 1);
//! assert_eq!(parsed.errors[0].hint.as_deref(), Some("Did you mean SELECT?"));
//! ```

pub mod ast;
mod bounds;
mod clauses;
mod cursor;
mod data_type;
mod dialect;
mod error;
pub mod expr_forms;
mod limits;
mod make;
mod normal;
pub mod print;
mod query;
mod rewrite;
mod scan;
mod standard;
mod statement;
#[cfg(test)]
mod tests;
mod token;
pub mod variables;
mod walk;

pub use bounds::with_bounds;
pub use make::{call, take};
pub use scan::is_complete;
pub use token::place;
pub use walk::{Tree, each_expr, each_own_expr, join_condition, walk, walk_mut};

use std::ops::Range;

use ast::{Expr, Spanned, Statement};
use cursor::Cursor;

use crate::diagnostic::{Diagnostic, Span};
use crate::types::SqlType;

/// The statements of a script, and the errors in it.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The statements that could be parsed, in order.
    pub statements: Vec<Statement>,
    /// One error for each statement that could not be parsed, in order.
    pub errors: Vec<Diagnostic>,
}

/// Parses a script of statements that end with semicolons, which is optional for the last one.
///
/// An error only affects its own statement. No text makes it panic; work and memory are proportional to the length of
/// the text. Variables must be replaced first, see [`variables`].
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for range in scan::statements(text) {
        match statement(text, range) {
            Ok(statement) => parsed.statements.push(statement),
            Err(error) => parsed.errors.push(error),
        }
    }
    parsed
}

/// The spans of a script's statements, without their semicolons, for a caller that parses them one by one because
/// each may define variables for the next. Blank statements and comments are skipped.
pub fn split(text: &str) -> Vec<Span> {
    scan::statements(text).into_iter().map(|range| Span { start: range.start, end: range.end }).collect()
}

/// Parses one expression, such as the body of a function.
///
/// # Errors
/// Returns the syntax error, with its position in `text`.
pub fn parse_expr(text: &str) -> Result<Expr, Diagnostic> {
    let tokens = tokens(text, 0..text.len())?;
    match tokens.is_empty() {
        true => Err(Cursor::new(text, &tokens).unexpected("an expression")),
        false => standard::expr(&tokens, None),
    }
}

/// Parses one type, such as `ARRAY<STRING>`.
///
/// # Errors
/// Returns the syntax error, with its position in `text`.
pub fn parse_type(text: &str) -> Result<SqlType, Diagnostic> {
    let tokens = tokens(text, 0..text.len())?;
    let mut cursor = Cursor::new(text, &tokens);
    let Spanned { value, .. } = data_type::parse(&mut cursor)?;
    cursor.expect_end()?;
    Ok(value)
}

fn statement(text: &str, range: Range<usize>) -> cursor::Result<Statement> {
    let tokens = tokens(text, range)?;
    statement::parse(&mut Cursor::new(text, &tokens))
}

fn tokens(text: &str, range: Range<usize>) -> cursor::Result<Vec<sqlparser::tokenizer::TokenWithSpan>> {
    limits::check_bytes(Span { start: range.start, end: range.end })?;
    token::tokens(text, range)
}
