//! How long and how deep a schema may be.
//!
//! Separate because all parsers rely on it: some of them are recursive, and a text of a few kilobytes could otherwise
//! exhaust the stack.

use super::{InvalidSchema, Referenced};

/// How long the text of a schema may be, in bytes: what fits into a record of the log.
pub const TEXT_BYTES_MAX: usize = 900_000;

/// How long it may be with all that it refers to.
const TOTAL_BYTES_MAX: usize = 8 * TEXT_BYTES_MAX;

/// How deep brackets of `.proto` files may be nested. protoc allows 32 messages in each other.
const BRACKETS_MAX: usize = 64;

pub(crate) fn check_length(text: &str, references: &[Referenced]) -> Result<(), InvalidSchema> {
    let total = references.iter().map(|reference| reference.text.len()).sum::<usize>() + text.len();
    if text.len() > TEXT_BYTES_MAX {
        return Err(InvalidSchema(format!("the schema is longer than {TEXT_BYTES_MAX} bytes")));
    }
    if total > TOTAL_BYTES_MAX {
        return Err(InvalidSchema(format!("the schema and its references are longer than {TOTAL_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Rejects `.proto` files with too many brackets in each other. Those in comments and strings count for nothing; where
/// quotes are missing, it may take one for the other, and the file is rejected anyway.
pub(crate) fn check_brackets(text: &str) -> Result<(), InvalidSchema> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'/' if bytes.peek() == Some(&b'/') => {
                bytes.by_ref().find(|byte| *byte == b'\n');
            }
            b'/' if bytes.peek() == Some(&b'*') => {
                bytes.next();
                let mut last = 0;
                bytes.by_ref().find(|byte| std::mem::replace(&mut last, *byte) == b'*' && *byte == b'/');
            }
            b'"' | b'\'' => {
                while let Some(inner) = bytes.next().filter(|inner| *inner != byte && *inner != b'\n') {
                    if inner == b'\\' {
                        bytes.next();
                    }
                }
            }
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS_MAX {
            return Err(InvalidSchema(format!("more than {BRACKETS_MAX} brackets are nested in each other")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_comments_and_strings_count_for_nothing() {
        let many = "{".repeat(BRACKETS_MAX + 1);
        assert!(check_brackets(&many).is_err());
        assert!(check_brackets(&"{ }".repeat(1000)).is_ok());
        for around in [("// ", "\n"), ("/* ", " */"), ("\"", "\""), ("'\\'", "'")] {
            assert!(check_brackets(&format!("{}{many}{}{{", around.0, around.1)).is_ok(), "{around:?}");
            assert!(check_brackets(&format!("{}{}{many}", around.0, around.1)).is_err(), "{around:?}");
        }
    }
}
