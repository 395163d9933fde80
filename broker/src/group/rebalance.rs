//! A rebalance: waiting for members, choosing the protocol and the leader, and replying to everyone.
//!
//! Separate from the coordinator because it works the same whatever triggered it: a join, a leave or a timeout.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::coordinator::{Group, GroupState};
use super::request::{JoinReply, Reply, SyncReply};

impl Group {
    pub(super) fn prepare_rebalance(&mut self, now_ms: i64) {
        if let GroupState::PreparingRebalance { .. } = self.state {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(token) = member.syncing.take() {
                member.heard_of(now_ms);
                let reply = SyncReply::refused(ResponseError::RebalanceInProgress);
                self.replies.push_back((token, Reply::Sync(reply)));
            }
        }
        let hold = self.state == GroupState::Empty && self.initial_delay_ms > 0;
        let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        let wait_ms = if hold { self.initial_delay_ms } else { i64::from(timeout_ms.max(0)) };
        self.state = GroupState::PreparingRebalance { deadline_ms: now_ms + wait_ms, hold };
    }

    pub(super) fn complete_join_when_all_are_there(&mut self, now_ms: i64) {
        let waits = matches!(self.state, GroupState::PreparingRebalance { hold: false, .. });
        let all = self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if waits && all {
            self.complete_join(now_ms);
        }
    }

    /// Completes a generation with the members that have joined. Static members that have not joined stay until their
    /// session expires.
    pub(super) fn complete_join(&mut self, now_ms: i64) {
        self.members.retain(|_, member| member.joining.is_some() || member.instance_id.is_some());
        self.generation += 1;
        if self.members.values().all(|member| member.joining.is_none()) {
            return self.wait_for_static_members(now_ms);
        }
        self.protocol = self.vote();
        if self.members.get(&self.leader).is_none_or(|leader| leader.joining.is_none()) {
            let joined = self.members.values().find(|member| member.joining.is_some());
            self.leader = joined.map(|member| member.id.clone()).unwrap_or_default();
        }
        self.state = GroupState::CompletingRebalance;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.join_reply(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment = Bytes::new();
            if let Some(token) = member.joining.take() {
                member.heard_of(now_ms);
                self.replies.push_back((token, Reply::Join(reply)));
            }
        }
    }

    /// Nobody has joined: the group is empty, or only static members are left, which may come back.
    fn wait_for_static_members(&mut self, now_ms: i64) {
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.empty_since_ms = Some(now_ms);
            self.is_new = true;
            self.protocol = None;
            self.leader.clear();
        } else {
            let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
            let deadline_ms = now_ms + i64::from(timeout_ms.max(1));
            self.state = GroupState::PreparingRebalance { deadline_ms, hold: false };
        }
    }

    /// The protocol that all members support and most prefer.
    fn vote(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let supported = |name: &str| self.members.values().all(|other| other.supports(name));
            let choice = member.protocols.iter().map(|(name, _)| name.as_str()).find(|name| supported(name));
            *votes.entry(choice?).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
    }

    pub(super) fn join_reply(&self, id: &str) -> JoinReply {
        let protocol = self.protocol.as_deref();
        let everyone = || self.members.values().map(|member| member.seen_by_leader(protocol)).collect();
        JoinReply {
            error: None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members: if id == self.leader { everyone() } else { Vec::new() },
        }
    }

    pub(super) fn remove(&mut self, id: &str, now_ms: i64) {
        let Some(member) = self.members.remove(id) else { return };
        let unknown = ResponseError::UnknownMemberId;
        if let Some(token) = member.joining {
            self.replies.push_back((token, Reply::Join(JoinReply::refused(unknown, id))));
        }
        if let Some(token) = member.syncing {
            self.replies.push_back((token, Reply::Sync(SyncReply::refused(unknown))));
        }
        if self.leader == id {
            self.leader.clear();
        }
        self.prepare_rebalance(now_ms);
        self.complete_join_when_all_are_there(now_ms);
    }
}
