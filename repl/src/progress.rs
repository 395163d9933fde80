//! The progress line of a long scan: records, rate, percentage, remaining time.

use std::time::Duration;

use headwater_engine::answer::Snapshot;

use crate::output::summary::{counted, grouped, rate};

/// How long a query runs before its progress is shown.
pub const QUIET_AT_FIRST: Duration = Duration::from_millis(500);
/// How often the line is redrawn.
pub const PERIOD: Duration = Duration::from_millis(150);

/// The line at one moment; `None` while there is nothing useful to show.
pub fn line(read: Snapshot, elapsed: Duration) -> Option<String> {
    if elapsed < QUIET_AT_FIRST || read.records_read == 0 {
        return None;
    }
    let mut line = counted(read.records_read, "record");
    if let Some(rate) = rate(read.records_read, elapsed) {
        line.push_str(&format!(", {}/s", grouped(rate)));
    }
    if let Some(share) = share(read) {
        line.push_str(&format!(", {:.0} %", share * 100.0));
        if share > 0.0 && share < 1.0 {
            line.push_str(&format!(", {} left", time(elapsed.as_secs_f64() * (1.0 - share) / share)));
        }
    }
    Some(line)
}

/// The fraction of the range that was read, from 0 to 1; `None` if the range is not known.
fn share(read: Snapshot) -> Option<f64> {
    // Counts are far below 2^53, and the percentage needs only two digits.
    #[allow(clippy::cast_precision_loss)]
    let share = |done: u64, total: u64| done as f64 / total as f64;
    (read.offsets_total > 0).then(|| share(read.offsets_done.min(read.offsets_total), read.offsets_total))
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round();
    if !(0.0..360_000.0).contains(&seconds) {
        return "days".into();
    }
    let minutes = (seconds / 60.0).floor();
    if minutes < 1.0 { format!("{seconds} s") } else { format!("{minutes} min {} s", seconds - minutes * 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records_read: u64, offsets_done: u64, offsets_total: u64) -> Snapshot {
        Snapshot { records_read, offsets_done, offsets_total, ..Snapshot::default() }
    }

    #[test]
    fn the_line_at_various_moments() {
        let line = |records, done, total, ms| line(read(records, done, total), Duration::from_millis(ms));
        assert_eq!(line(1_000, 10, 100, 499), None);
        assert_eq!(line(0, 0, 100, 900), None);
        let text = |records, done, total, ms| line(records, done, total, ms).unwrap();
        assert_eq!(text(1_200_000, 25, 100, 2_000), "1,200,000 records, 600,000/s, 25 %, 6 s left");
        assert_eq!(text(10, 1, 1_000, 1_000), "10 records, 10/s, 0 %, 16 min 39 s left");
        assert_eq!(text(10, 100, 100, 1_000), "10 records, 10/s, 100 %");
        assert_eq!(text(10, 120, 100, 1_000), "10 records, 10/s, 100 %");
        assert_eq!(text(10, 0, 0, 1_000), "10 records, 10/s");
        assert_eq!(text(10, 1, u64::MAX, 1_000), "10 records, 10/s, 0 %, days left");
    }
}
