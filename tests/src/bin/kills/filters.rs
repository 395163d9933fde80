//! Judges the output of a filter: an independent read_committed reader reads it from its start, and every record is
//! compared with what was sent.

use std::collections::BTreeMap;
use std::error::Error;

use headwater_tests::scratch::Scratch;
use rdkafka::message::Message as _;
use serde_json::Value;

use crate::feed::{Sent, key_text};
use crate::outputs;
use crate::trial::Workload;
use crate::verdict::Verdict;

/// The first query keeps numbers that are not divisible by this.
const DROPPED_DIVISOR: usize = 7;

/// A filter, and a query that gives its output another key.
pub struct Filters {
    input: String,
    kept: String,
    regrouped: String,
}

impl Workload for Filters {
    fn new(scratch: &Scratch) -> Self {
        let topic = |what| scratch.topic(what);
        Self { input: topic("input"), kept: topic("kept"), regrouped: topic("regrouped") }
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.kept, &self.regrouped]
    }

    fn statements(&self) -> String {
        let Self { input, kept, regrouped } = self;
        format!(
            "CREATE STREAM input (k STRING KEY, n BIGINT, seq BIGINT)
               WITH (KAFKA_TOPIC = '{input}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
             CREATE STREAM kept WITH (KAFKA_TOPIC = '{kept}') AS
               SELECT k, n, seq, ROWPARTITION AS p, ROWOFFSET AS o FROM input WHERE n % {DROPPED_DIVISOR} <> 0;
             CREATE STREAM regrouped WITH (KAFKA_TOPIC = '{regrouped}') AS
               SELECT n % 10 AS digit, k, n, seq, p, o FROM kept PARTITION BY n % 10;\n"
        )
    }

    fn queries_and_reads(&self) -> (usize, usize) {
        (2, 2)
    }

    fn judge(&self, bootstrap: &str, sent: &[Sent]) -> Result<Verdict, Box<dyn Error>> {
        Ok(judge(bootstrap, &self.kept, sent)?.and(judge(bootstrap, &self.regrouped, sent)?))
    }
}

/// Reads an output up to what is committed now and judges it.
fn judge(bootstrap: &str, topic: &str, sent: &[Sent]) -> Result<Verdict, Box<dyn Error>> {
    let mut trial = Trial::new(sent);
    outputs::read(bootstrap, topic, |record, address| {
        trial.hear(row(record.key(), record.payload()), record.partition(), address);
    })?;
    Ok(trial.close(topic))
}

/// The state of an output while it is read.
struct Trial<'a> {
    sent: &'a [Sent],
    seen: Vec<bool>,
    /// The latest sequence number of each key in each partition of the output.
    latest: BTreeMap<(i32, usize), usize>,
    verdict: Verdict,
}

/// A record of an output: the columns of the query.
#[derive(Debug, PartialEq)]
struct Row {
    number: usize,
    seq: usize,
    partition: i64,
    offset: i64,
    key: String,
}

impl<'a> Trial<'a> {
    fn new(sent: &'a [Sent]) -> Self {
        Self { sent, seen: vec![false; sent.len()], latest: BTreeMap::new(), verdict: Verdict::default() }
    }

    fn hear(&mut self, row: Option<Row>, partition: i32, address: &dyn Fn() -> String) {
        let known =
            row.as_ref().and_then(|row| Some((row, self.sent.get(row.number).filter(|sent| is_as(row, sent))?)));
        let Some((row, sent)) = known else {
            return self.verdict.wrong(&row, address);
        };
        if std::mem::replace(&mut self.seen[row.number], true) {
            return self.verdict.doubled(row, address);
        }
        self.verdict.records += 1;
        let latest = self.latest.entry((partition, sent.key)).or_insert(sent.seq);
        if *latest > sent.seq {
            self.verdict.out_of_order(row, latest, address);
        }
        *latest = sent.seq.max(*latest);
    }

    /// Records that were never seen are lost.
    fn close(mut self, topic: &str) -> Verdict {
        for (number, (sent, seen)) in self.sent.iter().zip(&self.seen).enumerate() {
            if !seen && passes(number) && sent.address.is_some() {
                self.verdict.lost(topic, &(number, sent));
            }
        }
        self.verdict
    }
}

fn passes(number: usize) -> bool {
    !number.is_multiple_of(DROPPED_DIVISOR)
}

/// The columns of a record. A query with a different key has this key in the value.
fn row(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Row> {
    let columns: Value = serde_json::from_slice(value?).ok()?;
    let number = |name: &str| columns[name].as_i64();
    let key = match columns["K"].as_str() {
        Some(key) => key.to_owned(),
        None => std::str::from_utf8(key?).ok()?.to_owned(),
    };
    Some(Row {
        number: usize::try_from(number("N")?).ok()?,
        seq: usize::try_from(number("SEQ")?).ok()?,
        partition: number("P")?,
        offset: number("O")?,
        key,
    })
}

/// Whether a record is the one that was sent, read from its acknowledged address.
fn is_as(row: &Row, sent: &Sent) -> bool {
    let placed = sent.address.is_none_or(|address| {
        row.partition == i64::from(address.partition) && (address.offset < 0 || row.offset == address.offset)
    });
    passes(row.number) && row.seq == sent.seq && row.key == key_text(sent.key) && placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Address;

    /// Three records of one key, numbered 0 to 2; the filter drops the first.
    fn sent() -> Vec<Sent> {
        let address = |offset| Some(Address { partition: 3, offset });
        (0..3).map(|n| Sent { key: 5, seq: n, address: address(n as i64) }).collect()
    }

    fn judged(rows: &[(usize, i64)]) -> Verdict {
        let sent = sent();
        let mut trial = Trial::new(&sent);
        for (number, offset) in rows {
            let value = format!(r#"{{"N":{number},"SEQ":{number},"P":3,"O":{offset}}}"#);
            trial.hear(row(Some(b"key-005"), Some(value.as_bytes())), 0, &String::new);
        }
        trial.close("t")
    }

    #[test]
    fn complete_output_is_good() {
        let verdict = judged(&[(1, 1), (2, 2)]);
        assert!(verdict.is_good());
        assert_eq!(verdict.to_string(), "2 records, 0 lost, 0 doubled, 0 out of order");
    }

    #[test]
    fn each_failure_is_reported() {
        assert_eq!(judged(&[(1, 1)]).to_string(), "1 records, 1 lost, 0 doubled, 0 out of order");
        assert_eq!(judged(&[(1, 1), (2, 2), (2, 2)]).to_string(), "2 records, 0 lost, 1 doubled, 0 out of order");
        assert_eq!(judged(&[(2, 2), (1, 1)]).to_string(), "2 records, 0 lost, 0 doubled, 1 out of order");
        assert_eq!(judged(&[(1, 1), (2, 1)]).to_string(), "1 records, 1 lost, 0 doubled, 0 out of order, 1 wrong");
        assert_eq!(judged(&[(0, 0), (1, 1), (2, 2)]).wrong, 1);
        assert_eq!(judged(&[(1, 1), (2, 2), (9, 9)]).wrong, 1);
    }

    #[test]
    fn nothing_is_expected_of_what_was_not_acknowledged() {
        let mut sent = sent();
        sent[2].address = None;
        let mut trial = Trial::new(&sent);
        let value = br#"{"K":"key-005","N":1,"SEQ":1,"P":3,"O":1}"#;
        trial.hear(row(None, Some(value)), 0, &String::new);
        assert!(trial.close("t").is_good());
    }
}
