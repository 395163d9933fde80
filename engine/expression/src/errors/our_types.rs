//! Replaces the names of Arrow's types in a message with the dialect's.

use datafusion::arrow::datatypes::DataType;
use headwater_language::types::type_name;

/// A message of DataFusion with the dialect's type names. Quoted parts are left unchanged.
pub fn with_our_types(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let foreign = if in_word || !first.is_ascii_uppercase() { None } else { leading_type(rest) };
        let taken = match (&foreign, first) {
            (Some((_, length)), _) => *length,
            (None, '\'' | '"') if !in_word => rest[1..].find(first).map_or(1, |end| end + 2),
            (None, _) => first.len_utf8(),
        };
        out.push_str(foreign.as_ref().map_or(&rest[..taken], |(name, _)| name));
        in_word = rest[..taken].chars().next_back().is_some_and(char::is_alphanumeric);
        rest = &rest[taken..];
    }
    out
}

/// The type at the start of a text, named as in the dialect, and the length of its original name.
fn leading_type(text: &str) -> Option<(String, usize)> {
    let word = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let whole = text[word..].starts_with('(').then(|| closing(text)).flatten();
    for length in whole.into_iter().chain([word]) {
        if &text[..length] == "String" {
            return Some(("STRING".to_owned(), length));
        }
        if let Ok(ty) = text[..length].parse::<DataType>() {
            return Some((type_name(&ty), length));
        }
    }
    None
}

/// The length up to and including the parenthesis that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at + 1),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_types_are_told_as_ours() {
        for (foreign, ours) in [
            ("has type Int32 has type Utf8", "has type INTEGER has type STRING"),
            ("not Decimal128(9, 2) is", "not DECIMAL(9, 2) is"),
            ("a Struct(\"X\": Int32) here", "a STRUCT<`X` INTEGER> here"),
            ("'Int32' and \"Utf8\" stay, and so does XInt32", "'Int32' and \"Utf8\" stay, and so does XInt32"),
        ] {
            assert_eq!(with_our_types(foreign), ours);
        }
    }
}
