//! A group's life: members join, a generation forms, the leader assigns, and so on.
//!
//! Apart because it is still: every `handle_` takes the time, replies are drained by
//! [`Group::poll_reply`], and [`Group::poll_timeout`] says when [`Group::handle_timeout`] is due.
//!
//! ```text
//! Empty → PreparingRebalance → CompletingRebalance → Stable
//!   ↑            ↑    └ all joined, or time is up ┘      │ a member joins, leaves or is not heard of
//!   └ all gone   └────────────────────────────────────────┘
//! ```

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::member::Member;
use super::request::{Caller, Join, JoinReply, Leaver, Reply, Sync, SyncReply, Token};

/// Most members of a group.
const MEMBERS_MAX: usize = 1_000;
/// Kafka's greatest session timeout; its smallest is 6 s, but shorter ones are useful in tests.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 1..=1_800_000;

/// Where a group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    /// Waits for members to join until `deadline_ms`; with `hold` it waits even if all are there.
    PreparingRebalance {
        deadline_ms: i64,
        hold: bool,
    },
    /// Waits for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl Phase {
    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance { .. } => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }
}

/// A consumer group.
#[derive(Debug)]
pub(crate) struct Group {
    phase: Phase,
    generation: i32,
    protocol_type: String,
    protocol: Option<String>,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Member ids that were given out and have not come back, with the time until which they may.
    promised: BTreeMap<String, i64>,
    replies: VecDeque<(Token, Reply)>,
    initial_delay_ms: i64,
}

impl Group {
    pub(crate) fn new(initial_delay_ms: u64) -> Group {
        Group {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: String::new(),
            members: BTreeMap::new(),
            promised: BTreeMap::new(),
            replies: VecDeque::new(),
            initial_delay_ms: i64::try_from(initial_delay_ms).unwrap_or(i64::MAX),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
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

    /// Whether nobody is in it or about to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.promised.is_empty()
    }

    /// The next reply to a request that waits.
    pub(crate) fn poll_reply(&mut self) -> Option<(Token, Reply)> {
        self.replies.pop_front()
    }

    /// When the group must be looked at again.
    pub(crate) fn poll_timeout(&self) -> Option<i64> {
        let rebalance = match self.phase {
            Phase::PreparingRebalance { deadline_ms, .. } => Some(deadline_ms),
            _ => None,
        };
        let members = self.members.values().filter_map(Member::deadline_ms);
        members.chain(self.promised.values().copied()).chain(rebalance).min()
    }

    /// Gives up members that were not heard of, and ends a wait that was long enough.
    pub(crate) fn handle_timeout(&mut self, now_ms: i64) {
        self.promised.retain(|_, deadline_ms| *deadline_ms > now_ms);
        let overdue = |member: &&Member| member.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms);
        let gone: Vec<String> = self.members.values().filter(overdue).map(|member| member.id.clone()).collect();
        for id in gone {
            self.remove(&id, now_ms);
        }
        match self.phase {
            Phase::PreparingRebalance { deadline_ms, .. } if deadline_ms <= now_ms => self.complete_join(now_ms),
            _ => self.complete_join_when_all_are_there(now_ms),
        }
    }

    /// A wish to be in the group; the reply comes when the next generation has formed.
    pub(crate) fn handle_join(&mut self, join: Join, token: Token, now_ms: i64) {
        match self.admit(&join, now_ms) {
            Ok(Admitted::Joining(id)) => self.wait_for_generation(&id, &join, token, now_ms),
            Ok(Admitted::Unchanged(reply)) => self.replies.push_back((token, Reply::Join(reply))),
            Err((error, member_id)) => {
                self.replies.push_back((token, Reply::Join(JoinReply::refused(error, &member_id))));
            }
        }
    }

    /// A wish to know one's assignment; the reply comes when the leader has assigned.
    pub(crate) fn handle_sync(&mut self, sync: Sync, token: Token, now_ms: i64) {
        match self.check_sync(&sync) {
            Err(error) => self.replies.push_back((token, Reply::Sync(SyncReply::refused(error)))),
            Ok(()) => self.sync(sync, token, now_ms),
        }
    }

    /// A sign of life.
    pub(crate) fn handle_heartbeat(&mut self, caller: &Caller, now_ms: i64) -> Result<(), ResponseError> {
        self.check_member(caller)?;
        self.heard_of(&caller.member_id, now_ms);
        match self.phase {
            Phase::PreparingRebalance { .. } => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// One goes; its requests that wait are told that it is unknown.
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

    /// Whether one may commit offsets. One who is no member may when nobody is.
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
        if caller.generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        self.check_member(caller)?;
        self.heard_of(&caller.member_id, now_ms);
        match self.phase {
            Phase::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        self.check_member(&sync.caller)?;
        let other_type = sync.protocol_type.as_ref().is_some_and(|said| *said != self.protocol_type);
        let other_protocol = sync.protocol.is_some() && sync.protocol != self.protocol;
        match self.phase {
            _ if other_type || other_protocol => Err(ResponseError::InconsistentGroupProtocol),
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::PreparingRebalance { .. } => Err(ResponseError::RebalanceInProgress),
            Phase::CompletingRebalance | Phase::Stable => Ok(()),
        }
    }

    fn sync(&mut self, sync: Sync, token: Token, now_ms: i64) {
        let Some(member) = self.members.get_mut(&sync.caller.member_id) else { return };
        member.heard_of(now_ms);
        if let Some(former) = member.syncing.replace(token) {
            let reply = SyncReply::refused(ResponseError::RebalanceInProgress);
            self.replies.push_back((former, Reply::Sync(reply)));
        }
        if self.phase == Phase::CompletingRebalance && sync.caller.member_id == self.leader {
            self.assign(sync.assignments);
        }
        if self.phase == Phase::Stable {
            self.reply_to_syncs(now_ms);
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.phase = Phase::Stable;
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

    fn by_instance(&self, instance: &str) -> Option<String> {
        let is = |member: &&Member| member.instance_id.as_deref() == Some(instance);
        self.members.values().find(is).map(|member| member.id.clone())
    }
}

/// What becomes of one who joins.
enum Admitted {
    /// The member with this id waits for the next generation.
    Joining(String),
    /// Nothing changes; it is told of the generation there is.
    Unchanged(JoinReply),
}

/// Joining.
impl Group {
    fn admit(&mut self, join: &Join, now_ms: i64) -> Result<Admitted, (ResponseError, String)> {
        let refuse = |error| (error, join.member_id.clone());
        self.check_join(join).map_err(refuse)?;
        let same_instance = join.instance_id.as_ref().and_then(|instance| self.by_instance(instance));
        match (join.member_id.is_empty(), same_instance) {
            (true, Some(old)) => Ok(self.replace_static(&old, join, now_ms)),
            (true, None) => self.admit_new(join, now_ms),
            (false, Some(known)) if known != join.member_id => Err(refuse(ResponseError::FencedInstanceId)),
            (false, _) => self.admit_known(join, now_ms).map_err(refuse),
        }
    }

    fn check_join(&self, join: &Join) -> Result<(), ResponseError> {
        if !SESSION_TIMEOUT_MS.contains(&join.session_timeout_ms) {
            return Err(ResponseError::InvalidSessionTimeout);
        }
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let others = || self.members.values().filter(|member| member.id != join.member_id);
        let common = |protocol: &str| others().all(|member| member.supports(protocol));
        let fits = others().next().is_none()
            || (join.protocol_type == self.protocol_type && join.protocols.iter().any(|(name, _)| common(name)));
        if fits { Ok(()) } else { Err(ResponseError::InconsistentGroupProtocol) }
    }

    fn admit_new(&mut self, join: &Join, now_ms: i64) -> Result<Admitted, (ResponseError, String)> {
        if self.members.len() + self.promised.len() >= MEMBERS_MAX {
            return Err((ResponseError::GroupMaxSizeReached, String::new()));
        }
        let id = join.fresh_member_id.clone();
        if join.id_required && join.instance_id.is_none() {
            self.promised.insert(id.clone(), now_ms + i64::from(join.session_timeout_ms));
            return Err((ResponseError::MemberIdRequired, id));
        }
        self.members.insert(id.clone(), Member::new(id.clone(), join, now_ms));
        Ok(Admitted::Joining(id))
    }

    fn admit_known(&mut self, join: &Join, now_ms: i64) -> Result<Admitted, ResponseError> {
        let id = &join.member_id;
        if self.promised.remove(id).is_some() {
            self.members.insert(id.clone(), Member::new(id.clone(), join, now_ms));
            return Ok(Admitted::Joining(id.clone()));
        }
        let leads = *id == self.leader;
        let member = self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        let unchanged = member.protocols == join.protocols;
        member.update(join, now_ms);
        match self.phase {
            Phase::CompletingRebalance if unchanged => Ok(Admitted::Unchanged(self.join_reply(id))),
            Phase::Stable if unchanged && !leads => Ok(Admitted::Unchanged(self.join_reply(id))),
            _ => Ok(Admitted::Joining(id.clone())),
        }
    }

    /// A static member that comes back takes its own place under a new id; the old id is fenced. When it
    /// can do what it could, nobody else has to notice.
    fn replace_static(&mut self, old: &str, join: &Join, now_ms: i64) -> Admitted {
        let Some(mut member) = self.members.remove(old) else { return Admitted::Joining(String::new()) };
        let fenced = ResponseError::FencedInstanceId;
        if let Some(token) = member.joining.take() {
            self.replies.push_back((token, Reply::Join(JoinReply::refused(fenced, old))));
        }
        if let Some(token) = member.syncing.take() {
            self.replies.push_back((token, Reply::Sync(SyncReply::refused(fenced))));
        }
        let protocol = self.protocol.as_deref();
        let metadata = member.metadata(protocol);
        member.id.clone_from(&join.fresh_member_id);
        member.update(join, now_ms);
        let unchanged = member.metadata(protocol) == metadata && self.phase == Phase::Stable;
        let (id, led) = (member.id.clone(), self.leader == old);
        self.members.insert(id.clone(), member);
        if led {
            self.leader.clone_from(&id);
        }
        if unchanged { Admitted::Unchanged(self.static_reply(&id, old, led, join)) } else { Admitted::Joining(id) }
    }

    /// A client that cannot skip the assignment must not hear that it leads, or it would assign to a
    /// stable group; it is told the id it had.
    fn static_reply(&self, id: &str, old: &str, led: bool, join: &Join) -> JoinReply {
        let reply = self.join_reply(id);
        match (led, join.can_skip_assignment) {
            (true, true) => JoinReply { skip_assignment: true, ..reply },
            (true, false) => JoinReply { leader: old.to_owned(), members: Vec::new(), ..reply },
            (false, _) => reply,
        }
    }

    fn wait_for_generation(&mut self, id: &str, join: &Join, token: Token, now_ms: i64) {
        self.protocol_type.clone_from(&join.protocol_type);
        let former = self.members.get_mut(id).and_then(|member| member.joining.replace(token));
        if let Some(former) = former {
            let reply = JoinReply::refused(ResponseError::RebalanceInProgress, id);
            self.replies.push_back((former, Reply::Join(reply)));
        }
        self.prepare_rebalance(now_ms);
        self.complete_join_when_all_are_there(now_ms);
    }
}

/// Rebalancing.
impl Group {
    fn prepare_rebalance(&mut self, now_ms: i64) {
        if let Phase::PreparingRebalance { .. } = self.phase {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(token) = member.syncing.take() {
                member.heard_of(now_ms);
                let reply = SyncReply::refused(ResponseError::RebalanceInProgress);
                self.replies.push_back((token, Reply::Sync(reply)));
            }
        }
        let hold = self.phase == Phase::Empty && self.initial_delay_ms > 0;
        let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        let wait_ms = if hold { self.initial_delay_ms } else { i64::from(timeout_ms.max(0)) };
        self.phase = Phase::PreparingRebalance { deadline_ms: now_ms + wait_ms, hold };
    }

    fn complete_join_when_all_are_there(&mut self, now_ms: i64) {
        let waits = matches!(self.phase, Phase::PreparingRebalance { hold: false, .. });
        let all = self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if waits && all {
            self.complete_join(now_ms);
        }
    }

    /// Forms a generation of those who have joined. Static members stay even if they have not, until
    /// their session ends.
    fn complete_join(&mut self, now_ms: i64) {
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
        self.phase = Phase::CompletingRebalance;
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

    /// Nobody has joined: the group is empty, or only static members are left that may come back.
    fn wait_for_static_members(&mut self, now_ms: i64) {
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            self.protocol = None;
            self.leader.clear();
        } else {
            let timeout_ms = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
            let deadline_ms = now_ms + i64::from(timeout_ms.max(1));
            self.phase = Phase::PreparingRebalance { deadline_ms, hold: false };
        }
    }

    /// The protocol that everyone supports and most prefer.
    fn vote(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let supported = |name: &str| self.members.values().all(|other| other.supports(name));
            let choice = member.protocols.iter().map(|(name, _)| name.as_str()).find(|name| supported(name));
            *votes.entry(choice?).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
    }

    fn join_reply(&self, id: &str) -> JoinReply {
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

    fn remove(&mut self, id: &str, now_ms: i64) {
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

#[cfg(test)]
#[path = "coordinator_tests.rs"]
mod tests;
