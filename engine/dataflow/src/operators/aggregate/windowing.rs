//! Assigns rows to windows, and finds the rows that are late.

use headwater_language::definition::WindowDef;
use headwater_language::topology::AggregateWindow;

use crate::operator::Late;

/// Tumbling windows.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    size_ms: i64,
    grace_ms: i64,
    retention_ms: i64,
}

/// The rows of a batch that belong to a group.
#[derive(Debug)]
pub struct Arrived {
    /// The index of each row in the batch.
    pub rows: Vec<u32>,
    /// The start of each row's window.
    pub starts: Vec<i64>,
    /// The rows that are late.
    pub late: Vec<Late>,
}

impl Windows {
    /// The windows of an aggregation; `None` if they are not tumbling, or have no size.
    pub fn new(window: AggregateWindow) -> Option<Self> {
        let AggregateWindow { def, grace_ms, retention_ms } = window;
        match def {
            WindowDef::Tumbling(size_ms) if size_ms > 0 => Some(Self { size_ms, grace_ms, retention_ms }),
            _ => None,
        }
    }

    /// The start of the window of a time.
    fn start(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(self.size_ms))
    }

    /// The end of the window with a start.
    pub fn end(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.size_ms)
    }

    /// When a window stops accepting rows, in stream time; `None` if that is later than any time.
    fn close(self, start_ms: i64) -> Option<i64> {
        start_ms.checked_add(self.size_ms)?.checked_add(self.grace_ms)
    }

    /// Windows that start before this are no longer kept.
    pub fn expired_before(self, stream_time_ms: i64) -> i64 {
        stream_time_ms.checked_sub(self.retention_ms).map_or(i64::MIN, |start| start.saturating_add(1))
    }

    fn late(self, row: usize, start_ms: i64, (close, stream_time_ms): (i64, i64)) -> Late {
        let (end, grace) = (self.end(start_ms), self.grace_ms);
        let window = format!("its window [{start_ms}, {end}) closed at stream time {close} (grace period {grace} ms)");
        let reason = format!("the row is late: {window}, and stream time is {stream_time_ms}");
        Late { row, reason }
    }
}

/// Assigns the rows for which `belongs` is true to their windows. `clock` advances stream time by a row, so a row can be late
/// because of the one before it, wherever batches are cut. Without windows, all rows are in window 0.
pub fn arrive(
    times: &[i64],
    belongs: impl Fn(usize) -> bool,
    windows: Option<Windows>,
    mut clock: impl FnMut(usize) -> i64,
) -> Arrived {
    let (rows, starts) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
    let mut arrived = Arrived { rows, starts, late: Vec::new() };
    for ((row, at), time) in times.iter().enumerate().zip(0_u32..).map(|((row, time), at)| ((row, at), *time)) {
        if !belongs(row) {
            continue;
        }
        let stream_time_ms = clock(row);
        let start = match windows {
            None => 0,
            Some(windows) => {
                let start = windows.start(time);
                if let Some(close) = windows.close(start).filter(|close| *close <= stream_time_ms) {
                    arrived.late.push(windows.late(row, start, (close, stream_time_ms)));
                    continue;
                }
                start
            }
        };
        arrived.rows.push(at);
        arrived.starts.push(start);
    }
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { size_ms: 10, grace_ms: 2, retention_ms: 30 };

    /// A clock that starts at a time.
    fn clock(times: &[i64], start: i64) -> impl FnMut(usize) -> i64 {
        let mut now = start;
        move |row| {
            now = now.max(times[row]);
            now
        }
    }

    #[test]
    fn rows_are_late_by_the_time_that_they_make() {
        let times = [5, 11, 9, 12, 9, 1, 40, -1];
        let arrived = arrive(&times, |row| row != 1, Some(WINDOWS), clock(&times, i64::MIN));
        assert_eq!(arrived.rows, [0, 2, 3, 6]);
        assert_eq!(arrived.starts, [0, 0, 10, 40]);
        assert_eq!(arrived.late.iter().map(|late| late.row).collect::<Vec<_>>(), [4, 5, 7]);
        let reason =
            "the row is late: its window [-10, 0) closed at stream time 2 (grace period 2 ms), and stream time is 40";
        assert_eq!(arrived.late[2].reason, reason);
        assert_eq!(WINDOWS.expired_before(40), 11, "window 10 is kept for 30 ms after its start");
    }

    #[test]
    fn a_window_that_ends_beyond_all_times_never_closes() {
        let times = [i64::MIN, i64::MAX, i64::MAX, i64::MAX - 9];
        let arrived = arrive(&times, |_| true, Some(WINDOWS), clock(&times, i64::MIN));
        assert_eq!(arrived.rows, [0, 1, 2]);
        assert_eq!(arrived.starts[1..], [i64::MAX - 7, i64::MAX - 7]);
        assert_eq!(WINDOWS.expired_before(i64::MIN), i64::MIN, "the first window is kept");
        assert_eq!(WINDOWS.expired_before(i64::MIN + 30), i64::MIN + 1);
        let arrived = arrive(&[i64::MAX, i64::MIN], |_| true, None, |_| i64::MAX);
        assert_eq!(arrived.starts, [0, 0]);
    }
}
