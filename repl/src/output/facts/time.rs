//! Times of answers in words.

use chrono::{DateTime, SecondsFormat};

/// A time in ms since the epoch as a date and a time of day with milliseconds; none for one that no calendar has.
pub(super) fn to_the_millisecond(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The same with seconds.
pub(super) fn to_the_second(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
