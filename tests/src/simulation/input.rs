//! Writes the input of a simulation, with or without a transaction of another writer that continues, commits or aborts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::BinaryArray;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Membership, Sink, SinkOptions, Transport};
use headwater_formats::record::OutBatch;
use headwater_formats::record::partitioner::partition_of;
use rand::Rng as _;
use rand::rngs::StdRng;

/// Number of partitions of the input at first, and at most.
const PARTITIONS: i32 = 3;
const PARTITIONS_MAX: i32 = 5;
/// Number of different keys.
const KEYS: u32 = 7;
/// Number of records at once, usually and in a burst.
const FEW: std::ops::RangeInclusive<usize> = 1..=6;
const MANY: std::ops::Range<usize> = 4_000..8_000;

/// The writer of the input.
pub(super) struct Input {
    cluster: MemoryTransport,
    /// An open transaction of another writer.
    open: Option<Box<dyn Sink>>,
    partitions: i32,
    next: i64,
    /// Whether there are bursts, so that a query reads ahead.
    in_floods: bool,
}

impl Input {
    pub(super) fn new(cluster: &MemoryTransport, in_floods: bool) -> Self {
        Self { cluster: cluster.clone(), open: None, partitions: PARTITIONS, next: 1, in_floods }
    }

    /// Writes some records.
    pub(super) fn produce(&mut self, chance: &mut StdRng, now_ms: i64) {
        let count = match self.in_floods && chance.random_range(0..20) == 0 {
            true => chance.random_range(MANY),
            false => chance.random_range(FEW),
        };
        let batch = self.batch(chance, count, now_ms);
        if chance.random_bool(0.3) {
            return self.produce_in_transaction(&batch, chance.random_bool(0.5));
        }
        let mut sink = self.cluster.open_sink(SinkOptions::default()).expect("a sink");
        sink.write(&batch).expect("a write");
    }

    fn batch(&mut self, chance: &mut StdRng, count: usize, now_ms: i64) -> OutBatch {
        let rows: Vec<(i32, String, String)> = (0..count)
            .map(|_| {
                let key = format!("k{}", chance.random_range(0..KEYS));
                let value = format!("{{\"n\": {}}}", self.next);
                self.next += 1;
                // A key is always in the same partition for a given number of partitions, as with a real client.
                (partition_of(key.as_bytes(), self.partitions), key, value)
            })
            .collect();
        OutBatch {
            topic: Arc::from("s"),
            partitions: Some(rows.iter().map(|(p, ..)| *p).collect::<Vec<_>>().into()),
            keys: BinaryArray::from_iter_values(rows.iter().map(|(_, k, _)| k)),
            values: BinaryArray::from_iter_values(rows.iter().map(|(.., v)| v)),
            timestamps_ms: Some(vec![now_ms; rows.len()].into()),
            headers: None,
        }
    }

    /// Ends the open transaction, or begins one with these records.
    fn produce_in_transaction(&mut self, batch: &OutBatch, commits: bool) {
        if let Some(mut open) = self.open.take() {
            let ended = match commits {
                true => open.commit(&Membership::outside("nobody"), &BTreeMap::new(), Duration::ZERO),
                false => open.abort(Duration::ZERO),
            };
            return ended.expect("the end of a foreign transaction");
        }
        let options = SinkOptions { transactional_id: Some("foreign".to_owned()), ..SinkOptions::default() };
        let mut sink = self.cluster.open_sink(options).expect("a sink");
        sink.begin().expect("a transaction");
        sink.write(batch).expect("a write");
        self.open = Some(sink);
    }

    /// Adds a partition to the input; false if it already has the maximum. Records of a key then go to another
    /// partition, so order is guaranteed only within each partition.
    pub(super) fn grow(&mut self) -> bool {
        if self.partitions == PARTITIONS_MAX {
            return false;
        }
        self.partitions += 1;
        self.cluster.add_partitions("s", self.partitions).expect("a topic that is there");
        true
    }

    /// Ends the open transaction, so that readers are no longer blocked.
    pub(super) fn end(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.abort(Duration::ZERO).expect("the end of a foreign transaction");
        }
    }
}
