//! The cluster of a case: in memory, with every record in partition 0 as in ksqlDB's own driver of topologies. It
//! records what queries write, in the order of writing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, BinaryArray};
use headwater_connectors::schemas::{MemorySchemas, Schemas};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{
    Admin, Doorbell, GroupPlan, Member, Membership, NewTopic, Position, ReadPlan, Sink, SinkOptions, Source, Transport,
    TransportError,
};
use headwater_formats::record::{OutBatch, TopicPartition, header_lists, headers_at};
use parking_lot::Mutex;

/// Default number of partitions of a topic.
pub const PARTITIONS: i32 = 4;

/// Headers of a record: names and values.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record as bytes.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its time in ms.
    pub timestamp_ms: i64,
    /// Its headers.
    pub headers: Headers,
}

/// What was written, by topic, in order.
type Notes = Arc<Mutex<BTreeMap<String, Vec<Written>>>>;

/// A cluster that records what is written. Clones share the cluster.
#[derive(Clone, Default)]
pub struct Stage {
    cluster: MemoryTransport,
    notes: Notes,
}

impl Stage {
    /// Creates a topic unless it exists.
    pub fn make_topic(&self, name: &str, partitions: i32) -> Result<(), TransportError> {
        let admin = self.cluster.admin();
        if admin.topic(name)?.is_some() {
            return Ok(());
        }
        admin.create_topic(&NewTopic { name: name.to_owned(), partitions, replicas: None, settings: BTreeMap::new() })
    }

    /// The registered schemas.
    pub fn registered(&self) -> &MemorySchemas {
        self.cluster.memory_schemas()
    }

    /// Writes a record without recording it.
    pub fn feed(&self, topic: &str, record: Written) -> Result<(), TransportError> {
        let batch = OutBatch {
            topic: Arc::from(topic),
            partitions: Some(vec![0].into()),
            keys: BinaryArray::from(vec![record.key.as_deref()]),
            values: BinaryArray::from(vec![record.value.as_deref()]),
            timestamps_ms: Some(vec![record.timestamp_ms].into()),
            headers: Some(header_lists([record.headers.as_slice()])),
        };
        self.cluster.open_sink(SinkOptions::default())?.write(&batch)
    }

    /// What was written to a topic so far.
    pub fn written(&self, topic: &str) -> Vec<Written> {
        self.notes.lock().get(topic).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Transport for Stage {
    fn admin(&self) -> &dyn Admin {
        self.cluster.admin()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        self.cluster.open_sources(plans)
    }

    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        self.cluster.doorbell(places)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        self.cluster.join_group(plan)
    }

    fn schemas(&self) -> Arc<dyn Schemas> {
        self.cluster.schemas()
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        Ok(Box::new(NotedSink { inner: self.cluster.open_sink(options)?, notes: self.notes.clone() }))
    }
}

struct NotedSink {
    inner: Box<dyn Sink>,
    notes: Notes,
}

impl Sink for NotedSink {
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
        let first = OutBatch { partitions: Some(vec![0; batch.len()].into()), ..batch.clone() };
        self.inner.write(&first)?;
        let written = (0..batch.len()).map(|row| written(batch, row));
        self.notes.lock().entry(batch.topic.to_string()).or_default().extend(written);
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.flush(timeout)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.inner.begin()
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        self.inner.commit(membership, offsets, timeout)
    }

    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.abort(timeout)
    }
}

fn written(batch: &OutBatch, row: usize) -> Written {
    let payload = |column: &BinaryArray| column.is_valid(row).then(|| column.value(row).to_vec());
    Written {
        key: payload(&batch.keys),
        value: payload(&batch.values),
        timestamp_ms: batch.timestamps_ms.as_ref().map_or(0, |times| times[row]),
        headers: batch.headers.as_ref().map_or_else(Vec::new, |headers| headers_at(headers, row)),
    }
}
