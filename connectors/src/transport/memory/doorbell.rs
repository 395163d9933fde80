//! Waiting for new records in the logs of a simulated cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_formats::record::TopicPartition;

use super::Shared;
use crate::transport::{Doorbell, Isolation};

/// A bell at an offset of each partition, which checks the logs whenever it is asked.
pub(super) struct MemoryDoorbell {
    cluster: Shared,
    offsets: BTreeMap<TopicPartition, i64>,
}

impl MemoryDoorbell {
    pub(super) fn new(cluster: Shared, offsets: BTreeMap<TopicPartition, i64>) -> Self {
        Self { cluster, offsets }
    }
}

impl Doorbell for MemoryDoorbell {
    /// Never blocks: in a simulated cluster no time passes during a call.
    fn wait(&mut self, _: Duration) -> bool {
        let cluster = self.cluster.lock();
        let goes_on = |(partition, offset): (&TopicPartition, &i64)| {
            let log = cluster.log(partition);
            log.is_ok_and(|log| log.watermarks(Isolation::ReadCommitted).end != *offset)
        };
        self.offsets.iter().any(goes_on)
    }
}
