//! The windows of an aggregation: which ones a row belongs to, and when they close and expire.

use headwater_language::definition::WindowDef;
use headwater_language::topology::AggregateWindow;

/// The windows of an aggregation.
#[derive(Clone, Copy, Debug)]
pub enum Windows {
    /// Tumbling and hopping windows.
    Time(TimeWindows),
    /// Session windows.
    Session(SessionWindows),
}

/// Windows of one size that start every `advance_ms`. Those of TUMBLING start where the one before ends.
#[derive(Clone, Copy, Debug)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
    retention_ms: i64,
}

/// Sessions, which end when no row follows within the gap.
#[derive(Clone, Copy, Debug)]
pub struct SessionWindows {
    gap_ms: i64,
    grace_ms: i64,
    retention_ms: i64,
}

impl Windows {
    /// The windows of an aggregation; `None` if a length is missing or not valid.
    pub fn new(window: AggregateWindow) -> Option<Self> {
        let AggregateWindow { def, advance_ms, gap_ms, grace_ms, retention_ms } = window;
        let time = |size_ms: i64, advance_ms: i64| {
            let windows = TimeWindows { size_ms, advance_ms, grace_ms, retention_ms };
            (0 < advance_ms && advance_ms <= size_ms).then_some(Self::Time(windows))
        };
        match def {
            WindowDef::Tumbling(size_ms) => time(size_ms, size_ms),
            WindowDef::Hopping(size_ms) => time(size_ms, advance_ms?),
            WindowDef::Session => {
                let gap_ms = gap_ms.filter(|gap_ms| *gap_ms > 0)?;
                Some(Self::Session(SessionWindows { gap_ms, grace_ms, retention_ms }))
            }
        }
    }
}

impl TimeWindows {
    /// The starts of the windows of a time, in ascending order. Those that would start before the epoch are left out, unless the
    /// time is before it, too.
    pub fn starts(self, time_ms: i64) -> impl Iterator<Item = i64> {
        let since = time_ms.rem_euclid(self.advance_ms);
        let last = time_ms.saturating_sub(since);
        let earlier = (self.size_ms - since - 1) / self.advance_ms;
        let earlier = if time_ms >= 0 { earlier.min(last / self.advance_ms) } else { earlier };
        let start = move |steps: i64| if steps == 0 { Some(last) } else { last.checked_sub(steps * self.advance_ms) };
        (0..=earlier).rev().filter_map(start)
    }

    /// The end of the window with a start.
    pub fn end(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.size_ms)
    }

    /// When a window stops accepting rows, in stream time; `None` if that is later than any time.
    pub fn close(self, start_ms: i64) -> Option<i64> {
        start_ms.checked_add(self.size_ms)?.checked_add(self.grace_ms)
    }

    /// Windows that start at this time or later are kept at a stream time, both in ms since the epoch.
    pub fn kept_from(self, stream_time_ms: i64) -> i64 {
        kept_from(stream_time_ms, self.retention_ms)
    }

    /// When a window is no longer kept, in stream time; `None` if that is later than any time.
    pub fn expiry(self, start_ms: i64) -> Option<i64> {
        start_ms.checked_add(self.retention_ms)
    }

    /// A window, in words.
    pub fn name(self, start_ms: i64) -> String {
        let which = if self.advance_ms < self.size_ms { "last window" } else { "window" };
        format!("its {which} [{start_ms}, {})", self.end(start_ms))
    }

    /// Why a row is late, whose window closed at `close_ms`.
    pub fn late(self, start_ms: i64, close_ms: i64, stream_time_ms: i64) -> String {
        late(&self.name(start_ms), close_ms, self.grace_ms, stream_time_ms)
    }
}

impl SessionWindows {
    /// The longest time between two rows of a session, in ms.
    pub fn gap_ms(self) -> i64 {
        self.gap_ms
    }

    /// When a session with this end closes, in stream time: that is the last time at which it accepts rows; `None` if it is later
    /// than any time.
    pub fn close(self, end_ms: i64) -> Option<i64> {
        end_ms.checked_add(self.gap_ms)?.checked_add(self.grace_ms)
    }

    /// When a session with this end is no longer kept, in stream time; `None` if that is later than any time.
    pub fn expiry(self, end_ms: i64) -> Option<i64> {
        end_ms.checked_add(self.retention_ms)
    }

    /// Sessions that start at this time or later, and so end no earlier, are kept at a stream time, both in ms since the epoch.
    pub fn kept_from(self, stream_time_ms: i64) -> i64 {
        kept_from(stream_time_ms, self.retention_ms)
    }

    /// Why a row is late, whose session closed at `close_ms`.
    pub fn late(self, [start_ms, end_ms]: [i64; 2], close_ms: i64, stream_time_ms: i64) -> String {
        late(&format!("its session [{start_ms}, {end_ms}]"), close_ms, self.grace_ms, stream_time_ms)
    }
}

fn kept_from(stream_time_ms: i64, retention_ms: i64) -> i64 {
    stream_time_ms.checked_sub(retention_ms).map_or(i64::MIN, |start| start.saturating_add(1))
}

fn late(window: &str, close_ms: i64, grace_ms: i64, stream_time_ms: i64) -> String {
    let closed = format!("{window} closed at stream time {close_ms} (grace period {grace_ms} ms)");
    format!("the row is late: {closed}, and stream time is {stream_time_ms}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUMBLING: TimeWindows = TimeWindows { size_ms: 10, advance_ms: 10, grace_ms: 2, retention_ms: 30 };
    const HOPPING: TimeWindows = TimeWindows { advance_ms: 4, ..TUMBLING };

    fn starts(windows: TimeWindows, time_ms: i64) -> Vec<i64> {
        windows.starts(time_ms).collect()
    }

    #[test]
    fn a_row_is_in_each_window_that_has_its_time() {
        assert_eq!([0, 9, 10, -1].map(|time| starts(TUMBLING, time)), [[0], [0], [10], [-10]]);
        assert_eq!(starts(HOPPING, 25), [16, 20, 24]);
        assert_eq!(starts(HOPPING, 26), [20, 24]);
        assert_eq!(starts(HOPPING, 5), [0, 4], "the window that starts before the epoch is left out");
        assert_eq!(starts(HOPPING, -1), [-8, -4]);
        assert_eq!(starts(TimeWindows { advance_ms: 1, ..HOPPING }, 100).len(), 10);
    }

    #[test]
    fn a_window_that_ends_beyond_all_times_never_closes() {
        assert_eq!((TUMBLING.close(0), TUMBLING.expiry(0)), (Some(12), Some(30)));
        assert_eq!(starts(TUMBLING, i64::MAX), [i64::MAX - 7]);
        assert_eq!(TUMBLING.close(i64::MAX - 7), None);
        assert_eq!(starts(TUMBLING, i64::MIN), [i64::MIN]);
        assert_eq!(starts(HOPPING, i64::MIN), [i64::MIN]);
    }
}
