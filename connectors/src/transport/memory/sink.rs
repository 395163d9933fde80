//! Writing to a simulated cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, BinaryArray};
use headwater_formats::record::{OutBatch, TopicPartition, headers_at};

use super::Shared;
use super::cluster::Claim;
use super::log::Record;
use crate::transport::{Membership, Position, Sink, SinkOptions, TransportError};

/// A writer. Every record is in the log as soon as `write` returns.
pub(super) struct MemorySink {
    cluster: Shared,
    claim: Option<Claim>,
}

impl MemorySink {
    pub(super) fn open(cluster: Shared, options: SinkOptions) -> Self {
        let claim = options.transactional_id.map(|id| cluster.lock().claim(id));
        Self { cluster, claim }
    }

    fn claim(&self) -> Result<&Claim, TransportError> {
        self.claim.as_ref().ok_or_else(|| TransportError::invalid("the sink has no transactional id"))
    }
}

impl Sink for MemorySink {
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
        let mut cluster = self.cluster.lock();
        for row in 0..batch.len() {
            let key = payload(&batch.keys, row);
            let partition = match &batch.partitions {
                Some(partitions) => partitions[row],
                None => cluster.partition_for(&batch.topic, key.as_deref())?,
            };
            let record = Record {
                timestamp_ms: batch.timestamps_ms.as_ref().map_or(cluster.now_ms, |times| times[row]),
                key,
                value: payload(&batch.values, row),
                headers: batch.headers.as_ref().map_or_else(Vec::new, |headers| headers_at(headers, row)),
            };
            let partition = TopicPartition::new(Arc::clone(&batch.topic), partition);
            cluster.append(self.claim.as_ref(), &partition, record)?;
        }
        Ok(())
    }

    fn flush(&mut self, _: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.cluster.lock().begin(self.claim()?)
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        _: Duration,
    ) -> Result<(), TransportError> {
        self.cluster.lock().commit(self.claim()?, membership, offsets)
    }

    fn abort(&mut self, _: Duration) -> Result<(), TransportError> {
        self.cluster.lock().abort(self.claim()?)
    }
}

fn payload(column: &BinaryArray, row: usize) -> Option<Vec<u8>> {
    column.is_valid(row).then(|| column.value(row).to_vec())
}
