//! Which window each row belongs to, and which rows are late.

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
    /// Their indices in the batch.
    pub rows: Vec<u32>,
    /// The start of the window of each.
    pub starts: Vec<i64>,
    /// The rows that are late.
    pub late: Vec<Late>,
    /// Stream time after the batch.
    pub stream_time_ms: i64,
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

    /// When a window takes no rows any more, in stream time.
    fn close(self, start_ms: i64) -> i64 {
        self.end(start_ms).saturating_add(self.grace_ms)
    }

    /// Whether a window takes no rows any more. One that reaches the end of time never closes: it takes the row that makes
    /// stream time as late as can be.
    fn is_closed(self, start_ms: i64, stream_time_ms: i64) -> bool {
        let close = self.close(start_ms);
        close < i64::MAX && close <= stream_time_ms
    }

    /// Windows that start before this are not kept any longer.
    pub fn expired_before(self, stream_time_ms: i64) -> i64 {
        stream_time_ms.saturating_sub(self.retention_ms).saturating_add(1)
    }

    fn late(self, row: usize, start_ms: i64, stream_time_ms: i64) -> Late {
        let (end, close, grace) = (self.end(start_ms), self.close(start_ms), self.grace_ms);
        let window = format!("its window [{start_ms}, {end}) closed at stream time {close} (grace period {grace} ms)");
        let reason = format!("the row is late: {window}, and stream time is {stream_time_ms}");
        Late { row, reason }
    }
}

/// Gives the rows that `belongs` takes their windows, each at the stream time that it makes: a row can be late because of the
/// one before it, wherever batches are cut. Without windows, all are in window 0.
pub fn arrive(times: &[i64], belongs: impl Fn(usize) -> bool, windows: Option<Windows>, stream_time: i64) -> Arrived {
    let mut arrived = Arrived {
        rows: Vec::with_capacity(times.len()),
        starts: Vec::with_capacity(times.len()),
        late: Vec::new(),
        stream_time_ms: stream_time,
    };
    for ((row, at), time) in times.iter().enumerate().zip(0_u32..).map(|((row, time), at)| ((row, at), *time)) {
        if !belongs(row) {
            continue;
        }
        arrived.stream_time_ms = arrived.stream_time_ms.max(time);
        let start = match windows {
            None => 0,
            Some(windows) => {
                let start = windows.start(time);
                if windows.is_closed(start, arrived.stream_time_ms) {
                    arrived.late.push(windows.late(row, start, arrived.stream_time_ms));
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

    #[test]
    fn rows_are_late_by_the_time_that_they_make() {
        let arrived = arrive(&[5, 11, 9, 12, 9, 1, 40, -1], |row| row != 1, Some(WINDOWS), i64::MIN);
        assert_eq!(arrived.rows, [0, 2, 3, 6]);
        assert_eq!(arrived.starts, [0, 0, 10, 40]);
        assert_eq!(arrived.late.iter().map(|late| late.row).collect::<Vec<_>>(), [4, 5, 7]);
        let reason =
            "the row is late: its window [-10, 0) closed at stream time 2 (grace period 2 ms), and stream time is 40";
        assert_eq!(arrived.late[2].reason, reason);
        assert_eq!(arrived.stream_time_ms, 40);
        assert_eq!(WINDOWS.expired_before(40), 11, "window 10 is kept for 30 ms after its start");
    }

    #[test]
    fn no_time_is_too_far_away() {
        let arrived = arrive(&[i64::MIN, i64::MAX], |_| true, Some(WINDOWS), i64::MIN);
        assert_eq!(arrived.rows, [0, 1], "a row is not late by its own time");
        let arrived = arrive(&[i64::MAX, i64::MIN], |_| true, None, 7);
        assert_eq!((arrived.starts, arrived.stream_time_ms), (vec![0, 0], i64::MAX));
    }
}
