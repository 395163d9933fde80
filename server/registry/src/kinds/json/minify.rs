//! Removes the white space of a JSON text and leaves everything else as it is, numbers of any size included.
//!
//! Separate because it works on the text, which parsing and writing it again would change.

/// The text without white space outside of strings. The text must be valid.
pub(super) fn minify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::minify;

    #[test]
    fn strings_and_numbers_stay_as_they_are() {
        let text = "{ \"a b\\\" \" : [ 1.00, 123456789012345678901234567890 ,\n\t\"\\\\\" , \"x\" ] }";
        assert_eq!(minify(text), r#"{"a b\" ":[1.00,123456789012345678901234567890,"\\","x"]}"#);
    }
}
