//! The state machine of a group: members join, a generation is formed, the leader assigns partitions.
//!
//! Separate because it does no I/O: every `handle_` function takes the time, replies are drained by
//! [`Group::poll_reply`], and [`Group::poll_timeout`] says when [`Group::handle_timeout`] is due.
//!
//! ```text
//! Empty → PreparingRebalance → CompletingRebalance → Stable
//!   ↑            ↑    └ all joined, or timeout ┘         │ a member joins or leaves, or its session expires
//!   └ all left   └────────────────────────────────────────┘
//! ```

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::member::Member;
use super::request::{Caller, Leaver, Reply, Sync, SyncReply, Token};
use crate::meta::Membership;

/// The state of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupState {
    Empty,
    /// Waiting for members to join until `deadline_ms`; with `hold`, even if all members have joined.
    PreparingRebalance {
        deadline_ms: i64,
        hold: bool,
    },
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl GroupState {
    /// The state's name in Kafka.
    pub(crate) fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance { .. } => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// A consumer group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) state: GroupState,
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: Option<String>,
    pub(super) leader: String,
    /// When the last member left; `None` while there are members, or if there never were any.
    pub(super) empty_since_ms: Option<i64>,
    pub(super) members: BTreeMap<String, Member>,
    /// Member ids that were handed out but not used yet, with the time at which they expire.
    pub(super) promised: BTreeMap<String, i64>,
    pub(super) replies: VecDeque<(Token, Reply)>,
    pub(super) initial_delay_ms: i64,
    /// Whether the assigned members have changed since they were kept.
    pub(super) is_new: bool,
}

impl Group {
    pub(crate) fn new(initial_delay_ms: u64) -> Group {
        Group {
            state: GroupState::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: String::new(),
            empty_since_ms: None,
            members: BTreeMap::new(),
            promised: BTreeMap::new(),
            replies: VecDeque::new(),
            initial_delay_ms: i64::try_from(initial_delay_ms).unwrap_or(i64::MAX),
            is_new: false,
        }
    }

    /// A group that the last broker had, without members: if there were any until the end, the last one has left now.
    pub(super) fn restored(initial_delay_ms: u64, membership: &Membership, had_members: bool, now_ms: i64) -> Group {
        let empty_since_ms = membership.empty_since_ms.or(had_members.then_some(now_ms));
        Group { protocol_type: membership.protocol_type.clone(), empty_since_ms, ..Group::new(initial_delay_ms) }
    }

    /// What the journal keeps of the group besides its offsets.
    pub(super) fn membership(&self) -> Membership {
        Membership { protocol_type: self.protocol_type.clone(), empty_since_ms: self.empty_since_ms }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether the group has no members and no pending member ids.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.promised.is_empty()
    }

    /// The next reply to a waiting request.
    pub(crate) fn poll_reply(&mut self) -> Option<(Token, Reply)> {
        self.replies.pop_front()
    }

    /// When [`Group::handle_timeout`] must be called next.
    pub(crate) fn poll_timeout(&self) -> Option<i64> {
        let rebalance = match self.state {
            GroupState::PreparingRebalance { deadline_ms, .. } => Some(deadline_ms),
            _ => None,
        };
        let members = self.members.values().filter_map(Member::deadline_ms);
        members.chain(self.promised.values().copied()).chain(rebalance).min()
    }

    /// Removes members whose sessions have expired, and completes a rebalance whose time is up.
    pub(crate) fn handle_timeout(&mut self, now_ms: i64) {
        self.promised.retain(|_, deadline_ms| *deadline_ms > now_ms);
        let overdue = |member: &&Member| member.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms);
        let gone: Vec<String> = self.members.values().filter(overdue).map(|member| member.id.clone()).collect();
        for id in gone {
            self.remove(&id, now_ms);
        }
        match self.state {
            GroupState::PreparingRebalance { deadline_ms, .. } if deadline_ms <= now_ms => self.complete_join(now_ms),
            _ => self.complete_join_when_all_are_there(now_ms),
        }
    }

    /// Handles a request for a member's assignment; the reply comes once the leader has assigned.
    pub(crate) fn handle_sync(&mut self, sync: Sync, token: Token, now_ms: i64) {
        match self.check_sync(&sync) {
            Err(error) => self.replies.push_back((token, Reply::Sync(SyncReply::refused(error)))),
            Ok(()) => self.sync(sync, token, now_ms),
        }
    }

    /// Extends a member's session.
    pub(crate) fn handle_heartbeat(&mut self, caller: &Caller, now_ms: i64) -> Result<(), ResponseError> {
        self.check_member(caller)?;
        self.heard_of(&caller.member_id, now_ms);
        match self.state {
            GroupState::PreparingRebalance { .. } => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Removes a member; its waiting requests fail with UNKNOWN_MEMBER_ID.
    pub(crate) fn handle_leave(&mut self, leaver: &Leaver, now_ms: i64) -> Result<(), ResponseError> {
        if self.promised.remove(&leaver.member_id).is_some() {
            self.complete_join_when_all_are_there(now_ms);
            return Ok(());
        }
        let id = match &leaver.instance_id {
            Some(instance) => {
                let known = self.by_instance(instance).ok_or(ResponseError::UnknownMemberId)?;
                if !leaver.member_id.is_empty() && leaver.member_id != known {
                    return Err(ResponseError::FencedInstanceId);
                }
                known
            }
            None => leaver.member_id.clone(),
        };
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&id, now_ms);
        Ok(())
    }

    /// Checks whether the caller can commit offsets. Without a member id that is possible only in a transaction, or while
    /// the group has no members.
    pub(crate) fn handle_commit(
        &mut self,
        caller: &Caller,
        in_transaction: bool,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let anonymous = caller.generation < 0 && caller.member_id.is_empty() && caller.instance_id.is_none();
        if anonymous && (in_transaction || self.members.is_empty()) {
            return Ok(());
        }
        if caller.generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        self.check_member(caller)?;
        self.heard_of(&caller.member_id, now_ms);
        match self.state {
            GroupState::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        self.check_member(&sync.caller)?;
        let other_type = sync.protocol_type.as_ref().is_some_and(|said| *said != self.protocol_type);
        let other_protocol = sync.protocol.is_some() && sync.protocol != self.protocol;
        match self.state {
            _ if other_type || other_protocol => Err(ResponseError::InconsistentGroupProtocol),
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance { .. } => Err(ResponseError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    fn sync(&mut self, sync: Sync, token: Token, now_ms: i64) {
        let Some(member) = self.members.get_mut(&sync.caller.member_id) else { return };
        member.heard_of(now_ms);
        if let Some(former) = member.syncing.replace(token) {
            let reply = SyncReply::refused(ResponseError::RebalanceInProgress);
            self.replies.push_back((former, Reply::Sync(reply)));
        }
        if self.state == GroupState::CompletingRebalance && sync.caller.member_id == self.leader {
            self.assign(sync.assignments);
        }
        if self.state == GroupState::Stable {
            self.reply_to_syncs(now_ms);
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = GroupState::Stable;
        self.is_new = true;
    }

    fn reply_to_syncs(&mut self, now_ms: i64) {
        for member in self.members.values_mut() {
            let Some(token) = member.syncing.take() else { continue };
            member.heard_of(now_ms);
            let reply = SyncReply {
                error: None,
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            self.replies.push_back((token, Reply::Sync(reply)));
        }
    }

    fn check_member(&self, caller: &Caller) -> Result<(), ResponseError> {
        if let Some(instance) = &caller.instance_id {
            let known = self.by_instance(instance).ok_or(ResponseError::UnknownMemberId)?;
            if known != caller.member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        if !self.members.contains_key(&caller.member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        if caller.generation != self.generation { Err(ResponseError::IllegalGeneration) } else { Ok(()) }
    }

    fn heard_of(&mut self, id: &str, now_ms: i64) {
        if let Some(member) = self.members.get_mut(id) {
            member.heard_of(now_ms);
        }
    }

    pub(super) fn by_instance(&self, instance: &str) -> Option<String> {
        let is = |member: &&Member| member.instance_id.as_deref() == Some(instance);
        self.members.values().find(is).map(|member| member.id.clone())
    }
}

#[cfg(test)]
#[path = "coordinator_tests.rs"]
mod tests;
