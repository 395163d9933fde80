//! What was wrong with records, on its way to the processing log and, with the records, to the dead-letter topic.
//!
//! Both are written in the transaction of the records' epoch, so each complaint is there once.

use std::sync::Arc;

use headwater_connectors::record::{OutBatch, RawBatch};
use headwater_connectors::transport::RecordLimits;
use serde_json::json;

use super::OWN_TOPICS;
use super::dead_letters::DeadLetters;
use crate::catalog::QueryDef;
use crate::dataflow::Complaint;

/// Name of the stream over the processing log.
pub const PROCESSING_LOG: &str = "PROCESSING_LOG";

/// Most entries of one epoch in the processing log; beyond it they are counted in one last entry.
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

/// The complaints of one epoch.
pub struct Complaints {
    query: String,
    log: Arc<str>,
    dead: Option<DeadLetters>,
    entries: Vec<Vec<u8>>,
    left_out: u64,
}

impl Complaints {
    /// None yet, of a query of a service id. `limits` is what its dead-letter topic takes, if it has one.
    pub fn new(query: &QueryDef, service_id: &str, limits: RecordLimits) -> Self {
        Self {
            query: query.id.clone(),
            log: Arc::from(processing_log_topic(service_id)),
            dead: query.dlq_topic.as_deref().map(|topic| DeadLetters::new(topic, &query.id, limits)),
            entries: Vec::new(),
            left_out: 0,
        }
    }

    /// Adds a complaint about a record of `raw`.
    pub fn add(&mut self, complaint: Complaint, raw: Option<&RawBatch>) {
        if let (Some(raw), Some(dead)) = (raw, &mut self.dead) {
            dead.add(&complaint, raw);
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.left_out += 1;
            return;
        }
        let entry = json!({
            "KIND": complaint.kind.word(),
            "SOURCE_TOPIC": &*complaint.origin.topic,
            "SOURCE_PARTITION": complaint.origin.partition,
            "SOURCE_OFFSET": complaint.offset,
            "EXPRESSION": complaint.expr,
            "REASON": complaint.reason,
        });
        self.entries.push(entry.to_string().into_bytes());
    }

    /// The records that tell them, which belong into their epoch; they are forgotten here.
    pub fn take(&mut self, now_ms: i64) -> Vec<OutBatch> {
        let dead = self.dead.as_mut().and_then(|dead| dead.take(now_ms));
        self.log(now_ms).into_iter().chain(dead).collect()
    }

    fn log(&mut self, now_ms: i64) -> Option<OutBatch> {
        if self.left_out > 0 {
            let reason = format!("{} more complaints of this epoch are not listed", self.left_out);
            self.entries.push(json!({ "KIND": "MORE", "REASON": reason }).to_string().into_bytes());
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
}
