//! The clauses that only exist for streams. They are removed from a query's tokens before sqlparser parses it, and
//! put back when the query is printed.
//!
//! They belong to the outermost SELECT, so only tokens outside all parentheses are searched:
//! `WINDOW TUMBLING|HOPPING|SESSION (…)`, `PARTITION BY …`, `WITHIN …` of joins and `EMIT …`.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::ast::{Duration, Emit, Expr, Spanned, TimeUnit, Window, WindowKind, Within};
use super::cursor::{Cursor, Result};
use super::token::word;
use super::{rewrite, standard};
use crate::diagnostic::{Diagnostic, MISPLACED, Span, nearest};

/// A query's tokens, separated into standard SQL and clauses for streams.
#[derive(Default)]
pub(super) struct Lifted {
    /// The tokens of standard SQL.
    pub rest: Vec<TokenWithSpan>,
    /// `WINDOW …`.
    pub window: Option<Spanned<Window>>,
    /// `PARTITION BY …`.
    pub partition_by: Option<Spanned<Vec<Expr>>>,
    /// `WITHIN …` of each join that has one.
    pub within: Vec<Spanned<Within>>,
    /// `EMIT …`.
    pub emit: Option<Spanned<Emit>>,
}

/// Words that end a PARTITION BY.
const AFTER_PARTITION_BY: &[&str] = &[
    "HAVING",
    "EMIT",
    "LIMIT",
    "ORDER",
    "WINDOW",
    "WHERE",
    "GROUP",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "OFFSET",
    "FETCH",
    "QUALIFY",
];

/// Removes the clauses from the tokens that the cursor has not read yet.
pub(super) fn lift(cursor: &mut Cursor<'_>) -> Result<Lifted> {
    let mut lifter = Lifter { lifted: Lifted::default(), depth: 0, joins: 0 };
    while !cursor.is_done() {
        lifter.token(cursor)?;
    }
    Ok(lifter.lifted)
}

struct Lifter {
    lifted: Lifted,
    /// The number of open parentheses and brackets.
    depth: usize,
    /// The number of JOINs read outside parentheses.
    joins: usize,
}

impl Lifter {
    /// Reads one token of standard SQL or one clause.
    fn token(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        match cursor.peek() {
            Some(Token::LParen | Token::LBracket) => self.depth += 1,
            Some(Token::RParen | Token::RBracket) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        match clause_at(cursor) {
            Some(clause) if !self.is_name() => self.clause(clause, cursor),
            _ => {
                self.joins += usize::from(self.depth == 0 && cursor.peek_words(&["JOIN"]));
                self.lifted.rest.extend(cursor.rest().first().cloned());
                cursor.advance();
                Ok(())
            }
        }
    }

    /// True if the next word is a column or an alias and does not begin a clause.
    fn is_name(&self) -> bool {
        let mut back = self.lifted.rest.iter().rev().map(|token| &token.token);
        let (before, further) = (back.next(), back.next());
        // `a.AS` is a column.
        let is_alias = before.and_then(word) == Some("AS") && further != Some(&Token::Period);
        is_alias || matches!(before, None | Some(Token::Period | Token::Comma | Token::LParen))
    }

    fn clause(&mut self, clause: Clause, cursor: &mut Cursor<'_>) -> Result<()> {
        let start = cursor.span();
        if self.depth > 0 {
            return match clause {
                Clause::PartitionBy => self.keep(cursor),
                _ => Err(misplaced(format!("{} is only allowed in the outermost SELECT", clause.name()), start)),
            };
        }
        cursor.advance();
        match clause {
            Clause::Emit => set(&mut self.lifted.emit, emit(cursor)?, start, cursor, clause),
            Clause::Window => set(&mut self.lifted.window, window(cursor)?, start, cursor, clause),
            Clause::PartitionBy => set(&mut self.lifted.partition_by, partition_by(cursor)?, start, cursor, clause),
            Clause::Within => self.within(start, cursor),
        }
    }

    fn keep(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        self.lifted.rest.extend(cursor.rest().first().cloned());
        cursor.advance();
        Ok(())
    }

    fn within(&mut self, start: Span, cursor: &mut Cursor<'_>) -> Result<()> {
        let Some(join) = self.joins.checked_sub(1) else {
            return Err(misplaced("WITHIN is only allowed in a join", start));
        };
        let within = Spanned::new(within(join, cursor)?, cursor.since(start));
        if self.lifted.within.last().is_some_and(|last| last.join == join) {
            return Err(misplaced("a join has more than one WITHIN", within.span));
        }
        self.lifted.within.push(within);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Clause {
    Emit,
    Window,
    PartitionBy,
    Within,
}

impl Clause {
    fn name(self) -> &'static str {
        match self {
            Self::Emit => "EMIT",
            Self::Window => "WINDOW",
            Self::PartitionBy => "PARTITION BY",
            Self::Within => "WITHIN",
        }
    }
}

/// The clause that begins with the next token.
fn clause_at(cursor: &Cursor<'_>) -> Option<Clause> {
    let next = |n: usize| cursor.peek_nth(n).and_then(word);
    let opens = |n: usize| cursor.peek_nth(n) == Some(&Token::LParen);
    match cursor.peek_word()? {
        "EMIT" if next(1).is_some_and(is_emission) || cursor.peek_nth(1).is_none() => Some(Clause::Emit),
        // `WINDOW TUMBLING (`, `WINDOW name TUMBLING (`; a named SQL window is `WINDOW name AS (`.
        "WINDOW" if next(1).is_some() && opens(2) => Some(Clause::Window),
        "WINDOW" if next(2).is_some_and(|it| it != "AS") && opens(3) => Some(Clause::Window),
        "PARTITION" if next(1) == Some("BY") => Some(Clause::PartitionBy),
        "WITHIN" if next(1) != Some("GROUP") && (opens(1) || matches!(cursor.peek_nth(1), Some(Token::Number(..)))) => {
            Some(Clause::Within)
        }
        _ => None,
    }
}

/// True for CHANGES or FINAL, and for a misspelling of either.
fn is_emission(found: &str) -> bool {
    nearest(found, ["CHANGES", "FINAL"]).is_some()
}

fn set<T>(place: &mut Option<Spanned<T>>, value: T, start: Span, cursor: &Cursor<'_>, clause: Clause) -> Result<()> {
    let span = cursor.since(start);
    match place.replace(Spanned::new(value, span)) {
        None => Ok(()),
        Some(_) => Err(misplaced(format!("{} appears twice", clause.name()), span)),
    }
}

fn misplaced(message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::new(MISPLACED, message).at(span)
}

fn emit(cursor: &mut Cursor<'_>) -> Result<Emit> {
    if cursor.eat(&["CHANGES"]) {
        return Ok(Emit::Changes);
    }
    if cursor.eat(&["FINAL"]) {
        return Ok(Emit::Final);
    }
    Err(cursor.unexpected("CHANGES or FINAL"))
}

fn window(cursor: &mut Cursor<'_>) -> Result<Window> {
    if !matches!(cursor.peek_nth(1), Some(Token::LParen)) {
        cursor.advance(); // A name, which nothing refers to.
    }
    let read = match cursor.peek_word() {
        Some("TUMBLING") => tumbling,
        Some("HOPPING") => hopping,
        Some("SESSION") => session,
        _ => return Err(cursor.unexpected("TUMBLING, HOPPING or SESSION")),
    };
    cursor.advance();
    cursor.expect_symbol(&Token::LParen)?;
    let mut window = Window { kind: read(cursor)?, retention: None, grace: None };
    while cursor.eat_symbol(&Token::Comma) {
        window_option(&mut window, cursor)?;
    }
    cursor.expect_symbol(&Token::RParen)?;
    Ok(window)
}

fn window_option(window: &mut Window, cursor: &mut Cursor<'_>) -> Result<()> {
    if window.retention.is_none() && window.grace.is_none() && cursor.eat(&["RETENTION"]) {
        window.retention = Some(duration(cursor)?);
        return Ok(());
    }
    if window.grace.is_none() && cursor.eat(&["GRACE"]) {
        cursor.expect(&["PERIOD"])?;
        window.grace = Some(duration(cursor)?);
        return Ok(());
    }
    Err(cursor.unexpected("RETENTION, then GRACE PERIOD"))
}

fn tumbling(cursor: &mut Cursor<'_>) -> Result<WindowKind> {
    cursor.expect(&["SIZE"])?;
    Ok(WindowKind::Tumbling { size: duration(cursor)? })
}

fn hopping(cursor: &mut Cursor<'_>) -> Result<WindowKind> {
    cursor.expect(&["SIZE"])?;
    let size = duration(cursor)?;
    cursor.expect_symbol(&Token::Comma)?;
    cursor.expect(&["ADVANCE", "BY"])?;
    Ok(WindowKind::Hopping { size, advance: duration(cursor)? })
}

fn session(cursor: &mut Cursor<'_>) -> Result<WindowKind> {
    Ok(WindowKind::Session { gap: duration(cursor)? })
}

/// Reads a length of time such as `5 MINUTES`.
pub(super) fn duration(cursor: &mut Cursor<'_>) -> Result<Duration> {
    let count = cursor.count("a length of time such as 5 MINUTES")?.value;
    let unit = match cursor.peek_word() {
        Some("MILLISECOND" | "MILLISECONDS") => TimeUnit::Milliseconds,
        Some("SECOND" | "SECONDS") => TimeUnit::Seconds,
        Some("MINUTE" | "MINUTES") => TimeUnit::Minutes,
        Some("HOUR" | "HOURS") => TimeUnit::Hours,
        Some("DAY" | "DAYS") => TimeUnit::Days,
        _ => return Err(cursor.unexpected("DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS")),
    };
    cursor.advance();
    Ok(Duration { count, unit })
}

fn within(join: usize, cursor: &mut Cursor<'_>) -> Result<Within> {
    let (before, after) = if cursor.eat_symbol(&Token::LParen) {
        let before = duration(cursor)?;
        cursor.expect_symbol(&Token::Comma)?;
        let after = duration(cursor)?;
        cursor.expect_symbol(&Token::RParen)?;
        (before, after)
    } else {
        let both = duration(cursor)?;
        (both, both)
    };
    let grace = match cursor.eat(&["GRACE"]) {
        true => {
            cursor.expect(&["PERIOD"])?;
            Some(duration(cursor)?)
        }
        false => None,
    };
    Ok(Within { join, before, after, grace })
}

fn partition_by(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.advance(); // BY
    let tokens = &cursor.rest()[..partition_by_len(cursor.rest())];
    if tokens.is_empty() {
        return Err(cursor.unexpected("an expression"));
    }
    cursor.advance_by(tokens.len());
    let exprs = exprs(tokens, cursor.rest().first().or(cursor.after()))?;
    Ok(match <[Expr; 1]>::try_from(exprs) {
        Ok([Expr::Tuple(exprs)]) => exprs,
        Ok([expr]) => vec![expr],
        Err(exprs) => exprs,
    })
}

/// The number of tokens before the word that ends a PARTITION BY.
fn partition_by_len(tokens: &[TokenWithSpan]) -> usize {
    let mut depth = 0_usize;
    for (n, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            other if depth == 0 && word(other).is_some_and(|it| AFTER_PARTITION_BY.contains(&it)) => {
                let begins = Cursor::new("", &tokens[n..]);
                if rewrite::is_keyword(tokens, n) || clause_at(&begins).is_some() {
                    return n;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Reads comma-separated expressions that use up all tokens; `after` is the token that follows them.
pub(super) fn exprs(tokens: &[TokenWithSpan], after: Option<&TokenWithSpan>) -> Result<Vec<Expr>> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut exprs = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                exprs.push(standard::expr(&tokens[start..n], Some(token))?);
                start = n + 1;
            }
            _ => {}
        }
    }
    exprs.push(standard::expr(&tokens[start..], after)?);
    Ok(exprs)
}
