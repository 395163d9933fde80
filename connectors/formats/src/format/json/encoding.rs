//! Detects the encoding of a JSON payload in the same way as Jackson: by a byte order mark, or by the positions of
//! zero bytes in its first character. Nearly all payloads are UTF-8 without a mark and are left unchanged.

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The width and byte order of a wide encoding.
#[derive(Clone, Copy)]
enum Wide {
    Utf16 { big_endian: bool },
    Utf32 { big_endian: bool },
}

/// Converts a payload in UTF-16 or UTF-32 to UTF-8, without its mark; `None` for any other.
#[inline]
pub(super) fn wide_to_utf8(payload: &[u8]) -> Option<Vec<u8>> {
    match payload {
        [0 | 0xFE | 0xFF, ..] | [_, 0, ..] => find(payload).map(|(wide, mark)| convert(&payload[mark..], wide)),
        _ => None,
    }
}

/// The length of the byte order mark at the beginning of the payload.
#[inline]
pub(super) fn mark_len(payload: &[u8]) -> usize {
    if payload.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 }
}

#[cold]
fn convert(text: &[u8], wide: Wide) -> Vec<u8> {
    let unit = |bytes: &[u8], big_endian: bool| {
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    };
    let text: String = match wide {
        Wide::Utf16 { big_endian } => {
            let units = text.chunks(2).map(|bytes| unit(bytes, big_endian) as u16);
            char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        Wide::Utf32 { big_endian } => {
            let chars = text.chunks(4).map(|bytes| char::from_u32(unit(bytes, big_endian)));
            chars.map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
    };
    text.into_bytes()
}

/// The wide encoding of a payload and the length of its mark.
#[cold]
fn find(payload: &[u8]) -> Option<(Wide, usize)> {
    Some(match payload {
        [0, 0, 0xFE, 0xFF, ..] => (Wide::Utf32 { big_endian: true }, 4),
        [0xFF, 0xFE, 0, 0, ..] => (Wide::Utf32 { big_endian: false }, 4),
        [0xFE, 0xFF, _, _, ..] => (Wide::Utf16 { big_endian: true }, 2),
        [0xFF, 0xFE, _, _, ..] => (Wide::Utf16 { big_endian: false }, 2),
        [0, 0, 0, _, ..] => (Wide::Utf32 { big_endian: true }, 0),
        [_, 0, 0, 0, ..] => (Wide::Utf32 { big_endian: false }, 0),
        [0, _, ..] => (Wide::Utf16 { big_endian: true }, 0),
        [_, 0, ..] => (Wide::Utf16 { big_endian: false }, 0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_encodings_are_found_with_and_without_a_mark() {
        let json = "{\"a\":\"\u{e9}\u{1f600}\"}";
        let utf16: Vec<u16> = json.encode_utf16().collect();
        let utf32: Vec<u32> = json.chars().map(u32::from).collect();
        let encodings: [(&[u8], Vec<u8>); 4] = [
            (b"\xFE\xFF", utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect()),
            (b"\xFF\xFE", utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect()),
            (b"\0\0\xFE\xFF", utf32.iter().flat_map(|unit| unit.to_be_bytes()).collect()),
            (b"\xFF\xFE\0\0", utf32.iter().flat_map(|unit| unit.to_le_bytes()).collect()),
        ];
        for (mark, payload) in encodings {
            assert_eq!(wide_to_utf8(&payload).unwrap(), json.as_bytes(), "{mark:?}");
            assert_eq!(wide_to_utf8(&[mark, &payload].concat()).unwrap(), json.as_bytes(), "{mark:?}");
        }
        for plain in [&b""[..], b"7", b"{}", b"\xEF\xBB\xBF{}", b"\xFE\xFF7"] {
            assert_eq!(wide_to_utf8(plain), None);
        }
    }

    #[test]
    fn halves_of_units_cost_a_character_and_nothing_else() {
        assert_eq!(wide_to_utf8(b"\0{\0}\xD8\0").unwrap(), "{}\u{fffd}".as_bytes());
        assert_eq!(wide_to_utf8(b"{\0}\0x").unwrap(), &b"{}x"[..]);
        assert_eq!(wide_to_utf8(b"\0\0\0{\0\0\xD8\0").unwrap(), "{\u{fffd}".as_bytes());
    }
}
