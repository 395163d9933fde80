//! The summary below a result: rows, time, what was read, and what could not be read.

use std::time::Duration;

use headwater_connectors::transport::Lost;
use headwater_engine::answer::Snapshot;

/// The lines below a result: always one; more if records were rejected, lost or not rows, or if values could not be
/// computed.
pub fn summary(
    rows: u64,
    elapsed: Duration,
    read: Snapshot,
    first_failure: Option<&str>,
    lost: &[Lost],
) -> Vec<String> {
    let mut first = format!("{} in {}", counted(rows, "row"), seconds(elapsed));
    if read.records_read > 0 {
        first.push_str(&format!("; read {}", counted(read.records_read, "record")));
        if let Some(rate) = rate(read.records_read, elapsed) {
            first.push_str(&format!(" ({}/s)", grouped(rate)));
        }
    }
    let mut lines = vec![first];
    lines.extend(lost.iter().map(|lost| format!("incomplete result: {lost}")));
    if read.rejects > 0 {
        let verb = if read.rejects == 1 { "was" } else { "were" };
        lines.push(format!("{} {verb} rejected; SHOW REJECTS; lists them", counted(read.rejects, "record")));
    }
    for (records, part, of) in [(read.valueless, "value", "stream"), (read.keyless, "key", "table")] {
        if records > 0 {
            let verb = if records == 1 { "is not a row" } else { "are not rows" };
            lines.push(format!("{} without a {part} {verb} of a {of}", counted(records, "record")));
        }
    }
    if let Some(reason) = first_failure.filter(|_| read.failures > 0) {
        let (failed, verb) = (counted(read.failures, "value"), if read.failures == 1 { "is" } else { "are" });
        lines.push(format!("{failed} could not be computed and {verb} NULL; the first: {reason}"));
    }
    lines
}

/// Records per second, rounded; `None` if the time is too short.
pub fn rate(records: u64, elapsed: Duration) -> Option<u64> {
    let ms = elapsed.as_millis();
    if ms == 0 {
        return None;
    }
    u64::try_from((u128::from(records) * 1_000 + ms / 2) / ms).ok()
}

/// A number of things: `1 row`, `1,200 rows`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with thousands separators: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::LossCause;
    use headwater_formats::record::TopicPartition;

    use super::*;

    #[test]
    fn a_summary_in_words() {
        let partition = TopicPartition::new("orders", 2);
        let lost = Lost { partition, cause: LossCause::Deleted, from: 40, to: 100 };
        let read =
            Snapshot { records_read: 50_000, rejects: 3, valueless: 1, keyless: 2, failures: 2, ..Snapshot::default() };
        assert_eq!(
            summary(1, Duration::from_millis(500), read, Some("division by zero"), &[lost]),
            [
                "1 row in 0.500 s; read 50,000 records (100,000/s)",
                "incomplete result: 60 offsets of orders[2] lost (40 to 99): deleted before being read",
                "3 records were rejected; SHOW REJECTS; lists them",
                "1 record without a value is not a row of a stream",
                "2 records without a key are not rows of a table",
                "2 values could not be computed and are NULL; the first: division by zero"
            ]
        );
        assert_eq!(summary(0, Duration::ZERO, Snapshot::default(), None, &[]), ["0 rows in 0.000 s"]);
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
