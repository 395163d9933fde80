//! What several tests of the runtime share: a cluster with one topic, and a transaction that is open in it.

mod process;
pub(super) mod shared;

use std::collections::BTreeMap;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{NewTopic, Sink, SinkOptions, Transport};
use headwater_formats::record::OutBatch;

pub(super) use self::process::Process;

/// A cluster with a topic of one partition.
pub(super) fn cluster_with(topic: &str) -> MemoryTransport {
    let cluster = MemoryTransport::new();
    let topic = NewTopic { name: topic.to_owned(), partitions: 1, replicas: None, settings: BTreeMap::new() };
    cluster.admin().create_topic(&topic).expect("a new topic");
    cluster
}

/// A record with a key and a value for partition 0 of a topic.
pub(super) fn record_of(topic: &str) -> OutBatch {
    let bytes = || [Some(&b"k"[..])].into_iter().collect();
    let (keys, values, partitions) = (bytes(), bytes(), Some(vec![0].into()));
    OutBatch { topic: topic.into(), partitions, keys, values, timestamps_ms: None, headers: None }
}

/// A sink whose transaction is open and has written these records.
pub(super) fn open_transaction(cluster: &MemoryTransport, records: &OutBatch) -> Box<dyn Sink> {
    let options = SinkOptions { transactional_id: Some("q-0".to_owned()), ..SinkOptions::default() };
    let mut sink = cluster.open_sink(options).expect("a sink");
    sink.begin().and_then(|()| sink.write(records)).expect("records");
    sink
}
