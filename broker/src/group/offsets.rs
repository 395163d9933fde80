//! The committed offsets of a group.
//!
//! Separate because offsets outlive members. Offsets that belong to an open transaction are pending until it ends; a
//! consumer that asks for stable offsets has to wait for them.

use std::collections::BTreeMap;

use crate::meta::{CommittedOffset, PartitionOffset};
use crate::topic_partition::TopicPartition;

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<TopicPartition, CommittedOffset>,
    /// Offsets of open transactions, by producer id.
    pending: BTreeMap<i64, BTreeMap<TopicPartition, CommittedOffset>>,
}

impl Offsets {
    pub(super) fn from_journal(committed: BTreeMap<TopicPartition, CommittedOffset>) -> Offsets {
        Offsets { committed, pending: BTreeMap::new() }
    }

    pub(crate) fn committed(&self) -> &BTreeMap<TopicPartition, CommittedOffset> {
        &self.committed
    }

    /// Whether an open transaction may change the offset.
    pub(crate) fn is_unstable(&self, at: &TopicPartition) -> bool {
        self.pending.values().any(|offsets| offsets.contains_key(at))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    pub(super) fn commit(&mut self, offsets: Vec<PartitionOffset>) {
        self.committed.extend(offsets.into_iter().map(|offset| (offset.at, offset.committed)));
    }

    /// Stores pending offsets for a transaction.
    pub(super) fn prepare(&mut self, producer_id: i64, offsets: Vec<PartitionOffset>) {
        let pending = self.pending.entry(producer_id).or_default();
        pending.extend(offsets.into_iter().map(|offset| (offset.at, offset.committed)));
    }

    /// The offsets that a transaction would commit.
    pub(super) fn prepared(&self, producer_id: i64) -> Vec<PartitionOffset> {
        let pending = self.pending.get(&producer_id).into_iter().flatten();
        pending.map(|(at, committed)| PartitionOffset { at: at.clone(), committed: committed.clone() }).collect()
    }

    /// Removes a transaction's pending offsets and commits the given ones; there are none if it was aborted.
    pub(super) fn end(&mut self, producer_id: i64, committed: Vec<PartitionOffset>) {
        self.pending.remove(&producer_id);
        self.commit(committed);
    }

    pub(super) fn delete(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            self.committed.remove(at);
        }
    }

    pub(super) fn delete_topic(&mut self, topic: &str) {
        self.committed.retain(|at, _| at.topic != topic);
        for pending in self.pending.values_mut() {
            pending.retain(|at, _| at.topic != topic);
        }
    }
}
