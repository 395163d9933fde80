//! Texts of any length, shortened to a maximum number of bytes.

/// The maximum number of bytes of a reason or an expression.
const BYTES_MAX: usize = 1_024;

/// The text itself, or if it is too long, its beginning with a note of its length.
///
/// Reasons quote values, which may be megabytes long; a reason must fit into every topic, header and line to which it
/// is written.
pub fn shortened(text: String) -> String {
    if text.len() <= BYTES_MAX {
        return text;
    }
    let length = text.len();
    let mut kept = text;
    kept.truncate(kept.floor_char_boundary(BYTES_MAX));
    kept.push_str(&format!("… ({length} bytes in all)"));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_at_a_character_and_say_how_long_they_were() {
        let exact = "x".repeat(BYTES_MAX);
        assert_eq!(shortened(exact.clone()), exact);
        let long = "ä".repeat(BYTES_MAX);
        assert_eq!(shortened(long), format!("{}… (2048 bytes in all)", "ä".repeat(BYTES_MAX / 2)));
        assert_eq!(shortened("a".to_owned() + &"ä".repeat(BYTES_MAX)).chars().filter(|c| *c == 'ä').count(), 511);
    }
}
