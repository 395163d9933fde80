//! The rules for topic names.
//!
//! Separate because the rules are Kafka's, and nothing else depends on them.

const NAME_BYTES_MAX: usize = 249;

/// Returns what is wrong with a topic name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Err("the topic name is empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("the topic name cannot be \"{name}\""));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the topic name is {} characters long; the maximum is {NAME_BYTES_MAX}", name.len()));
    }
    if !name.chars().all(legal) {
        return Err(format!(
            "the topic name \"{name}\" contains characters other than ASCII letters, digits, '.', '_' and '-'"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafka_s() {
        for name in ["a", "A.b_c-9", &"x".repeat(249)] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(250)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
