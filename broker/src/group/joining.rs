//! Joining a group: new members, existing members, and static members that come back.
//!
//! Separate from the coordinator because most rules for clients of different versions are here. Like the coordinator,
//! it does no I/O.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::coordinator::{Group, GroupState};
use super::member::Member;
use super::request::{Join, JoinReply, Reply, SyncReply, Token};
use super::subscription::{CONSUMER, subscribed};

/// The maximum number of members in a group.
pub(super) const MEMBERS_MAX: usize = 1_000;
/// The maximum is Kafka's; its minimum is 6 s, but shorter timeouts are useful in tests.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 1..=1_800_000;

/// The result of a join request that was accepted.
enum Admitted {
    /// The member with this id waits for the next generation.
    Joining(String),
    /// Nothing changes; the member gets the current generation.
    Unchanged(JoinReply),
}

impl Group {
    /// Handles a request to join the group; the reply comes when the next generation is complete.
    pub(crate) fn handle_join(&mut self, join: Join, token: Token, now_ms: i64) {
        match self.admit(&join, now_ms) {
            Ok(Admitted::Joining(id)) => self.wait_for_generation(&id, &join, token, now_ms),
            Ok(Admitted::Unchanged(reply)) => self.replies.push_back((token, Reply::Join(reply))),
            Err((error, member_id)) => {
                self.replies.push_back((token, Reply::Join(JoinReply::refused(error, &member_id))));
            }
        }
    }

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
        match self.state {
            GroupState::CompletingRebalance if unchanged => Ok(Admitted::Unchanged(self.join_reply(id))),
            GroupState::Stable if unchanged && !leads => Ok(Admitted::Unchanged(self.join_reply(id))),
            _ => Ok(Admitted::Joining(id.clone())),
        }
    }

    /// A static member that comes back replaces its former self under a new member id, and the old id is fenced. If its
    /// subscription is unchanged, no rebalance is needed.
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
        let unchanged = self.state == GroupState::Stable && self.wants_same(&metadata, &member.metadata(protocol));
        let (id, led) = (member.id.clone(), self.leader == old);
        self.members.insert(id.clone(), member);
        if led {
            self.leader.clone_from(&id);
        }
        self.is_new |= unchanged;
        if unchanged { Admitted::Unchanged(self.static_reply(&id, old, led, join)) } else { Admitted::Joining(id) }
    }

    /// Whether a member wants what it wanted before. Consumers also say which partitions they have, which a start changes.
    fn wants_same(&self, before: &Bytes, now: &Bytes) -> bool {
        let topics = |metadata: &Bytes| subscribed(metadata.clone());
        before == now || self.protocol_type == CONSUMER && topics(before).is_some() && topics(before) == topics(now)
    }

    /// A client that cannot skip the assignment must not learn that it is the leader, or it would send an assignment to
    /// a stable group. It is told that the leader is its old member id.
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
        self.empty_since_ms = None;
        let former = self.members.get_mut(id).and_then(|member| member.joining.replace(token));
        if let Some(former) = former {
            let reply = JoinReply::refused(ResponseError::RebalanceInProgress, id);
            self.replies.push_back((former, Reply::Join(reply)));
        }
        self.prepare_rebalance(now_ms);
        self.complete_join_when_all_are_there(now_ms);
    }
}
