//! Which committed offsets have expired.
//!
//! Separate because it depends on both the members and the offsets. The rules are Kafka's (KIP-211): an offset that a member can still
//! need stays, however old it is. What is not known counts as needed.

use std::collections::BTreeSet;

use super::coordinator::GroupState;
use super::members::Members;
use super::offsets::Offsets;
use super::subscription::subscribed_topics;
use crate::meta::CommittedOffset;
use crate::topic_partition::TopicPartition;

impl Members {
    /// The partitions whose offsets nobody has needed since `before_ms`. Without members that is the time since the last one left and
    /// since the commit; with members, the time since the commit, for topics that no member subscribes to. Offsets that an open
    /// transaction may change stay.
    pub(super) fn expired(&self, offsets: &Offsets, before_ms: i64) -> Vec<TopicPartition> {
        let Some(needed) = self.needed_topics() else { return Vec::new() };
        let empty_since_ms = self.membership().empty_since_ms;
        let is_expired = |at: &TopicPartition, committed: &CommittedOffset| {
            let since_ms = committed.committed_ms.max(empty_since_ms);
            let is_old = since_ms.is_some_and(|since_ms| since_ms <= before_ms);
            is_old && !needed.contains(&at.topic) && !offsets.is_unstable(at)
        };
        let expired = offsets.committed().iter().filter(|(at, committed)| is_expired(at, committed));
        expired.map(|(at, _)| at.clone()).collect()
    }

    /// The topics that members subscribe to; `None` if that is not known or about to change.
    fn needed_topics(&self) -> Option<BTreeSet<String>> {
        match self {
            Members::Consumer(group) => Some(group.subscribed_topics()),
            Members::Classic(group) => match group.state() {
                GroupState::Empty => Some(BTreeSet::new()),
                GroupState::Stable => subscribed_topics(group),
                GroupState::PreparingRebalance { .. } | GroupState::CompletingRebalance => None,
            },
        }
    }
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
