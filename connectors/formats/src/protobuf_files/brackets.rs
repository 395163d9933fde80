//! How deep brackets of a `.proto` file are nested. Compilers follow some of them by recursion (the values of options), so
//! that a text of a few kilobytes could exhaust the stack.

/// How deep brackets may be nested. `protoc` allows 32 messages in each other.
const NESTED_MAX: usize = 64;

/// Rejects a text whose brackets are nested too deep. Those in comments and strings do not count; where the end of one is
/// missing, or comments are nested, this may see fewer of them than the compiler, which rejects such a text before it
/// follows them. The values of options may have comments with `#`, too, and those are comments everywhere for the compiler.
pub fn check(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'#', _) | (b'/', Some(b'/')) => {
                bytes.by_ref().find(|byte| *byte == b'\n');
            }
            (b'/', Some(b'*')) => {
                bytes.next();
                let mut last = 0;
                bytes.by_ref().find(|byte| std::mem::replace(&mut last, *byte) == b'*' && *byte == b'/');
            }
            (b'"' | b'\'', _) => {
                while let Some(inner) = bytes.next().filter(|inner| *inner != byte && *inner != b'\n') {
                    if inner == b'\\' {
                        bytes.next();
                    }
                }
            }
            (b'{' | b'[' | b'(' | b'<', _) => depth += 1,
            (b'}' | b']' | b')' | b'>', _) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTED_MAX {
            return Err(format!("the schema is nested more than {NESTED_MAX} levels deep"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_comments_and_strings_do_not_count() {
        let many = "{".repeat(NESTED_MAX + 1);
        assert!(check(&many).is_err());
        assert!(check(&"{ }".repeat(1000)).is_ok());
        for around in [("// ", "\n"), ("# /* \" ", "\n"), ("/* \n' // ", " **/"), ("\"", "\""), ("'\\'", "'")] {
            assert!(check(&format!("{}{many}{}{{", around.0, around.1)).is_ok(), "{around:?}");
            assert!(check(&format!("{}{}{many}", around.0, around.1)).is_err(), "{around:?}");
        }
    }
}
