//! A JSON string token, and the decoding of its escapes.

use std::borrow::Cow;

use super::fault::{Fault, Read};

/// The replacement for an unpaired surrogate.
pub(super) const LONE_SURROGATE: char = '?';

/// A string token as written, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
}

impl<'a> Token<'a> {
    /// The decoded text, copied only if it has escapes.
    pub(super) fn text(&self) -> Cow<'a, str> {
        if !self.escaped {
            return String::from_utf8_lossy(self.raw);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        self.write(&mut text);
        Cow::Owned(String::from_utf8_lossy(&text).into_owned())
    }

    /// Appends the decoded text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.escaped { unescape(self.raw, out) } else { out.extend_from_slice(self.raw) }
    }
}

/// Resolves the escapes of a string that the scanner has checked.
fn unescape(mut raw: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        let (resolved, len) = resolve(raw, at);
        out.extend_from_slice(resolved.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[at + len..];
    }
    out.extend_from_slice(raw);
}

/// The character that the escape at `at` denotes, and the escape's length.
fn resolve(raw: &[u8], at: usize) -> (char, usize) {
    let simple = match raw[at + 1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return resolve_unicode(raw, at),
        other => other as char,
    };
    (simple, 2)
}

/// Decodes a surrogate pair to one character; an unpaired surrogate becomes `?`, as in Java's encoder.
fn resolve_unicode(raw: &[u8], at: usize) -> (char, usize) {
    let first = hex4(raw, at + 2).unwrap_or(0);
    match (first, low_surrogate(raw, at + 6)) {
        (0xD800..=0xDBFF, Some(low)) => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(LONE_SURROGATE), 12)
        }
        _ => (char::from_u32(first).unwrap_or(LONE_SURROGATE), 6),
    }
}

/// The low surrogate, if the escape at `at` is one.
fn low_surrogate(bytes: &[u8], at: usize) -> Option<u32> {
    let unit = bytes.get(at..at + 2).filter(|start| *start == b"\\u").and_then(|_| hex4(bytes, at + 2))?;
    (0xDC00..=0xDFFF).contains(&unit).then_some(unit)
}

/// The end of the escape that begins at `at`.
pub(super) fn escape_end(bytes: &[u8], at: usize) -> Read<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if hex4(bytes, at + 2).is_some() => Ok(at + 6),
        Some(b'u') => Err(Fault::syntax(at, "\\u escape without four hexadecimal digits")),
        _ => Err(Fault::syntax(at, "unknown escape")),
    }
}

/// Reads four hexadecimal digits.
fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::super::scan::Scan;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let token = Scan::new(json.as_bytes()).string().unwrap();
        let mut out = Vec::new();
        token.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(token.text(), expected);
    }

    #[test]
    fn escapes_are_resolved() {
        check(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#, "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z");
    }

    #[test]
    fn half_of_a_surrogate_pair_is_what_javas_encoder_makes_of_it() {
        check(r#""\ud83d""#, "?");
        check(r#""a\uDE00b""#, "a?b");
        check(r#""\ud83d\ud83d\ude00\ude00""#, "?\u{1f600}?");
        check(r#""\ud83d\n\ude00""#, "?\n?");
        check(r#""\ud83d\u0041""#, "?A");
        check(r#""\ud83dxude00""#, "?xude00");
    }
}
