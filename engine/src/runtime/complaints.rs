//! Complaints about bad records, for the processing log and, with the records themselves, for the dead-letter topic.
//!
//! Both are written in the transaction of the records' epoch, so each complaint appears exactly once. Neither may stop
//! the query: what a topic would refuse is shortened until it fits, or left out and counted.

use std::sync::Arc;

use headwater_connectors::transport::Lost;
use headwater_dataflow::Complaint;
use headwater_formats::record::{OutBatch, RawBatch, RecordLimits};
use headwater_language::catalog::QueryDef;
use serde_json::json;

use super::OWN_TOPICS;
use super::dead_letters::DeadLetters;

/// Name of the stream over the processing log.
pub const PROCESSING_LOG: &str = "PROCESSING_LOG";

/// Most entries of one epoch in the processing log. Further ones are only counted, in a last entry.
const ENTRIES_MAX: usize = 1_000;

/// The topic of the processing log of a service id.
pub fn processing_log_topic(service_id: &str) -> String {
    format!("{OWN_TOPICS}{service_id}_processing_log")
}

/// The statement that declares the processing log of a service id as a stream.
pub fn processing_log_statement(service_id: &str) -> String {
    format!(
        "CREATE SOURCE STREAM {PROCESSING_LOG} (QUERY_ID STRING KEY, KIND STRING, SOURCE_TOPIC STRING, \
         SOURCE_PARTITION INT, SOURCE_OFFSET BIGINT, EXPRESSION STRING, REASON STRING) \
         WITH (KAFKA_TOPIC = '{}', PARTITIONS = 1, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');",
        processing_log_topic(service_id)
    )
}

/// The record limits of the topics that complaints are written to.
#[derive(Clone, Copy, Debug, Default)]
pub struct ComplaintLimits {
    /// The processing log.
    pub log: RecordLimits,
    /// The dead-letter topic, if there is one.
    pub dead: RecordLimits,
}

/// The complaints of one epoch.
pub struct Complaints {
    query: String,
    log: Arc<str>,
    log_bytes_max: usize,
    dead: Option<DeadLetters>,
    entries: Vec<Vec<u8>>,
    /// Number of complaints beyond [`ENTRIES_MAX`].
    left_out: u64,
    /// Number of complaints since the last call of `take_unlogged` that are too large for the processing log.
    unlogged: u64,
}

impl Complaints {
    /// An empty collection for a query of a service id.
    pub fn new(query: &QueryDef, service_id: &str, limits: ComplaintLimits) -> Self {
        Self {
            query: query.id.clone(),
            log: Arc::from(processing_log_topic(service_id)),
            log_bytes_max: limits.log.bytes_max.unwrap_or(usize::MAX),
            dead: query.dlq_topic.as_deref().map(|topic| DeadLetters::new(topic, &query.id, limits.dead)),
            entries: Vec::new(),
            left_out: 0,
            unlogged: 0,
        }
    }

    /// Adds a complaint about a record of `raw`.
    pub fn add(&mut self, complaint: &Complaint, raw: Option<&RawBatch>) {
        if let (Some(raw), Some(dead)) = (raw, &mut self.dead) {
            dead.add(complaint, raw);
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.left_out += 1;
            return;
        }
        match self.fitting(complaint) {
            Some(entry) => self.entries.push(entry),
            None => self.unlogged += 1,
        }
    }

    /// Adds a gap: offsets that were deleted before they were read.
    pub fn add_gap(&mut self, lost: &Lost) {
        let entry = json!({
            "KIND": "GAP",
            "SOURCE_TOPIC": &*lost.partition.topic,
            "SOURCE_PARTITION": lost.partition.partition,
            "SOURCE_OFFSET": lost.from,
            "EXPRESSION": null,
            "REASON": lost.to_string(),
        });
        let entry = entry.to_string().into_bytes();
        match self.fits(&entry) {
            true => self.entries.push(entry),
            false => self.unlogged += 1,
        }
    }

    /// Takes the dead letters so far, to be written in the current epoch.
    pub fn take_dead(&mut self, now_ms: i64) -> Option<OutBatch> {
        self.dead.as_mut().and_then(|dead| dead.take(now_ms))
    }

    /// Takes the entries for the processing log, to be written in the current epoch.
    pub fn take_log(&mut self, now_ms: i64) -> Option<OutBatch> {
        if self.left_out > 0 {
            let reason = format!("{} more complaints of this epoch are not listed", self.left_out);
            let more = json!({ "KIND": "MORE", "REASON": reason }).to_string().into_bytes();
            match self.fits(&more) {
                true => self.entries.push(more),
                false => self.unlogged += self.left_out,
            }
            self.left_out = 0;
        }
        let count = self.entries.len();
        (count > 0).then(|| OutBatch {
            topic: self.log.clone(),
            partitions: Some(vec![0; count].into()),
            keys: std::iter::repeat_n(Some(self.query.as_bytes()), count).collect(),
            values: self.entries.drain(..).map(Some).collect(),
            timestamps_ms: Some(vec![now_ms; count].into()),
            headers: None,
        })
    }

    /// How many complaints since the last call were too large for the processing log.
    pub fn take_unlogged(&mut self) -> u64 {
        std::mem::take(&mut self.unlogged)
    }

    /// The entry of a complaint, with as much of its text as fits; `None` when not even its address fits.
    fn fitting(&self, complaint: &Complaint) -> Option<Vec<u8>> {
        let mut words = usize::MAX;
        loop {
            let entry = entry(complaint, words);
            if self.fits(&entry) {
                return Some(entry);
            }
            let longest = complaint.text().len().max(complaint.expr.as_ref().map_or(0, String::len));
            words = match words.min(longest) {
                0 => return None,
                words => words / 2,
            };
        }
    }

    fn fits(&self, entry: &[u8]) -> bool {
        self.query.len() + entry.len() <= self.log_bytes_max
    }
}

/// An entry of the processing log, with at most `words` bytes each of the reason and the expression.
fn entry(complaint: &Complaint, words: usize) -> Vec<u8> {
    let cut = |text: &str| text[..text.floor_char_boundary(words)].to_owned();
    let entry = json!({
        "KIND": complaint.kind.word(),
        "SOURCE_TOPIC": &*complaint.origin.topic,
        "SOURCE_PARTITION": complaint.origin.partition,
        "SOURCE_OFFSET": complaint.offset,
        "EXPRESSION": complaint.expr.as_deref().map(cut),
        "REASON": cut(&complaint.text()),
    });
    entry.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use headwater_formats::record::TopicPartition;

    use super::*;
    use headwater_dataflow::ComplaintKind;

    fn complaints(log_bytes_max: usize) -> Complaints {
        Complaints {
            query: "CSAS_Q_1".to_owned(),
            log: "log".into(),
            log_bytes_max,
            dead: None,
            entries: Vec::new(),
            left_out: 0,
            unlogged: 0,
        }
    }

    fn complaint(reason: String) -> Complaint {
        Complaint {
            kind: ComplaintKind::Processing,
            origin: TopicPartition::new("in", 0),
            offset: 7,
            side: None,
            expr: Some("CAST(V AS INT)".to_owned()),
            reason,
        }
    }

    /// Goal: no entry exceeds the limit of its topic, however its text is escaped in JSON, and what never fits is counted.
    #[test]
    fn entries_fit_their_topic_or_are_counted() {
        let controls = "\u{1}\n\"ä".repeat(200);
        for bytes_max in [0, 50, 100, 200, 300, 1_000, 5_000, 100_000] {
            let mut complaints = complaints(bytes_max);
            (0..ENTRIES_MAX + 5).for_each(|_| complaints.add(&complaint(controls.clone()), None));
            let (log, unlogged) = (complaints.take_log(0), complaints.take_unlogged());
            let entries = log.as_ref().map_or(0, OutBatch::len);
            let longest = log.map_or(0, |log| log.values.offsets().lengths().max().unwrap_or(0));
            assert!(longest + 8 <= bytes_max.max(8), "{longest} of {bytes_max}");
            match entries {
                0 => assert_eq!(unlogged, (ENTRIES_MAX + 5) as u64),
                _ => assert_eq!((entries, unlogged), (ENTRIES_MAX + 1, 0)),
            }
            assert!((bytes_max < 200) == (entries == 0), "{bytes_max}: {entries}");
        }
    }
}
