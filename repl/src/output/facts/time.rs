//! Formats the times in answers.

use chrono::{DateTime, SecondsFormat};

/// A time in ms since the epoch as date and time of day with milliseconds; `None` if it is outside the calendar.
pub(super) fn to_the_millisecond(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The same with seconds.
pub(super) fn to_the_second(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
