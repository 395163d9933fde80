//! The members of a group, with one of the two protocols.
//!
//! Separate because a group without members can change its protocol, and because offsets, administration and timeouts ask both the same.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;

use super::consumer::ConsumerGroup;
use super::coordinator::Group;
use super::request::{Caller, Leaver};
use super::subscription::{CONSUMER, subscribed_topics};
use crate::meta::Membership;

/// The members of a group.
#[derive(Debug)]
pub(crate) enum Members {
    Classic(Group),
    /// With the protocol of KIP-848.
    Consumer(ConsumerGroup),
}

impl Members {
    /// The group's state by its name in Kafka.
    pub(crate) fn state_name(&self) -> &'static str {
        match self {
            Members::Classic(group) => group.state().name(),
            Members::Consumer(group) => group.state_name(),
        }
    }

    /// The group's type by its name in Kafka.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Members::Classic(_) => "classic",
            Members::Consumer(_) => "consumer",
        }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        match self {
            Members::Classic(group) => group.protocol_type(),
            Members::Consumer(_) => CONSUMER,
        }
    }

    /// The topics that members subscribe to; `None` if that is not known.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        match self {
            Members::Classic(group) => subscribed_topics(group),
            Members::Consumer(group) => Some(group.subscribed_topics()),
        }
    }

    /// Checks whether a caller can read offsets: a member with the protocol of KIP-848 says its epoch, which must be the
    /// present one.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        match (self, member_id) {
            (Members::Consumer(group), Some(id)) => group.check_member(id, epoch),
            (Members::Consumer(group), None) if epoch >= 0 => group.check_member("", epoch),
            _ => Ok(()),
        }
    }

    /// The classic group; `None` if it has the other protocol.
    pub(super) fn classic(&mut self) -> Option<&mut Group> {
        match self {
            Members::Classic(group) => Some(group),
            Members::Consumer(_) => None,
        }
    }

    /// The classic group, which a group without members becomes; `None` if it has members with the other protocol.
    pub(super) fn become_classic(&mut self, initial_delay_ms: u64) -> Option<&mut Group> {
        if matches!(self, Members::Consumer(group) if group.is_empty()) {
            *self = Members::Classic(Group::restored(initial_delay_ms, &self.membership(), false, 0));
        }
        self.classic()
    }

    /// The group with the protocol of KIP-848, which a group without members becomes; `None` if it has classic members.
    pub(super) fn become_consumer(&mut self, session_timeout_ms: u64) -> Option<&mut ConsumerGroup> {
        if matches!(self, Members::Classic(group) if group.is_empty()) {
            *self = Members::Consumer(ConsumerGroup::new(session_timeout_ms, self.membership().empty_since_ms));
        }
        match self {
            Members::Classic(_) => None,
            Members::Consumer(group) => Some(group),
        }
    }

    /// Whether the group has no members and no pending member ids.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Members::Classic(group) => group.is_empty(),
            Members::Consumer(group) => group.is_empty(),
        }
    }

    /// What the journal keeps of the group besides its offsets.
    pub(super) fn membership(&self) -> Membership {
        match self {
            Members::Classic(group) => group.membership(),
            Members::Consumer(group) => {
                Membership { protocol_type: CONSUMER.to_owned(), empty_since_ms: group.empty_since_ms() }
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<i64> {
        match self {
            Members::Classic(group) => group.poll_timeout(),
            Members::Consumer(group) => group.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now_ms: i64) {
        match self {
            Members::Classic(group) => group.handle_timeout(now_ms),
            Members::Consumer(group) => group.handle_timeout(now_ms),
        }
    }

    pub(super) fn handle_leave(&mut self, leaver: &Leaver, now_ms: i64) -> Result<(), ResponseError> {
        match self {
            Members::Classic(group) => group.handle_leave(leaver, now_ms),
            Members::Consumer(group) => group.handle_leave(leaver, now_ms),
        }
    }

    /// Checks whether the caller can commit offsets.
    pub(super) fn handle_commit(
        &mut self,
        caller: &Caller,
        in_transaction: bool,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        match self {
            Members::Classic(group) => group.handle_commit(caller, in_transaction, now_ms),
            Members::Consumer(group) => group.check_commit(caller, in_transaction),
        }
    }
}
