//! What was wrong with records, on its way to the processing log and to the dead-letter topic.
//!
//! Both are written in the transaction of the records' epoch, so each complaint is there once.

use std::sync::Arc;

use arrow::array::builder::{BinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow::array::{Array, BinaryArray, ListArray};
use arrow::datatypes::DataType;
use headwater_connectors::record::{OutBatch, RawBatch, headers_at, headers_type};
use serde_json::json;

use super::OWN_TOPICS;
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
    dlq: Option<Arc<str>>,
    entries: Vec<Vec<u8>>,
    left_out: u64,
    dead: Dead,
}

/// The headers of one record.
type Headers = Vec<(String, Option<Vec<u8>>)>;

/// Records for the dead-letter topic, as they were.
#[derive(Default)]
struct Dead {
    keys: Vec<Option<Vec<u8>>>,
    values: Vec<Option<Vec<u8>>>,
    times_ms: Vec<i64>,
    headers: Vec<Headers>,
    /// Offset and partition of the last one: a record with two complaints goes there once.
    last: Option<(i32, i64)>,
}

impl Complaints {
    /// None yet, of a query of a service id.
    pub fn new(query: &QueryDef, service_id: &str) -> Self {
        Self {
            query: query.id.clone(),
            log: Arc::from(processing_log_topic(service_id)),
            dlq: query.dlq_topic.as_deref().map(Arc::from),
            entries: Vec::new(),
            left_out: 0,
            dead: Dead::default(),
        }
    }

    /// Adds a complaint about a record of `raw`.
    pub fn add(&mut self, complaint: Complaint, raw: Option<&RawBatch>) {
        if let (Some(raw), true) = (raw, self.dlq.is_some()) {
            self.dead.add(&complaint, raw, &self.query);
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
        let dead = match &self.dlq {
            Some(topic) if !self.dead.keys.is_empty() => Some(std::mem::take(&mut self.dead).batch(topic)),
            _ => None,
        };
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

impl Dead {
    fn add(&mut self, complaint: &Complaint, raw: &RawBatch, query: &str) {
        let address = (complaint.origin.partition, complaint.offset);
        if self.last == Some(address) {
            return;
        }
        self.last = Some(address);
        let row = complaint.index;
        let payload =
            |column: &Option<BinaryArray>| column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row).to_vec());
        self.keys.push(payload(&raw.keys));
        self.values.push(payload(&raw.values));
        self.times_ms.push(raw.timestamps_ms[row].max(0));
        let mut headers = raw.headers.as_ref().map(|headers| headers_at(headers, row)).unwrap_or_default();
        let told = [
            ("headwater.query", query.to_owned()),
            ("headwater.kind", complaint.kind.word().to_owned()),
            ("headwater.topic", complaint.origin.topic.to_string()),
            ("headwater.partition", complaint.origin.partition.to_string()),
            ("headwater.offset", complaint.offset.to_string()),
            ("headwater.expression", complaint.expr.clone().unwrap_or_default()),
            ("headwater.reason", complaint.reason.clone()),
        ];
        headers.extend(told.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))));
        self.headers.push(headers);
    }

    fn batch(self, topic: &Arc<str>) -> OutBatch {
        OutBatch {
            topic: topic.clone(),
            partitions: None,
            keys: self.keys.into_iter().collect(),
            values: self.values.into_iter().collect(),
            timestamps_ms: Some(self.times_ms.into()),
            headers: Some(lists(&self.headers)),
        }
    }
}

fn lists(headers: &[Headers]) -> ListArray {
    let DataType::List(item) = headers_type() else { unreachable!("headers are a list") };
    let DataType::Struct(fields) = item.data_type().clone() else { unreachable!("of structs") };
    let entries = StructBuilder::new(fields, vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())]);
    let mut lists = ListBuilder::new(entries).with_field(item);
    for record in headers {
        for (name, value) in record {
            let entries = lists.values();
            entries.field_builder::<StringBuilder>(0).expect("names are texts").append_value(name);
            entries.field_builder::<BinaryBuilder>(1).expect("values are bytes").append_option(value.as_ref());
            entries.append(true);
        }
        lists.append(true);
    }
    lists.finish()
}
