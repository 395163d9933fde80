//! Positions in texts in UTF-16 code units, as in Java.

/// The number of UTF-16 code units.
pub fn len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// The byte at which a unit begins. The second half of a character is where the character ends; a unit
/// past the end is the end.
pub fn byte_of(text: &str, unit: usize) -> usize {
    if text.is_ascii() {
        return unit.min(text.len());
    }
    let mut units = 0;
    for (byte, char) in text.char_indices() {
        if units >= unit {
            return byte;
        }
        units += char.len_utf16();
    }
    text.len()
}

/// The unit that begins at a byte.
pub fn unit_of(text: &str, byte: usize) -> usize {
    len(&text[..byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_beyond_the_first_plane_count_two() {
        let text = "aä𝄞b";
        assert_eq!(len(text), 5);
        assert_eq!([0, 1, 2, 3, 4, 5, 9].map(|unit| byte_of(text, unit)), [0, 1, 3, 7, 7, 8, 8]);
        assert_eq!([0, 1, 3, 7, 8].map(|byte| unit_of(text, byte)), [0, 1, 2, 4, 5]);
    }
}
