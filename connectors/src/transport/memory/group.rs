//! A consumer group: its members, the assignment of partitions, and the committed offsets.
//!
//! It has no clock and no threads: members join, leave and release by calls, their events wait until they poll, and
//! nothing happens by time.
//!
//! ```text
//! Waiting → Assigned → Holding → Revoking → Revoked → Waiting
//!              └ another rebalance before the member has polled: back to Waiting, without an event
//! ```
//!
//! A rebalance begins when a member joins or leaves, and ends when every member waits: then the generation increases
//! and the partitions are assigned again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_formats::record::TopicPartition;

use super::range;
use crate::transport::{MemberEvent, Position};

/// A member, numbered in the order of joining; never reused within a group.
pub(super) type MemberId = u64;

/// A member and a generation: the member may commit as long as the group is in this generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemberGeneration {
    /// The member.
    pub member: MemberId,
    /// The generation of the assignment.
    pub generation: u64,
}

/// A consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    generation: u64,
    joined: MemberId,
    members: BTreeMap<MemberId, Joined>,
    offsets: BTreeMap<TopicPartition, Position>,
    /// Number of partitions of each topic when they were last assigned.
    shared: BTreeMap<Arc<str>, i32>,
}

#[derive(Debug)]
struct Joined {
    topics: Vec<Arc<str>>,
    /// The process that the member belongs to.
    process: Arc<str>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Has no partitions until the next generation.
    Waiting,
    /// Has not seen its assignment yet.
    Assigned(Vec<TopicPartition>),
    /// Has seen its assignment.
    Holding,
    /// Has not seen yet that its partitions are revoked.
    Revoking,
    /// Has seen the revocation.
    Revoked,
}

impl Group {
    /// Adds a member, which waits for the next generation.
    pub(super) fn join(&mut self, topics: Vec<Arc<str>>, process: Arc<str>) -> MemberId {
        self.joined += 1;
        self.members.insert(self.joined, Joined { topics, process, state: State::Waiting });
        self.begin_rebalance();
        self.joined
    }

    /// Number of members.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// Whether it has neither members nor offsets.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.offsets.is_empty()
    }

    /// Removes a member, whatever it holds.
    pub(super) fn leave(&mut self, member: MemberId) {
        if self.members.remove(&member).is_some() {
            self.begin_rebalance();
        }
    }

    /// Removes all members of a process, without an event.
    pub(super) fn expire(&mut self, process: &str) {
        let before = self.members.len();
        self.members.retain(|_, joined| &*joined.process != process);
        if self.members.len() < before {
            self.begin_rebalance();
        }
    }

    /// Whether the member is in the group.
    pub(super) fn is_member(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// The next event of a member; each is returned once.
    pub(super) fn take_event(&mut self, member: MemberId) -> Option<MemberEvent> {
        let state = &mut self.members.get_mut(&member)?.state;
        let (event, next) = match std::mem::replace(state, State::Waiting) {
            State::Assigned(partitions) => (Some(MemberEvent::Assigned(partitions)), State::Holding),
            State::Revoking => (Some(MemberEvent::Revoked), State::Revoked),
            quiet => (None, quiet),
        };
        *state = next;
        event
    }

    /// Confirms that a member released what was revoked; false if nothing was.
    pub(super) fn release(&mut self, member: MemberId) -> bool {
        let joined = self.members.get_mut(&member).filter(|joined| matches!(joined.state, State::Revoked));
        let Some(joined) = joined else { return false };
        joined.state = State::Waiting;
        true
    }

    /// A member and its current generation.
    pub(super) fn generation_of(&self, member: MemberId) -> MemberGeneration {
        MemberGeneration { member, generation: self.generation }
    }

    /// Whether offsets may be committed by this member and generation.
    pub(super) fn is_current(&self, member: MemberGeneration) -> bool {
        member.generation == self.generation && self.is_member(member.member)
    }

    /// Assigns the partitions once every member waits. `partitions` returns the number of partitions of a topic.
    pub(super) fn settle(&mut self, partitions: impl Fn(&str) -> i32) {
        let waits = |joined: &Joined| matches!(joined.state, State::Waiting);
        if self.members.is_empty() || !self.members.values().all(waits) {
            return;
        }
        self.generation += 1;
        let topics = self.members.values().flat_map(|joined| &joined.topics);
        self.shared = topics.map(|topic| (Arc::clone(topic), partitions(topic))).collect();
        let mut shares = self.shares(partitions);
        for (member, joined) in &mut self.members {
            joined.state = State::Assigned(shares.remove(member).unwrap_or_default());
        }
    }

    /// The position committed for a partition.
    pub(super) fn offset(&self, partition: &TopicPartition) -> Option<Position> {
        self.offsets.get(partition).cloned()
    }

    /// Forgets all committed offsets.
    pub(super) fn forget_offsets(&mut self) {
        self.offsets.clear();
    }

    /// Begins a rebalance when a topic has more partitions than were assigned.
    pub(super) fn refresh(&mut self, partitions: impl Fn(&str) -> i32) {
        if self.shared.iter().any(|(topic, shared)| partitions(topic) != *shared) {
            self.begin_rebalance();
        }
    }

    /// Commits offsets.
    pub(super) fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) {
        self.offsets.extend(offsets.iter().map(|(partition, position)| (partition.clone(), position.clone())));
    }

    /// Revokes the partitions of every member. An assignment that a member has not seen is withdrawn without an event.
    fn begin_rebalance(&mut self) {
        for joined in self.members.values_mut() {
            joined.state = match std::mem::replace(&mut joined.state, State::Waiting) {
                State::Assigned(_) | State::Waiting => State::Waiting,
                State::Holding | State::Revoking => State::Revoking,
                State::Revoked => State::Revoked,
            };
        }
    }

    fn shares(&self, partitions: impl Fn(&str) -> i32) -> BTreeMap<MemberId, Vec<TopicPartition>> {
        let topics: BTreeSet<_> = self.members.values().flat_map(|joined| &joined.topics).collect();
        let mut shares: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for topic in topics {
            let wants = |(_, joined): &(&MemberId, &Joined)| joined.topics.contains(topic);
            let wanting: Vec<_> = self.members.iter().filter(wants).map(|(member, _)| *member).collect();
            for (member, share) in wanting.iter().zip(range::shares(partitions(topic), wanting.len())) {
                let named = share.map(|partition| TopicPartition::new(Arc::clone(topic), partition));
                shares.entry(*member).or_default().extend(named);
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group: &mut Group, process: &str) -> MemberId {
        let member = group.join(vec!["t".into()], process.into());
        group.settle(|_| 3);
        member
    }

    fn assigned(group: &mut Group, member: MemberId) -> Vec<i32> {
        match group.take_event(member) {
            Some(MemberEvent::Assigned(partitions)) => partitions.iter().map(|p| p.partition).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn give_up(group: &mut Group, member: MemberId) {
        assert_eq!(group.take_event(member), Some(MemberEvent::Revoked));
        assert!(group.release(member));
        group.settle(|_| 3);
    }

    #[test]
    fn a_second_member_waits_until_the_first_has_released() {
        let mut group = Group::default();
        let first = join(&mut group, "a");
        assert_eq!(assigned(&mut group, first), [0, 1, 2]);
        let member = group.generation_of(first);
        let second = join(&mut group, "b");
        assert_eq!(group.take_event(second), None);
        assert!(!group.release(first), "it has not seen the revocation yet");
        assert!(group.is_current(member), "what was done so far may be committed");
        give_up(&mut group, first);
        assert!(!group.is_current(member));
        assert_eq!((assigned(&mut group, first), assigned(&mut group, second)), (vec![0, 1], vec![2]));
    }

    #[test]
    fn an_assignment_that_was_not_seen_is_not_revoked() {
        let mut group = Group::default();
        let first = join(&mut group, "a");
        let second = join(&mut group, "a");
        assert_eq!((assigned(&mut group, first), assigned(&mut group, second)), (vec![0, 1], vec![2]));
    }

    #[test]
    fn an_expired_process_does_not_delay_the_others() {
        let mut group = Group::default();
        let first = join(&mut group, "a");
        assigned(&mut group, first);
        let member = group.generation_of(first);
        let second = join(&mut group, "b");
        group.expire("a");
        group.settle(|_| 3);
        assert!(!group.is_member(first) && !group.is_current(member));
        assert_eq!(assigned(&mut group, second), [0, 1, 2]);
    }

    #[test]
    fn a_surplus_member_has_no_partitions_but_must_release() {
        let mut group = Group::default();
        let members = [(); 4].map(|()| join(&mut group, "a"));
        let shares = members.map(|member| assigned(&mut group, member));
        assert_eq!(shares, [vec![0], vec![1], vec![2], vec![]]);
        group.leave(members[0]);
        for member in &members[1..] {
            give_up(&mut group, *member);
        }
        assert_eq!(assigned(&mut group, members[3]), [2]);
    }
}
