//! How large and how deep a statement may be.
//!
//! A tree that is deeper than the stack crashes whoever walks, prints or drops it, so depth is
//! measured on the tokens, before there is a tree: parentheses nest, and a chain such as
//! `a + b + c` nests once an operator. The measure is never below the depth of the tree, save for
//! prefix operators, which sqlparser's own recursion limit counts.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Result;
use super::error;
use super::token::{keyword, span_of};
use crate::diagnostic::{Diagnostic, Span, TOO_LARGE};

/// Bytes of one statement at most.
pub(super) const STATEMENT_BYTES_MAX: usize = 8 << 20;
/// Parentheses, brackets and CASEs inside each other at most.
pub(super) const NESTING_MAX: usize = 100;
/// Operators on one path from the root of an expression at most.
const OPERATORS_MAX: usize = 2_000;
/// SELECTs joined by UNION, EXCEPT and INTERSECT at most.
const SET_OPERATORS_MAX: usize = 200;
/// What sqlparser may nest: a parenthesis costs it up to four levels.
pub(super) const RECURSION_MAX: usize = 4 * NESTING_MAX + 50;

/// Refuses a statement of too many bytes.
pub(super) fn check_bytes(span: Span) -> Result<()> {
    if span.end - span.start <= STATEMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Diagnostic::new(TOO_LARGE, "the statement is too large")
        .at(Span { start: span.start, end: span.start + 1 })
        .detail(format!("It has {} bytes; at most {STATEMENT_BYTES_MAX} can be read.", span.end - span.start)))
}

/// Refuses tokens that would make too deep a tree.
pub(super) fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = vec![Level::default()];
    let mut set_operators = 0;
    for (n, token) in tokens.iter().enumerate() {
        match step(tokens, n) {
            Step::Open => levels.push(Level::default()),
            Step::Close => close(&mut levels),
            Step::Restart => top(&mut levels).depth = 0,
            Step::Deeper => top(&mut levels).depth += 1,
            Step::Stay => {}
        }
        set_operators +=
            usize::from(matches!(keyword(&token.token), Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT));
        if levels.len() > NESTING_MAX || top(&mut levels).depth > OPERATORS_MAX || set_operators > SET_OPERATORS_MAX {
            return Err(error::too_deep(span_of(token)));
        }
    }
    Ok(())
}

/// What is open, innermost last.
#[derive(Default)]
struct Level {
    /// Depth of the expression read so far.
    depth: usize,
}

/// What a token does to the depth.
enum Step {
    Open,
    Close,
    /// A comma: the next expression of a list begins.
    Restart,
    Deeper,
    Stay,
}

fn step(tokens: &[TokenWithSpan], n: usize) -> Step {
    use Token::*;
    match &tokens[n].token {
        LParen | LBracket => Step::Open,
        RParen | RBracket => Step::Close,
        Comma => Step::Restart,
        Number(..) | SingleQuotedString(_) | HexStringLiteral(_) => Step::Stay,
        Word(word) => match word.keyword {
            Keyword::CASE => Step::Open,
            Keyword::END if n > 0 => Step::Close,
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::BETWEEN
            | Keyword::SIMILAR
            | Keyword::AT
            | Keyword::INTERVAL => Step::Deeper,
            _ => Step::Stay,
        },
        _ => Step::Deeper,
    }
}

fn top(levels: &mut [Level]) -> &mut Level {
    levels.last_mut().expect("the outermost level is never closed")
}

/// The level around takes over the depth of the one that ends, and one more for its parentheses.
fn close(levels: &mut Vec<Level>) {
    if levels.len() > 1 {
        let inner = levels.pop().map_or(0, |level| level.depth);
        let outer = top(levels);
        outer.depth = outer.depth.max(inner) + 1;
    }
}
