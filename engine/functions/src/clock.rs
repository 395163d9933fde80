//! The time that UNIX_TIMESTAMP() and UNIX_DATE() return.
//!
//! Functions have no clock. A bounded query has one time, with which the planner replaces these functions. A
//! continuous query is driven with the current time: the driver evaluates it inside [`at`], and everything that is
//! evaluated on that thread in the meantime sees that time.

use std::cell::Cell;

thread_local! {
    static NOW_MS: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Evaluates at a time, in ms since the epoch.
pub fn at<R>(now_ms: i64, evaluate: impl FnOnce() -> R) -> R {
    let before = NOW_MS.replace(Some(now_ms));
    let result = evaluate();
    NOW_MS.set(before);
    result
}

/// The time passed to [`at`], in ms since the epoch.
pub fn now_ms() -> Option<i64> {
    NOW_MS.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_time_is_seen() {
        assert_eq!(now_ms(), None);
        let seen = at(1, || (now_ms(), at(2, now_ms), now_ms()));
        assert_eq!(seen, (Some(1), Some(2), Some(1)));
        assert_eq!(now_ms(), None);
    }
}
