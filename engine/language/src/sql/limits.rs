//! Limits on the size and depth of a statement.
//!
//! Walking, printing or dropping a tree that is deeper than the stack crashes the process, so depth is measured on
//! the tokens, before there is a tree. Parentheses add a level, and so does each operator of a chain such as `a + b +
//! c`. The result is never less than the depth of the tree, except for prefix operators, which sqlparser's own
//! recursion limit counts.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Result;
use super::error;
use super::token::{keyword, span_of};
use crate::diagnostic::{Diagnostic, Span, TOO_LARGE};

/// The maximum number of bytes of a statement.
pub(super) const STATEMENT_BYTES_MAX: usize = 8 << 20;
/// The maximum nesting of parentheses, brackets and CASEs.
pub(super) const NESTING_MAX: usize = 100;
/// The maximum number of operators on a path from the root of an expression.
const OPERATORS_MAX: usize = 2_000;
/// The maximum number of SELECTs combined by UNION, EXCEPT and INTERSECT.
const SET_OPERATORS_MAX: usize = 200;
/// The recursion limit for sqlparser, for which a parenthesis costs up to four levels.
pub(super) const RECURSION_MAX: usize = 4 * NESTING_MAX + 50;

/// Fails if the statement has too many bytes.
pub(super) fn check_bytes(span: Span) -> Result<()> {
    if span.end - span.start <= STATEMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Diagnostic::new(TOO_LARGE, "the statement is too large")
        .at(Span { start: span.start, end: span.start + 1 })
        .detail(format!("It has {} bytes; at most {STATEMENT_BYTES_MAX} can be read.", span.end - span.start)))
}

/// Fails if the tokens would form a tree that is too deep.
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

/// The open levels, innermost last.
#[derive(Default)]
struct Level {
    /// The depth of the expression read so far.
    depth: usize,
}

/// Updates the depth for a token.
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

/// Closes a level: the enclosing one takes over its depth, plus one for the parentheses.
fn close(levels: &mut Vec<Level>) {
    if levels.len() > 1 {
        let inner = levels.pop().map_or(0, |level| level.depth);
        let outer = top(levels);
        outer.depth = outer.depth.max(inner) + 1;
    }
}
