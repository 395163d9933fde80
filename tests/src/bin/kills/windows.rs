//! Aggregates over tumbling windows: by the key of the records, and by another key.
//!
//! What the tables must contain is computed from the input as another client reads it. Rows are late by the rule of the
//! engine: a row is not counted if the stream time of its partition has passed the end of its window and the grace period.

use std::collections::BTreeMap;
use std::error::Error;

use headwater_tests::scratch::Scratch;
use rdkafka::message::Message;
use serde_json::Value;

use crate::feed::Sent;
use crate::outputs;
use crate::trial::{PARTITIONS, Workload};
use crate::verdict::Verdict;

const SIZE_MS: i64 = 2_000;
const GRACE_MS: i64 = 1_000;
const DIGITS: i64 = 10;
/// Number of bytes of the start of the window, at the end of an output key.
const START_BYTES: usize = 8;

/// Two tables of counts and sums per window.
pub struct Windows {
    input: String,
    by_key: String,
    by_digit: String,
}

impl Workload for Windows {
    fn new(scratch: &Scratch) -> Self {
        let topic = |what| scratch.topic(what);
        Self { input: topic("input"), by_key: topic("by_key"), by_digit: topic("by_digit") }
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.by_key, &self.by_digit]
    }

    fn statements(&self) -> String {
        let Self { input, by_key, by_digit } = self;
        // The retention makes state expire during the trial.
        let window = format!(
            "WINDOW TUMBLING (SIZE {SIZE_MS} MILLISECONDS, RETENTION {} MILLISECONDS, GRACE PERIOD {GRACE_MS} MILLISECONDS)",
            SIZE_MS + GRACE_MS
        );
        format!(
            "CREATE STREAM input (k STRING KEY, n BIGINT, seq BIGINT)
               WITH (KAFKA_TOPIC = '{input}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
             CREATE TABLE by_key WITH (KAFKA_TOPIC = '{by_key}', PARTITIONS = {PARTITIONS}) AS
               SELECT k, COUNT(*) AS c, SUM(n) AS s FROM input {window} GROUP BY k EMIT CHANGES;
             CREATE TABLE by_digit WITH (KAFKA_TOPIC = '{by_digit}', PARTITIONS = {PARTITIONS}) AS
               SELECT n % {DIGITS} AS digit, COUNT(*) AS c, SUM(n) AS s FROM input {window} GROUP BY n % {DIGITS} EMIT CHANGES;\n"
        )
    }

    fn queries_and_reads(&self) -> (usize, usize) {
        (2, 2)
    }

    fn judge(&self, bootstrap: &str, _: &[Sent]) -> Result<Verdict, Box<dyn Error>> {
        let (mut by_key, mut by_digit) = (Table::default(), Table::default());
        let mut times = BTreeMap::new();
        outputs::read(bootstrap, &self.input, |record, _| {
            let Some(row) = input_row(record, &mut times) else { return };
            by_key.expect(row.key, row.start_ms, row.number);
            by_digit.expect((row.number % DIGITS).to_be_bytes().to_vec(), row.start_ms, row.number);
        })?;
        Ok(by_key.judge(bootstrap, &self.by_key)?.and(by_digit.judge(bootstrap, &self.by_digit)?))
    }
}

/// A record of the input that is counted.
struct InputRow {
    key: Vec<u8>,
    start_ms: i64,
    number: i64,
}

/// The row of a record; `None` if it is late. `times` are the stream times of the partitions.
fn input_row(record: &impl Message, times: &mut BTreeMap<i32, i64>) -> Option<InputRow> {
    let time_ms = record.timestamp().to_millis()?;
    let start_ms = time_ms - time_ms % SIZE_MS;
    let stream_time = times.entry(record.partition()).or_insert(time_ms);
    *stream_time = time_ms.max(*stream_time);
    let columns: Value = serde_json::from_slice(record.payload()?).ok()?;
    let number = columns["n"].as_i64()?;
    (*stream_time < start_ms + SIZE_MS + GRACE_MS).then(|| InputRow {
        key: record.key().unwrap_or_default().to_vec(),
        start_ms,
        number,
    })
}

/// A group, as the bytes of its key, and the start of a window.
type Group = (Vec<u8>, i64);

/// A count and a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    count: usize,
    sum: i64,
}

/// The groups and windows of one output, with what they must contain and what they contain.
#[derive(Default)]
struct Table {
    expected: BTreeMap<Group, Totals>,
    /// The latest row, and its partition.
    found: BTreeMap<Group, (Totals, i32)>,
    verdict: Verdict,
}

impl Table {
    fn expect(&mut self, group: Vec<u8>, start_ms: i64, number: i64) {
        let totals = self.expected.entry((group, start_ms)).or_default();
        totals.count += 1;
        totals.sum += number;
    }

    fn judge(mut self, bootstrap: &str, topic: &str) -> Result<Verdict, Box<dyn Error>> {
        outputs::read(bootstrap, topic, |record, address| {
            self.hear(output_row(record.key(), record.payload()), record.partition(), address);
        })?;
        Ok(self.close(topic))
    }

    /// The count of a group only grows, in one partition; a row with the same count is doubled.
    fn hear(&mut self, row: Option<(Group, Totals)>, partition: i32, address: &dyn Fn() -> String) {
        let Some((group, now)) = row else { return self.verdict.wrong(&row, address) };
        let Some((before, home)) = self.found.insert(group.clone(), (now, partition)) else { return };
        if before.count == now.count {
            self.verdict.doubled(&(show(&group), now), address);
        } else if before.count > now.count || home != partition {
            self.verdict.out_of_order(&(show(&group), now), &(before, home), address);
        }
    }

    /// Compares the latest row of each group with what it must be.
    fn close(mut self, topic: &str) -> Verdict {
        for (group, expected) in &self.expected {
            let found = self.found.remove(group).unwrap_or_default().0;
            self.verdict.records += found.count.min(expected.count);
            self.verdict.lost += expected.count.saturating_sub(found.count);
            self.verdict.doubled += found.count.saturating_sub(expected.count);
            self.verdict.wrong += usize::from(found.count == expected.count && found.sum != expected.sum);
            if found != *expected {
                self.verdict.add_example(|| format!("{topic}: {}, {found:?} instead of {expected:?}", show(group)));
            }
        }
        self.verdict.wrong += self.found.len();
        for (group, found) in &self.found {
            self.verdict.add_example(|| format!("{topic}: {}, {found:?} from no row", show(group)));
        }
        self.verdict
    }
}

fn show((key, start_ms): &Group) -> String {
    format!("{} at {start_ms}", key.escape_ascii())
}

/// A record of an output: the key ends with the start of the window.
fn output_row(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<(Group, Totals)> {
    let (group, start) = key?.split_last_chunk::<START_BYTES>()?;
    let columns: Value = serde_json::from_slice(value?).ok()?;
    let totals = Totals { count: usize::try_from(columns["C"].as_u64()?).ok()?, sum: columns["S"].as_i64()? };
    Some(((group.to_vec(), i64::from_be_bytes(*start)), totals))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One group that must end with a count of 2 and a sum of 7.
    fn judged(rows: &[(usize, i64, i32)]) -> String {
        let mut table = Table::default();
        table.expect(b"a".to_vec(), 2_000, 3);
        table.expect(b"a".to_vec(), 2_000, 4);
        for (count, sum, partition) in rows {
            let (key, value) =
                ([b"a".as_slice(), &2_000_i64.to_be_bytes()].concat(), format!(r#"{{"C":{count},"S":{sum}}}"#));
            table.hear(output_row(Some(&key), Some(value.as_bytes())), *partition, &String::new);
        }
        table.close("t").to_string()
    }

    #[test]
    fn growing_counts_are_good() {
        assert_eq!(judged(&[(2, 7, 0)]), "2 records, 0 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, 3, 0), (2, 7, 0)]), "2 records, 0 lost, 0 doubled, 0 out of order");
    }

    #[test]
    fn each_failure_is_reported() {
        assert_eq!(judged(&[]), "0 records, 2 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(2, 7, 0), (1, 3, 0)]), "1 records, 1 lost, 0 doubled, 1 out of order");
        assert_eq!(judged(&[(2, 7, 0), (2, 7, 0)]), "2 records, 0 lost, 1 doubled, 0 out of order");
        assert_eq!(judged(&[(1, 3, 0), (2, 7, 1)]), "2 records, 0 lost, 0 doubled, 1 out of order");
        assert_eq!(judged(&[(3, 9, 0)]), "2 records, 0 lost, 1 doubled, 0 out of order");
        assert_eq!(judged(&[(2, 8, 0)]), "2 records, 0 lost, 0 doubled, 0 out of order, 1 wrong");
    }

    #[test]
    fn a_row_from_nowhere_is_wrong() {
        let mut table = Table::default();
        table.hear(Some(((b"b".to_vec(), 0), Totals { count: 1, sum: 1 })), 0, &String::new);
        table.hear(output_row(Some(b"short"), None), 0, &String::new);
        assert_eq!(table.close("t").wrong, 2);
    }
}
