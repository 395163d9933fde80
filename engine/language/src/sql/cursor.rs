//! A cursor that reads tokens one by one, with errors that say what was expected.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::ast::{Name, Spanned};
use super::error;
use super::token::{span_of, word};
use crate::diagnostic::{Diagnostic, Span};

/// The result of reading, or the first error.
pub(super) type Result<T> = std::result::Result<T, Diagnostic>;

/// A position in the tokens of a statement.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [TokenWithSpan],
    /// The token that follows the tokens, such as the closing parenthesis around them.
    after: Option<&'a TokenWithSpan>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first of `tokens`, which were made from `text`.
    pub fn new(text: &'a str, tokens: &'a [TokenWithSpan]) -> Self {
        Self { text, tokens, after: None, at: 0 }
    }

    /// Sets the token that follows the tokens, which error messages name as found where the tokens end.
    pub fn before(self, after: Option<&'a TokenWithSpan>) -> Self {
        Self { after, ..self }
    }

    /// The token that follows the tokens.
    pub fn after(&self) -> Option<&'a TokenWithSpan> {
        self.after
    }

    /// The text to which all positions refer.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The tokens that have not been read yet.
    pub fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.at..]
    }

    /// True if all tokens have been read.
    pub fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The next token, without reading it.
    pub fn peek(&self) -> Option<&'a Token> {
        self.peek_nth(0)
    }

    /// The token after the next `n`, without reading it.
    pub fn peek_nth(&self, n: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + n).map(|token| &token.token)
    }

    /// The next token as an unquoted word.
    pub fn peek_word(&self) -> Option<&'a str> {
        self.peek().and_then(word)
    }

    /// True when the next tokens are these words.
    pub fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, expected)| self.peek_nth(n).and_then(word) == Some(expected))
    }

    /// The span of the next token; if there is none, the empty span after the last one.
    pub fn span(&self) -> Span {
        match self.tokens.get(self.at).or(self.after) {
            Some(token) => span_of(token),
            None => {
                let end = self.tokens.last().map_or(0, |token| span_of(token).end);
                Span { start: end, end }
            }
        }
    }

    /// The span of the token that was read last; empty at the start.
    pub fn last_span(&self) -> Span {
        match self.at.checked_sub(1) {
            Some(last) => span_of(&self.tokens[last]),
            None => Span { start: self.span().start, end: self.span().start },
        }
    }

    /// The span from `start` to the end of the token that was read last.
    pub fn since(&self, start: Span) -> Span {
        Span { start: start.start, end: self.last_span().end.max(start.start) }
    }

    /// Reads any token.
    pub fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len());
    }

    /// Reads `n` tokens.
    pub fn advance_by(&mut self, n: usize) {
        self.at = (self.at + n).min(self.tokens.len());
    }

    /// Reads these words if they are next.
    pub fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            self.advance_by(words.len());
        }
        found
    }

    /// Reads a symbol if it is next.
    pub fn eat_symbol(&mut self, symbol: &Token) -> bool {
        let found = self.peek() == Some(symbol);
        if found {
            self.advance();
        }
        found
    }

    /// Reads these words, or fails.
    pub fn expect(&mut self, words: &[&str]) -> Result<()> {
        for (n, expected) in words.iter().enumerate() {
            if !self.eat(&[expected]) {
                return Err(self.unexpected(&words[n..].join(" ")));
            }
        }
        Ok(())
    }

    /// Reads a symbol, or fails.
    pub fn expect_symbol(&mut self, symbol: &Token) -> Result<()> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("\"{symbol}\""))) }
    }

    /// Fails unless all tokens have been read.
    pub fn expect_end(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// Reads a name. `what` describes it in error messages, as in "the name of a stream".
    pub fn name(&mut self, what: &str) -> Result<Name> {
        match self.peek() {
            Some(Token::Word(Word { value, .. })) => {
                let name = Name::new(value.clone(), self.span());
                self.advance();
                Ok(name)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Reads a string.
    pub fn string(&mut self, what: &str) -> Result<Spanned<String>> {
        match self.peek() {
            Some(Token::SingleQuotedString(value)) => {
                let string = Spanned::new(value.clone(), self.span());
                self.advance();
                Ok(string)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Reads a whole number that is not negative.
    pub fn count(&mut self, what: &str) -> Result<Spanned<u64>> {
        let found = match self.peek() {
            Some(Token::Number(digits, _)) => digits.parse().ok(),
            _ => None,
        };
        let Some(value) = found else { return Err(self.unexpected(what)) };
        let count = Spanned::new(value, self.span());
        self.advance();
        Ok(count)
    }

    /// Reads a list in parentheses with at least one item.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_symbol(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.eat_symbol(&Token::Comma) {
            items.push(item(self)?);
        }
        if self.eat_symbol(&Token::RParen) { Ok(items) } else { Err(self.unexpected("\",\" or \")\"")) }
    }

    /// The tokens inside the parenthesis that opens next, and those after it. None if it is not closed.
    pub fn group(&self) -> Option<(&'a [TokenWithSpan], Self)> {
        let rest = self.rest();
        let mut depth = 0_usize;
        for (n, token) in rest.iter().enumerate() {
            match token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return (n > 0).then(|| (&rest[1..n], Self { at: self.at + n + 1, ..*self }));
            }
        }
        None
    }

    /// The error that `what` was expected here.
    pub fn unexpected(&self, expected: &str) -> Diagnostic {
        let found = self.peek().or(self.after.map(|token| &token.token));
        error::unexpected(self.span(), found, expected)
    }
}
