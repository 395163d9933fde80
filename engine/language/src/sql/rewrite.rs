//! Converts tokens of this dialect to tokens that sqlparser parses with the intended meaning.
//!
//! Three things differ. `a->b` becomes `a.'b'` and `a->*` becomes `a.` with a placeholder `*`, which
//! nothing else can be, as a point before a string is refused. `x => e` becomes `x -> e`, which is
//! how sqlparser writes a lambda. And a word stays a keyword only where this dialect has one, so
//! that the words of forty other dialects are plain names: columns called KEY, SOURCE or TOP work,
//! and syntax that nobody here meant cannot be reached.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::cursor::{Cursor, Result};
use super::data_type;
use super::error::{self, unexpected};
use super::token::{location, span_of, word};
use crate::diagnostic::Span;

/// The tokens for sqlparser.
///
/// # Errors
/// Fails on a dereference without a field name.
pub(super) fn standard(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let calls = KeywordCalls::of(tokens);
    let mut standard = Vec::with_capacity(tokens.len());
    let mut n = 0;
    while n < tokens.len() {
        match &tokens[n].token {
            Token::Arrow => {
                check_struct(tokens, n)?;
                standard.push(with(&tokens[n], Token::Period));
                standard.push(field(tokens, n + 1)?);
                n += 1;
            }
            Token::DoubleColon => {
                let (name, read) = cast_type(&tokens[n + 1..])?;
                standard.extend([tokens[n].clone(), name]);
                n += read;
            }
            Token::RArrow => standard.push(with(&tokens[n], Token::Arrow)),
            Token::SingleQuotedString(_) => {
                check_string(tokens, n, calls.inside[n])?;
                standard.push(tokens[n].clone());
            }
            Token::Period => standard.push(point(tokens, n)?),
            Token::Word(it) if it.quote_style.is_none() && !is_keyword(tokens, n) && !calls.is_keyword(tokens, n) => {
                let plain = Word { keyword: Keyword::NoKeyword, ..it.clone() };
                standard.push(with(&tokens[n], Token::Word(plain)));
            }
            _ => standard.push(tokens[n].clone()),
        }
        n += 1;
    }
    Ok(standard)
}

fn with(place: &TokenWithSpan, token: Token) -> TokenWithSpan {
    TokenWithSpan { token, span: place.span }
}

/// Refuses a string as an alias or a table, which sqlparser would accept.
fn check_string(tokens: &[TokenWithSpan], n: usize, in_call: bool) -> Result<()> {
    let word_at = |back: usize| n.checked_sub(back).and_then(|n| word(&tokens[n].token));
    let is_alias = match n.checked_sub(1).map(|before| &tokens[before].token) {
        Some(Token::Word(_)) => match word_at(1) {
            Some("AS" | "NULL" | "TRUE" | "FALSE" | "END" | "JOIN") => true,
            Some("FROM") => !in_call && word_at(2) != Some("DISTINCT"),
            _ => !in_call && !is_keyword(tokens, n - 1),
        },
        Some(Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_)) => true,
        _ => false,
    };
    if !is_alias {
        return Ok(());
    }
    Err(error::string_for_name(place_of(tokens, n), &tokens[n].token))
}

/// The type behind `::` as one quoted name, which [`super::normal`] makes a type again, and how
/// many tokens it was.
fn cast_type(tokens: &[TokenWithSpan]) -> Result<(TokenWithSpan, usize)> {
    let mut cursor = Cursor::new("", tokens);
    let ty = data_type::parse(&mut cursor)?;
    let name = Word { value: ty.to_string(), quote_style: Some('`'), keyword: Keyword::NoKeyword };
    let token = TokenWithSpan { token: Token::Word(name), span: location(ty.span) };
    Ok((token, tokens.len() - cursor.rest().len()))
}

/// Checks that the token before an arrow can be a struct; sqlparser would accept numbers and strings.
fn check_struct(tokens: &[TokenWithSpan], n: usize) -> Result<()> {
    match n.checked_sub(1).map(|before| &tokens[before].token) {
        Some(Token::Word(_) | Token::RParen | Token::RBracket) => Ok(()),
        _ => Err(unexpected(place_of(tokens, n), Some(&Token::Arrow), "a struct before \"->\"")),
    }
}

/// Converts what follows an arrow: a field name, or `*` for all fields.
fn field(tokens: &[TokenWithSpan], n: usize) -> Result<TokenWithSpan> {
    match tokens.get(n).map(|token| &token.token) {
        Some(Token::Word(word)) => Ok(with(&tokens[n], Token::SingleQuotedString(word.value.clone()))),
        Some(Token::Mul) => Ok(with(&tokens[n], Token::Placeholder("*".to_owned()))),
        found => Err(unexpected(place_of(tokens, n), found, "the name of a field or \"*\"")),
    }
}

fn point(tokens: &[TokenWithSpan], n: usize) -> Result<TokenWithSpan> {
    if n >= 2 && tokens[n - 2].token == Token::Arrow {
        return Err(unexpected(place_of(tokens, n), Some(&Token::Period), "\"->\" before a field of a field"));
    }
    match tokens.get(n + 1).map(|token| &token.token) {
        Some(found @ (Token::SingleQuotedString(_) | Token::Number(..))) => {
            Err(unexpected(place_of(tokens, n + 1), Some(found), "a name or \"*\""))
        }
        _ => Ok(tokens[n].clone()),
    }
}

fn place_of(tokens: &[TokenWithSpan], n: usize) -> Span {
    let end = error::whole(tokens).end;
    tokens.get(n).map_or(Span { start: end, end }, span_of)
}

/// Calls written with keywords between their arguments, such as `TRIM(LEADING 'x' FROM s)`.
///
/// A call of the same function with commas remains a plain call.
struct KeywordCalls {
    /// For each token, whether it is the name of such a call.
    begins: Vec<bool>,
    /// For each token, whether it is inside such a call, at any depth.
    inside: Vec<bool>,
}

/// An open parenthesis, and the words that would make it a keyword call.
struct Open {
    at: usize,
    separators: &'static [&'static str],
    separated: bool,
}

impl KeywordCalls {
    fn of(tokens: &[TokenWithSpan]) -> Self {
        let mut calls = Self { begins: vec![false; tokens.len()], inside: vec![false; tokens.len()] };
        let mut open: Vec<Open> = Vec::new();
        for (n, token) in tokens.iter().enumerate() {
            let before = n.checked_sub(1).and_then(|n| word(&tokens[n].token));
            match &token.token {
                Token::LParen => {
                    let separators = before.and_then(separators).unwrap_or_default();
                    open.push(Open { at: n, separators, separated: false });
                }
                Token::RParen => {
                    if let Some(Open { at, separated: true, .. }) = open.pop() {
                        calls.begins[at - 1] = true;
                        calls.inside[at..n].fill(true);
                    }
                }
                // The FROM of IS DISTINCT FROM is not a separator of arguments.
                other if before != Some("DISTINCT") => {
                    if let (Some(open), Some(word)) = (open.last_mut(), word(other)) {
                        open.separated |= open.separators.contains(&word);
                    }
                }
                _ => {}
            }
        }
        calls
    }

    /// True when the word at `n` is a keyword of such a call.
    fn is_keyword(&self, tokens: &[TokenWithSpan], n: usize) -> bool {
        match word(&tokens[n].token) {
            Some("TO" | "FOR" | "PLACING" | "LEADING" | "TRAILING" | "BOTH") => self.inside[n],
            Some("EXTRACT" | "POSITION" | "SUBSTRING" | "SUBSTR" | "OVERLAY" | "TRIM" | "CEIL" | "FLOOR") => {
                self.begins[n]
            }
            _ => false,
        }
    }
}

fn separators(function: &str) -> Option<&'static [&'static str]> {
    Some(match function {
        "EXTRACT" => &["FROM"],
        "POSITION" => &["IN"],
        "SUBSTRING" | "SUBSTR" => &["FROM", "FOR"],
        "OVERLAY" => &["PLACING"],
        "TRIM" => &["FROM", "LEADING", "TRAILING", "BOTH"],
        "CEIL" | "FLOOR" => &["TO"],
        _ => return None,
    })
}

/// True if the word at `n` is a keyword in its context, inside a call or not.
pub(super) fn is_keyword(tokens: &[TokenWithSpan], n: usize) -> bool {
    let Some(found) = word(&tokens[n].token) else { return false };
    let before = |back: usize| n.checked_sub(back).map(|n| &tokens[n].token);
    let after = |ahead: usize| tokens.get(n + ahead).map(|token| &token.token);
    let before_is = |back: usize, words: &[&str]| before(back).and_then(word).is_some_and(|it| words.contains(&it));
    let after_is = |ahead: usize, expected: &str| after(ahead).and_then(word) == Some(expected);
    let opens = after(1) == Some(&Token::LParen);
    let text_follows = matches!(after(1), Some(Token::SingleQuotedString(_)));
    // `a.AS` is a column.
    let is_alias = before_is(1, &["AS"]) && !before_is(2, &["IS"]) && before(2) != Some(&Token::Period);
    if is_alias || matches!(before(1), Some(Token::Period)) {
        return false;
    }
    let after_in = |words: &[&str]| after(1).and_then(word).is_some_and(|it| words.contains(&it));
    match found {
        "SELECT" | "DISTINCT" | "ALL" | "ANY" | "SOME" | "FROM" | "WHERE" | "GROUP" | "BY" | "HAVING" | "LIMIT"
        | "AS" | "JOIN" | "ON" | "CASE" | "WHEN" | "THEN" | "ELSE" | "END" | "AND" | "OR" | "NOT" | "IN" | "LIKE"
        | "ILIKE" | "ESCAPE" | "BETWEEN" | "IS" | "NULL" | "TRUE" | "FALSE" | "ROW" | "ROWS" | "RANGE" | "GROUPS"
        | "UNBOUNDED" | "PRECEDING" | "FOLLOWING" | "CURRENT" | "FIRST" | "NEXT" | "LAST" | "NULLS" | "ONLY"
        | "PERCENT" | "TIES" | "ASC" | "DESC" | "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_TIMESTAMP" => true,
        "ORDER" | "PARTITION" => after_is(1, "BY"),
        "OFFSET" => opens || matches!(after(1), Some(Token::Number(..))),
        "FETCH" => after_in(&["FIRST", "NEXT"]),
        "UNION" | "EXCEPT" | "INTERSECT" => opens || after_in(&["ALL", "DISTINCT", "SELECT", "VALUES", "BY"]),
        "INNER" | "CROSS" | "OUTER" | "SEMI" | "ANTI" => after_is(1, "JOIN"),
        "FULL" => after_in(&["JOIN", "OUTER"]),
        "LEFT" | "RIGHT" => after_in(&["JOIN", "OUTER", "SEMI", "ANTI"]),
        "NATURAL" => after_in(&["JOIN", "INNER", "LEFT", "RIGHT", "FULL"]),
        "USING" => opens,
        "LATERAL" | "OVER" => opens || matches!(after(1), Some(Token::Word(_))),
        "IGNORE" | "RESPECT" => after_is(1, "NULLS"),
        "WINDOW" => after_is(2, "AS") && after(3) == Some(&Token::LParen),
        "QUALIFY" => !matches!(after(1), None | Some(Token::Comma | Token::RParen)) && !after_is(1, "FROM"),
        "WITH" => matches!(before(1), None | Some(Token::LParen)) || before_is(1, &["ROW", "ROWS"]),
        "RECURSIVE" => before_is(1, &["WITH"]),
        "EXISTS" | "FILTER" | "VALUES" => opens,
        "WITHIN" => after_is(1, "GROUP"),
        "GROUPING" => after_is(1, "SETS"),
        "SETS" => before_is(1, &["GROUPING"]),
        "CUBE" | "ROLLUP" => opens && (before_is(1, &["BY"]) || before(1) == Some(&Token::Comma)),
        "EXCLUDE" | "REPLACE" => before(1) == Some(&Token::Mul) && opens,
        "UNKNOWN" => before_is(1, &["IS", "NOT"]),
        "AT" => after_is(1, "TIME") && after_is(2, "ZONE"),
        "ZONE" => before_is(1, &["TIME"]) && before_is(2, &["AT"]),
        "SIMILAR" => after_is(1, "TO"),
        "TO" => before_is(1, &["SIMILAR"]),
        "INTERVAL" => text_follows || matches!(after(1), Some(Token::Number(..))),
        "TIME" => text_follows || before_is(1, &["AT"]) && after_is(1, "ZONE"),
        "DATE" | "TIMESTAMP" | "DECIMAL" => text_follows,
        "ARRAY" => after(1) == Some(&Token::LBracket) || opens && after_is(2, "SELECT"),
        _ => is_unit(tokens, n),
    }
}

/// True for the unit of `INTERVAL '5' MINUTE`.
fn is_unit(tokens: &[TokenWithSpan], n: usize) -> bool {
    n >= 2
        && word(&tokens[n - 2].token) == Some("INTERVAL")
        && matches!(tokens[n - 1].token, Token::SingleQuotedString(_) | Token::Number(..))
}
