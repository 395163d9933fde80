//! The state machine of a group: heartbeats and the time go in, replies come out.
//!
//! Separate because it decides who is a member, and when there is a new assignment; `member` carries it out.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::assignor::{Assignor, Reader};
use super::heartbeat::{AWAY, Catalog, Heartbeat, HeartbeatReply, LEAVING, Partitions, Refusal, TopicShape};
use super::member::Member;
use crate::group::joining::MEMBERS_MAX;
use crate::group::request::{Caller, Leaver};

/// A consumer group.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    members: BTreeMap<String, Member>,
    epoch: i32,
    /// The epoch of the targets.
    target_epoch: i32,
    targets: BTreeMap<String, Partitions>,
    /// The topics that members subscribe to, as far as they exist.
    topics: BTreeMap<String, TopicShape>,
    session_timeout_ms: i64,
    /// When the last member left; `None` while there are members, or if there never were any.
    empty_since_ms: Option<i64>,
}

impl ConsumerGroup {
    pub(in crate::group) fn new(session_timeout_ms: u64, empty_since_ms: Option<i64>) -> ConsumerGroup {
        ConsumerGroup {
            members: BTreeMap::new(),
            epoch: 0,
            target_epoch: 0,
            targets: BTreeMap::new(),
            topics: BTreeMap::new(),
            session_timeout_ms: i64::try_from(session_timeout_ms).unwrap_or(i64::MAX),
            empty_since_ms,
        }
    }

    /// The group's state by its name in Kafka.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.has_reached(self.epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What a member will have when others have given it up.
    pub(crate) fn target(&self, member: &str) -> Partitions {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// The name of a topic that members read.
    pub(crate) fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, shape)| shape.id == id).map(|(name, _)| name.as_str())
    }

    /// The topics that members subscribe to.
    pub(in crate::group) fn subscribed_topics(&self) -> BTreeSet<String> {
        let by_name = self.members.values().flat_map(|member| member.subscription.topics.iter());
        by_name.chain(self.topics.keys()).cloned().collect()
    }

    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::group) fn empty_since_ms(&self) -> Option<i64> {
        self.empty_since_ms
    }

    /// The assignor that most members prefer.
    pub(crate) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        self.members.values().filter_map(|member| member.assignor).for_each(|one| *votes.entry(one).or_default() += 1);
        let most = votes.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map(|(assignor, _)| assignor).unwrap_or_default()
    }

    /// When [`ConsumerGroup::handle_timeout`] must be called next.
    pub(in crate::group) fn poll_timeout(&self) -> Option<i64> {
        self.members.values().map(Member::deadline_ms).min()
    }

    /// Removes the members that are not heard of any more, or have not given up partitions in time.
    pub(in crate::group) fn handle_timeout(&mut self, now_ms: i64) {
        let overdue = self.members.values().filter(|member| member.deadline_ms() <= now_ms);
        let overdue: Vec<String> = overdue.map(|member| member.id.clone()).collect();
        overdue.iter().for_each(|id| self.remove(id, now_ms));
    }

    /// Has a member join, stay or leave, and says what it may read.
    pub(in crate::group) fn handle_heartbeat(
        &mut self,
        beat: &Heartbeat,
        catalog: &dyn Catalog,
        now_ms: i64,
    ) -> Result<HeartbeatReply, Refusal> {
        let parsed = beat.parse()?;
        if beat.epoch == LEAVING || beat.epoch == AWAY {
            return self.leave(beat, now_ms);
        }
        self.admit(beat)?;
        let mut member =
            self.members.remove(&beat.member_id).ok_or_else(|| Refusal::unknown_member(&beat.member_id))?;
        let has_changed = member.update(beat, parsed);
        member.session_deadline_ms = now_ms.saturating_add(self.session_timeout_ms);
        self.members.insert(beat.member_id.clone(), member);
        self.empty_since_ms = None;
        self.assign(has_changed, catalog);
        self.advance(beat, now_ms)
    }

    /// Removes a member at the request of an administrator.
    pub(in crate::group) fn handle_leave(&mut self, leaver: &Leaver, now_ms: i64) -> Result<(), ResponseError> {
        let id = match &leaver.instance_id {
            Some(instance) => self.by_instance(instance).ok_or(ResponseError::UnknownMemberId)?,
            None => leaver.member_id.clone(),
        };
        if !leaver.member_id.is_empty() && leaver.member_id != id {
            return Err(ResponseError::FencedInstanceId);
        }
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&id, now_ms);
        Ok(())
    }

    /// Checks whether the caller can commit offsets. Without a member id that is possible only in a transaction, or while the group has
    /// no members.
    pub(in crate::group) fn check_commit(&self, caller: &Caller, in_transaction: bool) -> Result<(), ResponseError> {
        let is_anonymous = caller.generation < 0 && caller.member_id.is_empty() && caller.instance_id.is_none();
        if (in_transaction && is_anonymous) || (caller.generation < 0 && self.members.is_empty()) {
            return Ok(());
        }
        self.check_member(&caller.member_id, caller.generation)
    }

    /// Checks whether the epoch of a member is the present one.
    pub(in crate::group) fn check_member(&self, id: &str, epoch: i32) -> Result<(), ResponseError> {
        let member = self.members.get(id).ok_or(ResponseError::UnknownMemberId)?;
        if member.epoch == epoch { Ok(()) } else { Err(ResponseError::StaleMemberEpoch) }
    }

    fn admit(&mut self, beat: &Heartbeat) -> Result<(), Refusal> {
        if !beat.joins() {
            return self.known(beat)?.check_epoch(beat);
        }
        let same_instance = beat.instance_id.as_ref().and_then(|instance| self.by_instance(instance));
        if let Some(former) = same_instance {
            return self.replace_static(&former, beat);
        }
        if !self.members.contains_key(&beat.member_id) && self.members.len() >= MEMBERS_MAX {
            let message = "The consumer group has reached its maximum capacity.";
            return Err(Refusal::new(ResponseError::GroupMaxSizeReached, message));
        }
        self.members.entry(beat.member_id.clone()).or_insert_with(|| Member::new(beat)).begin_again();
        Ok(())
    }

    /// A static member that is away comes back, usually under another id, and has the same target.
    fn replace_static(&mut self, former: &str, beat: &Heartbeat) -> Result<(), Refusal> {
        if self.members.get(former).is_some_and(|member| member.epoch != AWAY) {
            let message = format!("Static member {former} is still in the group.");
            return Err(Refusal::new(ResponseError::UnreleasedInstanceId, message));
        }
        if let Some(mut member) = self.members.remove(former) {
            member.begin_again();
            member.id.clone_from(&beat.member_id);
            self.members.insert(beat.member_id.clone(), member);
        }
        if let Some(target) = self.targets.remove(former) {
            self.targets.insert(beat.member_id.clone(), target);
        }
        Ok(())
    }

    /// The member that sends a heartbeat.
    fn known(&self, beat: &Heartbeat) -> Result<&Member, Refusal> {
        if let Some(instance) = &beat.instance_id {
            let known = self.by_instance(instance).ok_or_else(|| Refusal::unknown_member(&beat.member_id))?;
            if known != beat.member_id {
                let message = format!("Static member {} was replaced by {known}.", beat.member_id);
                return Err(Refusal::new(ResponseError::FencedInstanceId, message));
            }
        }
        self.members.get(&beat.member_id).ok_or_else(|| Refusal::unknown_member(&beat.member_id))
    }

    fn leave(&mut self, beat: &Heartbeat, now_ms: i64) -> Result<HeartbeatReply, Refusal> {
        let id = self.known(beat)?.id.clone();
        match self.members.get_mut(&id).filter(|_| beat.epoch == AWAY) {
            // Nobody else gets its partitions until its session expires.
            Some(member) => member.go_away(now_ms.saturating_add(self.session_timeout_ms)),
            None => self.remove(&id, now_ms),
        }
        Ok(HeartbeatReply { member_id: id, epoch: beat.epoch, assignment: None })
    }

    fn remove(&mut self, id: &str, now_ms: i64) {
        self.members.remove(id);
        self.targets.remove(id);
        self.epoch += 1;
        if self.members.is_empty() {
            self.empty_since_ms = Some(now_ms);
            self.topics.clear();
        }
    }

    /// Computes the targets of all members, if anything has changed on which they depend.
    fn assign(&mut self, has_changed: bool, catalog: &dyn Catalog) {
        let mut resolved: Vec<(&Member, BTreeMap<String, TopicShape>)> =
            self.members.values().map(|member| (member, member.subscription.resolve(catalog))).collect();
        let topics: BTreeMap<String, TopicShape> = resolved.iter().flat_map(|(_, topics)| topics.clone()).collect();
        if has_changed || topics != self.topics {
            self.epoch += 1;
        }
        if self.epoch == self.target_epoch {
            return;
        }
        // Static members come first: who they are does not change with a restart.
        resolved.sort_by_key(|(member, _)| (member.instance_id.is_none(), &member.instance_id, &member.id));
        let shapes = |topics: BTreeMap<String, TopicShape>| topics.into_values().map(|one| (one.id, one.partitions));
        let readers =
            resolved.into_iter().map(|(member, topics)| Reader { id: &member.id, topics: shapes(topics).collect() });
        let readers: Vec<Reader<'_>> = readers.collect();
        self.targets = self.assignor().assign(&readers, &self.targets);
        self.topics = topics;
        self.target_epoch = self.epoch;
    }

    fn advance(&mut self, beat: &Heartbeat, now_ms: i64) -> Result<HeartbeatReply, Refusal> {
        let target = self.target(&beat.member_id);
        let mut member =
            self.members.remove(&beat.member_id).ok_or_else(|| Refusal::unknown_member(&beat.member_id))?;
        let former = member.assigned.clone();
        let others = &self.members;
        let is_free = |partition: &_| others.values().all(|other| !other.has(partition));
        member.advance((&target, self.target_epoch), beat.owned.as_ref(), is_free, now_ms);
        let is_news = beat.is_full() || member.assigned != former;
        let assignment = is_news.then(|| member.assigned.clone());
        let reply = HeartbeatReply { member_id: member.id.clone(), epoch: member.epoch, assignment };
        self.members.insert(beat.member_id.clone(), member);
        Ok(reply)
    }

    fn by_instance(&self, instance: &str) -> Option<String> {
        let is = |member: &&Member| member.instance_id.as_deref() == Some(instance);
        self.members.values().find(is).map(|member| member.id.clone())
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
