//! The message of a panic.

use std::any::Any;

/// The message of a panic that was caught, or that ended a thread; some panics have none.
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn says_what_was_said() {
        let of = |panicking: fn()| words(catch_unwind(panicking).expect_err("it panics").as_ref()).to_owned();
        assert_eq!(of(|| panic!("as it is")), "as it is");
        assert_eq!(of(|| panic!("with {}", 1 + 1)), "with 2");
        assert_eq!(of(|| std::panic::panic_any(7)), "a panic without a message");
    }
}
