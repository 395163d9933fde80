//! A cursor over one JSON payload that reads tokens and skips values that are not requested.
//!
//! Skipped values are checked as strictly as those that are read: brackets, commas, colons, strings with their
//! escapes, the grammar of numbers and their exponents, and the three literals. UTF-8 is checked beforehand. Skipping
//! recurses once for every [`LEVELS`] levels of nesting.

use super::fault::{Fault, Read};
use super::token::{Token, escape_end};
use crate::format::number::{EXPONENT_BEYOND, exponent};

/// The maximum nesting of arrays and objects in a payload, which is Jackson's limit.
pub(super) const NESTING_MAX: u32 = 1000;

/// The number of nesting levels that one call of [`Scan::skip_nested`] handles: the bits of a word.
const LEVELS: u32 = u128::BITS;

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// A cursor over a payload that is valid UTF-8.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

/// A saved position of the cursor.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: usize,
    depth: u32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn place(&self) -> Place {
        Place { at: self.at, depth: self.depth }
    }

    pub(super) fn return_to(&mut self, place: Place) {
        self.at = place.at;
        self.depth = place.depth;
    }

    /// The byte at the cursor; `None` at the end.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The bytes from `from` to the cursor.
    pub(super) fn since(&self, from: usize) -> &'a [u8] {
        &self.bytes[from..self.at]
    }

    /// Skips `expected` if it is next.
    #[inline]
    pub(super) fn eat(&mut self, expected: &[u8]) -> bool {
        let eaten = begins_with(&self.bytes[self.at..], expected);
        if eaten {
            self.at += expected.len();
        }
        eaten
    }

    /// Skips bytes that are known to exist.
    #[inline]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Skips one byte and the whitespace after it.
    #[inline]
    fn step(&mut self) {
        self.at += 1;
        self.skip_space();
    }

    /// The syntax error that `expected` should have been at the cursor.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Box<Fault> {
        let rest = self.bytes[self.at..].utf8_chunks().next();
        match rest.and_then(|rest| rest.valid().chars().next()) {
            Some(found) => Fault::syntax(self.at, format!("expected {expected}, found {found:?}")),
            None => Fault::syntax(self.at, format!("expected {expected}, found the end")),
        }
    }

    /// Enters an array or object and skips the whitespace after its bracket. Returns true if it is empty, in which
    /// case it has been left again.
    #[inline]
    pub(super) fn open(&mut self, closing: u8) -> Read<bool> {
        if self.depth == NESTING_MAX {
            return Err(Fault::syntax(self.at, format!("nested deeper than {NESTING_MAX}")));
        }
        self.depth += 1;
        self.step();
        let empty = self.peek() == Some(closing);
        if empty {
            self.close();
        }
        Ok(empty)
    }

    /// Leaves an array or object.
    #[inline]
    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    /// After an element, returns true if a comma and another element follow, and false after the closing bracket.
    #[inline]
    pub(super) fn another(&mut self, closing: u8) -> Read<bool> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.step();
                Ok(true)
            }
            Some(found) if found == closing => {
                self.close();
                Ok(false)
            }
            _ => Err(self.no_separator(closing)),
        }
    }

    #[cold]
    fn no_separator(&self, closing: u8) -> Box<Fault> {
        self.unexpected(&format!("',' or '{}'", closing as char))
    }

    /// Reads a member's name, and skips everything up to its value.
    pub(super) fn name(&mut self) -> Read<Token<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a field name"));
        }
        let name = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':'"));
        }
        self.step();
        Ok(name)
    }

    /// Checks what follows a payload's value, which began with `first`. As in Jackson it may be anything, provided
    /// that the value ends there: a number must be followed by whitespace, and a word must not be followed by a
    /// letter.
    pub(super) fn root_end(&self, first: u8) -> Read<()> {
        let Some(next) = self.peek() else { return Ok(()) };
        match first {
            b'-' | b'0'..=b'9' if !matches!(next, b' ' | b'\n' | b'\r' | b'\t') => Err(self.unexpected("a space")),
            b't' | b'f' | b'n' if next.is_ascii_alphanumeric() || next == b'_' || next >= 0x7F => {
                Err(self.unexpected("the end of the word"))
            }
            _ => Ok(()),
        }
    }

    /// Reads a string; the cursor is at its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Read<Token<'a>> {
        let start = self.at + 1;
        let end = plain_end(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Token { raw: &self.bytes[start..end], escaped: false });
        }
        self.string_with_escapes(start, end)
    }

    fn string_with_escapes(&mut self, start: usize, mut end: usize) -> Read<Token<'a>> {
        let mut escaped = false;
        loop {
            match self.bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end = escape_end(self.bytes, end)?,
                Some(_) => return Err(Fault::syntax(end, "control character in a string")),
                None => return Err(Fault::syntax(end, "unterminated string")),
            }
            escaped = true;
            end = plain_end(self.bytes, end);
        }
        self.at = end + 1;
        Ok(Token { raw: &self.bytes[start..end], escaped })
    }

    /// Reads a number; the cursor is at its first byte. Also returns whether it is an integer literal.
    #[inline]
    pub(super) fn number(&mut self) -> Read<(&'a [u8], bool)> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.skip_digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        let integral = !matches!(self.peek(), Some(b'.' | b'e' | b'E' | b'0'..=b'9'));
        if !integral {
            self.rest_of_number(start)?;
        }
        Ok((self.since(start), integral))
    }

    fn rest_of_number(&mut self, start: usize) -> Read<()> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let exponent_start = self.at;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.some_digits()?;
            // Java's numbers cannot have such an exponent.
            if exponent(self.since(exponent_start)).is_none_or(|exponent| exponent.abs() >= EXPONENT_BEYOND) {
                return Err(Fault::syntax(start, "the exponent of the number is too large"));
            }
        }
        match self.peek() {
            Some(b'0'..=b'9') => Err(self.unexpected("no digit after a leading 0")),
            _ => Ok(()),
        }
    }

    fn some_digits(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.skip_digits();
                Ok(())
            }
            _ => Err(self.unexpected("a digit")),
        }
    }

    #[inline]
    fn skip_digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    /// Reads one of `true`, `false` and `null`.
    pub(super) fn literal(&mut self, word: &str) -> Read<()> {
        if self.eat(word.as_bytes()) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    /// Skips a value of any kind; the cursor is at its first byte.
    #[inline]
    pub(super) fn skip_value(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_scalar(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Skips an array or object. `objects` has one bit for each level, the innermost being the lowest: 1 for an
    /// object. Values nested deeper than its bits are skipped by another call.
    fn skip_nested(&mut self) -> Read<()> {
        let outside = self.depth;
        let mut objects = 0_u128;
        loop {
            match self.peek() {
                Some(b'{' | b'[') if self.depth - outside == LEVELS => self.skip_nested()?,
                Some(opening @ (b'{' | b'[')) => {
                    objects = objects << 1 | u128::from(opening == b'{');
                    if self.open(closing_of(objects))? {
                        objects >>= 1;
                    } else {
                        self.name_within(objects)?;
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            while self.depth > outside && !self.another(closing_of(objects))? {
                objects >>= 1;
            }
            if self.depth == outside {
                return Ok(());
            }
            self.name_within(objects)?;
        }
    }

    /// Skips a member's name if the innermost level is an object.
    fn name_within(&mut self, objects: u128) -> Read<()> {
        if objects & 1 == 1 {
            self.name()?;
        }
        Ok(())
    }
}

/// The bracket that closes the innermost level.
fn closing_of(objects: u128) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}

/// The position of the first quote, backslash or control character from `at` on, checking eight bytes at a time.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let special =
            zeros(word ^ (LOW_BITS * b'"' as u64)) | zeros(word ^ (LOW_BITS * b'\\' as u64)) | below_space(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)) {
        at += 1;
    }
    at
}

/// Marks bytes that are zero. Marks above the lowest one may be wrong, because of a borrow.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

/// Marks bytes below 0x20, as [`zeros`] does.
#[inline]
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS * 0x20) & !word & HIGH_BITS
}

/// `starts_with` for a few bytes, which compares the first and the last word without calling a function.
#[inline]
fn begins_with(bytes: &[u8], start: &[u8]) -> bool {
    fn same<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
    }
    let Some(bytes) = bytes.get(..start.len()) else { return false };
    match start.len() {
        4..=7 => same::<4>(bytes, start),
        8..=16 => same::<8>(bytes, start),
        17..=32 => same::<16>(bytes, start),
        _ => bytes == start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(json: &str) -> Result<(), String> {
        let mut scan = Scan::new(json.as_bytes());
        scan.skip_value()
            .and_then(|()| scan.root_end(json.bytes().next().unwrap_or(0)))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn well_formed_values_are_passed_over() {
        for json in [
            "null",
            "true",
            "0",
            "-0.5e+10 ",
            "\"a\\u00e9\\ud83d\\ude00\"",
            "[]",
            "{}",
            "[[],{},[1,{\"a\":[2]}]]",
            "\"\\ud83d\"",
            "\"\\ude00 \\ud83d\\ud83d\\ude00\"",
            "[1]]",
            "{}x",
            "1 x",
            "null,",
            "\"a\"1",
            "1e2147483647",
            "1e-0000000000000000005",
            "{\"a\" : {\"b\" : [ 1 , 2 ] , \"c\" : { } } , \"d\" : \"}\" }",
        ] {
            assert_eq!(skip(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn malformed_values_are_refused_with_their_place() {
        for (json, reason) in [
            ("", "expected a value, found the end at byte 0"),
            ("[1,]", "expected a value, found ']' at byte 3"),
            ("[1 2]", "expected ',' or ']', found '2' at byte 3"),
            ("{\"a\":1,}", "expected a field name, found '}' at byte 7"),
            ("{\"a\" 1}", "expected ':', found '1' at byte 5"),
            ("[1}", "expected ',' or ']', found '}' at byte 2"),
            ("01", "expected no digit after a leading 0, found '1' at byte 1"),
            ("1.", "expected a digit, found the end at byte 2"),
            ("-", "expected a digit, found the end at byte 1"),
            ("tru", "expected `true`, found 't' at byte 0"),
            ("\"a", "unterminated string at byte 2"),
            ("\"a\n\"", "control character in a string at byte 2"),
            ("\"\\x\"", "unknown escape at byte 1"),
            ("\"\\u12\"", "\\u escape without four hexadecimal digits at byte 1"),
            ("1x", "expected a space, found 'x' at byte 1"),
            ("-2,", "expected a space, found ',' at byte 2"),
            ("nullx", "expected the end of the word, found 'x' at byte 4"),
            ("true\u{e9}", "expected the end of the word, found 'é' at byte 4"),
            ("[1e2147483648]", "the exponent of the number is too large at byte 1"),
            ("0e-99999999999999999999", "the exponent of the number is too large at byte 0"),
        ] {
            assert_eq!(skip(json), Err(format!("not valid JSON: {reason}")), "{json}");
        }
    }

    #[test]
    fn depth_is_limited_as_in_jackson() {
        let max = NESTING_MAX as usize;
        for depth in [2, 126, 128, 130, 254, 256, 258, max - 2, max, max + 2, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":7,\"b\":", "}]")] {
                let levels = depth / close.len();
                let within = |close: &str| open.repeat(levels) + "1" + &close.repeat(levels);
                assert_eq!(skip(&within(close)).is_ok(), depth <= max, "{depth} of {open}");
                assert!(skip(&within("]}")).is_err(), "{depth} of {open}, closed by other brackets");
            }
        }
    }

    #[test]
    fn every_special_byte_is_found_at_every_place() {
        for special in [b'"', b'\\', 0, 0x1F] {
            for place in 0..20 {
                let mut bytes = vec![b'!'; 20];
                bytes[place] = special;
                assert_eq!(plain_end(&bytes, 0), place);
                bytes.fill(0xFF);
                bytes[place] = special;
                assert_eq!(plain_end(&bytes, 0), place);
            }
        }
    }

    #[test]
    fn a_beginning_is_compared_whole_whatever_its_length() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..text.len() {
            assert!(begins_with(&text, &text[..length]));
            assert!(!begins_with(&text[..length], &text[..=length]));
            for at in 0..length {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!begins_with(&text, &other[..length]), "{length} bytes, other at {at}");
            }
        }
    }
}
