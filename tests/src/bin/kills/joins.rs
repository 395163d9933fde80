//! Joins: a stream with another one, and a stream with a table that changes all the time.
//!
//! What the outputs must contain is computed from the inputs as another client reads them (`pairs`, `versions`). The
//! grace period is so long that no row is late.

use std::collections::BTreeMap;
use std::error::Error;

use headwater_tests::scratch::Scratch;
use rdkafka::message::Message;
use serde_json::Value;

use crate::feed::{DISORDER_MS_MAX, LATE_MS, Sent};
use crate::outputs;
use crate::pairs::Pairs;
use crate::trial::Workload;
use crate::verdict::Verdict;
use crate::versions::Versions;

/// Rows of the two streams match if their times differ by at most this.
pub const WITHIN_MS: i64 = 1_000;
/// The grace period: longer than any record is late. How far one of two processes is behind the other one does not matter: whether a
/// row is late depends on the partitions with its own number.
pub const GRACE_MS: i64 = 7_000;
const _: () = assert!(GRACE_MS as u64 > LATE_MS + DISORDER_MS_MAX);

/// A stream-stream join and a stream-table join of the same left stream.
pub struct Joins {
    left: String,
    right: String,
    table: String,
    matched: String,
    looked_up: String,
}

impl Workload for Joins {
    fn new(scratch: &Scratch) -> Self {
        let topic = |what| scratch.topic(what);
        let (left, right, table) = (topic("left"), topic("right"), topic("table"));
        Self { left, right, table, matched: topic("matched"), looked_up: topic("looked_up") }
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.left, &self.right, &self.table]
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.matched, &self.looked_up]
    }

    fn statements(&self) -> String {
        let Self { left, right, table, matched, looked_up } = self;
        let of = |topic| format!("WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON')");
        let (left, right, table) = (of(left), of(right), of(table));
        format!(
            "CREATE STREAM l (k STRING KEY, n BIGINT) {left};
             CREATE STREAM r (k STRING KEY, n BIGINT) {right};
             CREATE TABLE t (k STRING PRIMARY KEY, n BIGINT) {table};
             CREATE STREAM matched WITH (KAFKA_TOPIC = '{matched}') AS
               SELECT l.k AS k, l.n AS l, r.n AS r FROM l
               LEFT JOIN r WITHIN {WITHIN_MS} MILLISECONDS GRACE PERIOD {GRACE_MS} MILLISECONDS ON l.k = r.k EMIT CHANGES;
             CREATE STREAM looked_up WITH (KAFKA_TOPIC = '{looked_up}') AS
               SELECT l.k AS k, l.n AS l, t.n AS r FROM l LEFT JOIN t ON l.k = t.k EMIT CHANGES;\n"
        )
    }

    fn queries_and_reads(&self) -> (usize, usize) {
        (2, 4)
    }

    fn judge(&self, bootstrap: &str, _: &[Sent]) -> Result<Verdict, Box<dyn Error>> {
        let read = |topic| read_input(bootstrap, topic);
        let (left, right, table) = (read(&self.left)?, read(&self.right)?, read(&self.table)?);
        let (mut pairs, mut versions) = (Pairs::new(&left, &right), Versions::new(&left, &table));
        read_output(bootstrap, &self.matched, |row, address| pairs.hear(row, address))?;
        read_output(bootstrap, &self.looked_up, |row, address| versions.hear(row, address))?;
        Ok(pairs.close(&self.matched).and(versions.close(&self.looked_up)))
    }
}

/// A record of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Its partition.
    pub partition: i32,
    /// Its timestamp.
    pub time_ms: i64,
}

/// The records of an input, by their numbers.
pub type Input = BTreeMap<i64, InputRow>;

/// A row of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRow {
    /// Its key.
    pub key: Vec<u8>,
    /// The number of the left record.
    pub left: i64,
    /// The number of the right record, if there is one.
    pub right: Option<i64>,
}

fn read_input(bootstrap: &str, topic: &str) -> Result<Input, Box<dyn Error>> {
    let mut input = Input::new();
    outputs::read(bootstrap, topic, |record, _| {
        let time_ms = record.timestamp().to_millis().unwrap_or_default();
        let row = InputRow { key: record.key().unwrap_or_default().to_vec(), partition: record.partition(), time_ms };
        input.extend(columns(record).and_then(|columns| Some((columns["n"].as_i64()?, row))));
    })?;
    Ok(input)
}

/// Passes each row of an output and its address to `hear`; `None` is a record that is not a row.
fn read_output(
    bootstrap: &str,
    topic: &str,
    mut hear: impl FnMut(Option<OutputRow>, &dyn Fn() -> String),
) -> Result<(), Box<dyn Error>> {
    outputs::read(bootstrap, topic, |record, address| {
        let row = columns(record).and_then(|columns| {
            let key = record.key()?.to_vec();
            Some(OutputRow { key, left: columns["L"].as_i64()?, right: columns["R"].as_i64() })
        });
        hear(row, address);
    })
}

fn columns(record: &impl Message) -> Option<Value> {
    serde_json::from_slice(record.payload()?).ok()
}

#[cfg(test)]
pub mod for_tests {
    //! Inputs for the tests of the judges.

    use super::{Input, InputRow};

    /// Rows of one key in one partition, as (number, time in ms).
    pub fn input(rows: &[(i64, i64)]) -> Input {
        let row = |time_ms| InputRow { key: b"k".to_vec(), partition: 0, time_ms };
        rows.iter().map(|(number, time_ms)| (*number, row(*time_ms))).collect()
    }
}
