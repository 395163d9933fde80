//! Where the registry keeps its records: the trait, and a log in memory.
//!
//! Separate because the registry itself knows no topic: the log in Kafka is [`TopicLog`](crate::TopicLog).

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

/// A record of the log. The latest one with a key counts; one without a value removes what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The key, in JSON.
    pub key: Vec<u8>,
    /// The value, in JSON.
    pub value: Option<Vec<u8>>,
}

/// The log could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(pub String);

/// A log of records with one writer.
#[async_trait]
pub trait SchemaLog: Send + Sync {
    /// All records from the start to the end that the log has now, in their order.
    async fn read_all(&self) -> Result<Vec<LogRecord>, LogError>;

    /// Appends records in their order, and returns when they will not be lost. After an error any number of the first
    /// ones may be there, or come to be there before this is called again: only reading tells.
    async fn append(&self, records: Vec<LogRecord>) -> Result<(), LogError>;
}

/// A log in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<Vec<LogRecord>>>);

#[cfg(test)]
impl MemoryLog {
    /// Removes what a broker removes from a compacted topic after a while: records whose key comes again, and those
    /// without a value.
    pub(crate) fn compact(&self) {
        let mut records = self.0.lock();
        let last: std::collections::HashMap<_, _> =
            records.iter().enumerate().map(|(at, record)| (record.key.clone(), at)).collect();
        let mut at = 0..;
        records.retain(|record| at.next() == last.get(&record.key).copied() && record.value.is_some());
    }
}

#[async_trait]
impl SchemaLog for MemoryLog {
    async fn read_all(&self) -> Result<Vec<LogRecord>, LogError> {
        Ok(self.0.lock().clone())
    }

    async fn append(&self, records: Vec<LogRecord>) -> Result<(), LogError> {
        self.0.lock().extend(records);
        Ok(())
    }
}
