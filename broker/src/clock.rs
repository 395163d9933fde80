//! The broker's only clock.
//!
//! Apart so that everything still takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in ms since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
