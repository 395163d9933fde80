//! A JSON string as it is written, and what its escapes stand for.

use super::fault::{Fault, Read};

/// A string token without its quotes, as it is written.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
}

impl Token<'_> {
    /// Appends the text, its escapes resolved.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.escaped { unescape(self.raw, out) } else { out.extend_from_slice(self.raw) }
    }
}

/// Resolves the escapes of a string that the scanner has found well formed.
fn unescape(mut raw: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        let (resolved, len) = resolve(raw, at);
        out.extend_from_slice(resolved.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[at + len..];
    }
    out.extend_from_slice(raw);
}

/// The character that the escape at `at` stands for, and the escape's length.
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

fn resolve_unicode(raw: &[u8], at: usize) -> (char, usize) {
    let unit = |at| hex4(raw, at).unwrap_or(0);
    let first = unit(at + 2);
    let (code, len) = match first {
        0xD800..=0xDBFF => (0x1_0000 + ((first - 0xD800) << 10) + unit(at + 8).wrapping_sub(0xDC00), 12),
        _ => (first, 6),
    };
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), len)
}

/// Where the escape that begins at `at` ends.
pub(super) fn escape_end(bytes: &[u8], at: usize) -> Read<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex4(bytes, at + 2) {
            Some(0xD800..=0xDBFF) => match bytes.get(at + 6..at + 8) {
                Some(b"\\u") if matches!(hex4(bytes, at + 8), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
                _ => Err(Fault::syntax(at, "half of a surrogate pair")),
            },
            Some(0xDC00..=0xDFFF) => Err(Fault::syntax(at, "half of a surrogate pair")),
            Some(_) => Ok(at + 6),
            None => Err(Fault::syntax(at, "a \\u escape without four hexadecimal digits")),
        },
        _ => Err(Fault::syntax(at, "an unknown escape")),
    }
}

/// Four hexadecimal digits.
fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::super::scan::Scan;

    #[test]
    fn escapes_are_resolved() {
        let mut out = Vec::new();
        let json = br#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#;
        Scan::new(json).string().unwrap().write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z");
    }
}
