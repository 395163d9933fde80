//! A consumer group: who is in it, whose each partition is, and the offsets committed under it.
//!
//! Apart because it is still: members join, leave and release by calls, their events wait
//! until they poll, and nothing happens by time.
//!
//! ```text
//! Waiting → Assigned → Holding → Revoked → Waiting
//!              └ another rebalance before the member has asked: it never knew ┘
//! ```
//!
//! A rebalance begins when a member comes or goes, and ends when every member waits: then the generation rises
//! and the partitions are shared out again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_formats::record::TopicPartition;

use super::range;
use crate::transport::{MemberEvent, Position};

/// A member, numbered in the order of joining; never used twice in a group.
pub(super) type MemberId = u64;

/// A member's place: it may commit as long as both are the group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Who.
    pub member: MemberId,
    /// In which sharing out.
    pub generation: u64,
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    generation: u64,
    joined: MemberId,
    members: BTreeMap<MemberId, Seat>,
    offsets: BTreeMap<TopicPartition, Position>,
    /// Partitions of each topic when they were last shared out.
    shared: BTreeMap<Arc<str>, i32>,
}

#[derive(Debug)]
struct Seat {
    topics: Vec<Arc<str>>,
    /// The process that the member lives and dies with.
    process: Arc<str>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Has nothing, until the next generation.
    Waiting,
    /// Has not seen its assignment yet.
    Assigned(Vec<TopicPartition>),
    /// Knows what it has.
    Holding,
    /// Has not seen that its partitions are revoked yet.
    Revoking,
    /// Knows that it must.
    Revoked,
}

impl Group {
    /// Takes a member in; it waits for the next generation.
    pub(super) fn join(&mut self, topics: Vec<Arc<str>>, process: Arc<str>) -> MemberId {
        self.joined += 1;
        self.members.insert(self.joined, Seat { topics, process, state: State::Waiting });
        self.begin_rebalance();
        self.joined
    }

    /// How many there are.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// A member goes, whatever it holds.
    pub(super) fn leave(&mut self, member: MemberId) {
        if self.members.remove(&member).is_some() {
            self.begin_rebalance();
        }
    }

    /// All members of a process go, without a word to them.
    pub(super) fn expire(&mut self, process: &str) {
        let before = self.members.len();
        self.members.retain(|_, seat| &*seat.process != process);
        if self.members.len() < before {
            self.begin_rebalance();
        }
    }

    /// True when the member is in the group.
    pub(super) fn is_member(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// The next event of a member, which is returned once.
    pub(super) fn take_event(&mut self, member: MemberId) -> Option<MemberEvent> {
        let state = &mut self.members.get_mut(&member)?.state;
        let (told, next) = match std::mem::replace(state, State::Waiting) {
            State::Assigned(partitions) => (Some(MemberEvent::Assigned(partitions)), State::Holding),
            State::Revoking => (Some(MemberEvent::Revoked), State::Revoked),
            quiet => (None, quiet),
        };
        *state = next;
        told
    }

    /// A member gives up what was revoked; false when nothing was.
    pub(super) fn release(&mut self, member: MemberId) -> bool {
        let seat = self.members.get_mut(&member).filter(|seat| matches!(seat.state, State::Revoked));
        let Some(seat) = seat else { return false };
        seat.state = State::Waiting;
        true
    }

    /// The place that a member has now.
    pub(super) fn place(&self, member: MemberId) -> Place {
        Place { member, generation: self.generation }
    }

    /// True when offsets may be committed from this place.
    pub(super) fn is_current(&self, place: Place) -> bool {
        place.generation == self.generation && self.is_member(place.member)
    }

    /// Shares the partitions out when every member waits. `partitions` gives the number of a topic's partitions.
    pub(super) fn settle(&mut self, partitions: impl Fn(&str) -> i32) {
        let waits = |seat: &Seat| matches!(seat.state, State::Waiting);
        if self.members.is_empty() || !self.members.values().all(waits) {
            return;
        }
        self.generation += 1;
        let topics = self.members.values().flat_map(|seat| &seat.topics);
        self.shared = topics.map(|topic| (Arc::clone(topic), partitions(topic))).collect();
        let mut shares = self.shares(partitions);
        for (member, seat) in &mut self.members {
            seat.state = State::Assigned(shares.remove(member).unwrap_or_default());
        }
    }

    /// The place committed for a partition.
    pub(super) fn offset(&self, partition: &TopicPartition) -> Option<Position> {
        self.offsets.get(partition).cloned()
    }

    /// Nothing was ever committed, as far as anybody can see.
    pub(super) fn forget_offsets(&mut self) {
        self.offsets.clear();
    }

    /// Begins a rebalance when a topic has more partitions than were shared out.
    pub(super) fn refresh(&mut self, partitions: impl Fn(&str) -> i32) {
        if self.shared.iter().any(|(topic, shared)| partitions(topic) != *shared) {
            self.begin_rebalance();
        }
    }

    /// Commits offsets.
    pub(super) fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) {
        self.offsets.extend(offsets.iter().map(|(partition, place)| (partition.clone(), place.clone())));
    }

    /// Revokes the partitions of every member. An assignment that a member has not seen never happened.
    fn begin_rebalance(&mut self) {
        for seat in self.members.values_mut() {
            seat.state = match std::mem::replace(&mut seat.state, State::Waiting) {
                State::Assigned(_) | State::Waiting => State::Waiting,
                State::Holding | State::Revoking => State::Revoking,
                State::Revoked => State::Revoked,
            };
        }
    }

    fn shares(&self, partitions: impl Fn(&str) -> i32) -> BTreeMap<MemberId, Vec<TopicPartition>> {
        let topics: BTreeSet<_> = self.members.values().flat_map(|seat| &seat.topics).collect();
        let mut shares: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for topic in topics {
            let wants = |(_, seat): &(&MemberId, &Seat)| seat.topics.contains(topic);
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
        let place = group.place(first);
        let second = join(&mut group, "b");
        assert_eq!(group.take_event(second), None);
        assert!(!group.release(first), "it does not know yet");
        assert!(group.is_current(place), "what was done so far may be committed");
        give_up(&mut group, first);
        assert!(!group.is_current(place));
        assert_eq!((assigned(&mut group, first), assigned(&mut group, second)), (vec![0, 1], vec![2]));
    }

    #[test]
    fn a_share_that_nobody_was_told_of_is_not_revoked() {
        let mut group = Group::default();
        let first = join(&mut group, "a");
        let second = join(&mut group, "a");
        assert_eq!((assigned(&mut group, first), assigned(&mut group, second)), (vec![0, 1], vec![2]));
    }

    #[test]
    fn a_process_that_is_gone_holds_nobody_up() {
        let mut group = Group::default();
        let first = join(&mut group, "a");
        assigned(&mut group, first);
        let place = group.place(first);
        let second = join(&mut group, "b");
        group.expire("a");
        group.settle(|_| 3);
        assert!(!group.is_member(first) && !group.is_current(place));
        assert_eq!(assigned(&mut group, second), [0, 1, 2]);
    }

    #[test]
    fn a_member_too_many_has_nothing_and_is_asked_for_it_all_the_same() {
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
