//! Text to statements: the dialect's syntax. It knows how things are written and not what they mean.
//!
//! A script is split at its semicolons (`scan`); each statement becomes tokens whose words are
//! folded (`token`); our own statements are read from them (`statement`). Of a query the clauses
//! that only streams have are taken out (`clauses`) and the rest, made to mean the same in
//! standard SQL (`rewrite`), is read by sqlparser (`standard`).
//!
//! ```
//! let parsed = headwater_language::sql::parse("SELECT id FROM orders EMIT CHANGES; SELCT 1;");
//! assert_eq!(parsed.statements.len(), 1);
//! assert_eq!(parsed.errors[0].hint.as_deref(), Some("Did you mean SELECT?"));
//! ```

pub mod ast;
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

pub use make::{call, take};
pub use scan::is_complete;
pub use token::place;
pub use walk::{each_expr, each_own_expr, join_condition, walk, walk_mut};

use std::ops::Range;

use ast::{Expr, Spanned, Statement};
use cursor::Cursor;

use crate::diagnostic::{Diagnostic, Span};
use crate::types::SqlType;

/// What a script says, and what in it is wrong.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The statements that could be read, in order.
    pub statements: Vec<Statement>,
    /// The statements that could not, one error each, in order.
    pub errors: Vec<Diagnostic>,
}

/// Reads a script: statements that end with semicolons, the last one perhaps without.
///
/// An error ends its own statement only. Never panics, whatever the text is; work and memory grow
/// with its length. Variables are to be put in before, see [`variables`].
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

/// The places of a script's statements, without their semicolons, for a caller that reads them one by
/// one because each may define variables for the next. What is blank or a comment is no statement.
pub fn split(text: &str) -> Vec<Span> {
    scan::statements(text).into_iter().map(|range| Span { start: range.start, end: range.end }).collect()
}

/// Reads one expression, such as the body of a function.
///
/// # Errors
/// What is wrong with it, with places in `text`.
pub fn parse_expr(text: &str) -> Result<Expr, Diagnostic> {
    let tokens = tokens(text, 0..text.len())?;
    match tokens.is_empty() {
        true => Err(Cursor::new(text, &tokens).unexpected("an expression")),
        false => standard::expr(&tokens, None),
    }
}

/// Reads one type, such as `ARRAY<STRING>`.
///
/// # Errors
/// What is wrong with it, with places in `text`.
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
