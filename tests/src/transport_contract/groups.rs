//! Only the member to which a partition is assigned may commit for it.
//!
//! One thread serves all members of a check in turn. A cluster may take any time to assign partitions: a check waits
//! for the outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{
    GroupPlan, Isolation, Member, MemberEvent, Membership, Position, Sink, Transport, TransportError,
    TransportErrorKind,
};
use headwater_formats::record::TopicPartition;

use super::Subject;
use super::fixture::{LIMIT, batch, error, row};

/// Maximum time for a group to settle: a session timeout and a rebalance, on a busy machine.
const SETTLED_LIMIT: Duration = Duration::from_secs(90);

/// A member and the partitions of its latest event.
struct Party {
    member: Box<dyn Member>,
    has: Option<Vec<TopicPartition>>,
}

impl Party {
    fn join(transport: &dyn Transport, group: &str, topics: &[&Arc<str>]) -> Self {
        let plan = GroupPlan { group: group.to_owned(), topics: topics.iter().copied().cloned().collect() };
        Self { member: transport.join_group(plan).unwrap(), has: None }
    }

    /// The next event, if one arrives soon; nothing is released.
    fn poll(&mut self) -> Option<MemberEvent> {
        let event = self.member.poll(Duration::from_millis(20)).unwrap();
        match &event {
            Some(MemberEvent::Assigned(partitions)) => {
                assert!(self.has.is_none(), "partitions are revoked before they are assigned again");
                assert!(partitions.is_sorted());
                self.has = Some(partitions.clone());
            }
            Some(MemberEvent::Revoked) => assert!(self.has.is_some(), "a revocation is reported once"),
            Some(MemberEvent::Lost) => self.has = None,
            None => {}
        }
        event
    }

    fn release(&mut self) {
        self.member.release().unwrap();
        self.has = None;
    }

    /// Waits for an event that must be the next one.
    fn expect(&mut self, expected: &MemberEvent) {
        assert_eq!(self.next(), *expected);
    }

    fn next(&mut self) -> MemberEvent {
        let begun = Instant::now();
        loop {
            match self.poll() {
                None => assert!(begun.elapsed() < SETTLED_LIMIT, "no event arrives"),
                Some(event) => return event,
            }
        }
    }
}

/// Serves all members until together they have the partitions `all`, each once.
fn await_shares(parties: &mut [&mut Party], all: &[TopicPartition]) {
    let begun = Instant::now();
    loop {
        for party in &mut *parties {
            if party.poll() == Some(MemberEvent::Revoked) {
                party.release();
            }
        }
        if parties.iter().all(|party| party.has.is_some()) {
            let mut had: Vec<_> = parties.iter().flat_map(|party| party.has.iter().flatten().cloned()).collect();
            had.sort();
            if had == all {
                return;
            }
        }
        assert!(
            begun.elapsed() < SETTLED_LIMIT,
            "not assigned: {:?}",
            parties.iter().map(|p| &p.has).collect::<Vec<_>>()
        );
    }
}

fn partitions(topic: &Arc<str>, count: i32) -> Vec<TopicPartition> {
    (0..count).map(|partition| TopicPartition::new(topic.clone(), partition)).collect()
}

/// Writes a record with this key and commits it, with `offset` for partition 0.
fn commit(
    sink: &mut dyn Sink,
    topic: &Arc<str>,
    key: &str,
    membership: &Membership,
    offset: i64,
) -> Result<(), TransportError> {
    sink.begin().unwrap();
    sink.write(&batch(topic, &[row(key, "v")])).unwrap();
    sink.commit(membership, &BTreeMap::from([(TopicPartition::new(topic.clone(), 0), offset.into())]), LIMIT)
}

fn committed(subject: &Subject<'_>, topic: &Arc<str>) -> Option<i64> {
    let partition = TopicPartition::new(topic.clone(), 0);
    let offsets = subject.transport.admin().committed_offsets(&subject.prefix, &[partition]).unwrap();
    offsets.into_values().next().unwrap().map(|place| place.offset)
}

fn keys(subject: &Subject<'_>, topic: &Arc<str>, end: i64) -> Vec<String> {
    let rows = subject.read(topic, 0, end, Isolation::ReadCommitted);
    rows.into_iter().map(|row| String::from_utf8(row.key.unwrap()).unwrap()).collect()
}

pub fn alone(subject: &Subject<'_>) {
    let topic = subject.topic(3);
    let other = subject.topic_named(&format!("{}-other", subject.prefix), 2);
    let mut one = Party::join(subject.transport, &subject.prefix, &[&other, &topic]);
    let mut all = partitions(&topic, 3);
    all.extend(partitions(&other, 2));
    all.sort();
    one.expect(&MemberEvent::Assigned(all.clone()));
    // It stays so, and releasing without a revocation is an error.
    assert_eq!((0..10).find_map(|_| one.poll()), None);
    assert_eq!(error(one.member.release()), TransportErrorKind::Invalid);
    // A member that rejoins gets all partitions again.
    drop(one);
    let mut again = Party::join(subject.transport, &subject.prefix, &[&topic, &other]);
    again.expect(&MemberEvent::Assigned(all));
}

pub fn unknown_topic(subject: &Subject<'_>) {
    let plan = GroupPlan { group: subject.prefix.clone(), topics: vec![format!("{}-missing", subject.prefix).into()] };
    assert_eq!(error(subject.transport.join_group(plan)), TransportErrorKind::UnknownTopic);
}

pub fn joining(subject: &Subject<'_>) {
    let topic = subject.topic(3);
    let all = partitions(&topic, 3);
    let mut first = Party::join(subject.transport, &subject.prefix, &[&topic]);
    first.expect(&MemberEvent::Assigned(all.clone()));
    let mut second = Party::join(subject.transport, &subject.prefix, &[&topic]);
    first.expect(&MemberEvent::Revoked);
    // The group waits for the first, however long it takes, and its work so far may be committed.
    assert_eq!((0..10).find_map(|_| first.poll().or(second.poll())), None);
    let mut sink = subject.transactional_sink();
    commit(&mut *sink, &topic, "last", &first.member.membership(), 7).unwrap();
    first.release();
    await_shares(&mut [&mut first, &mut second], &all);
    assert_eq!(committed(subject, &topic), Some(7));
    // Every member sees the same, even for partitions of another member.
    for party in [&first, &second] {
        let seen: Vec<_> = party.member.committed(&all).unwrap().into_iter().collect();
        assert_eq!(seen, all.iter().cloned().zip([Some(7.into()), None, None]).collect::<Vec<_>>());
    }
}

pub fn leaving(subject: &Subject<'_>) {
    let topic = subject.topic(4);
    let all = partitions(&topic, 4);
    let mut members = [(); 3].map(|()| Party::join(subject.transport, &subject.prefix, &[&topic]));
    await_shares(&mut members.each_mut(), &all);
    let [first, mut second, mut third] = members;
    drop(first);
    await_shares(&mut [&mut second, &mut third], &all);
    // A member that leaves instead of releasing does not delay the others either.
    let mut fourth = Party::join(subject.transport, &subject.prefix, &[&topic]);
    second.expect(&MemberEvent::Revoked);
    drop(second);
    await_shares(&mut [&mut third, &mut fourth], &all);
    drop(third);
    await_shares(&mut [&mut fourth], &all);
}

pub fn too_many(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let all = partitions(&topic, 1);
    let mut members = [(); 2].map(|()| Party::join(subject.transport, &subject.prefix, &[&topic]));
    await_shares(&mut members.each_mut(), &all);
    // The one without partitions is a member nevertheless: it must release like the other when someone joins.
    let [mut first, mut second] = members;
    let mut third = Party::join(subject.transport, &subject.prefix, &[&topic]);
    first.expect(&MemberEvent::Revoked);
    second.expect(&MemberEvent::Revoked);
    first.release();
    second.release();
    await_shares(&mut [&mut first, &mut second, &mut third], &all);
}

pub fn committing(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let all = partitions(&topic, 1);
    let mut sink = subject.transactional_sink();
    let mut member = Party::join(subject.transport, &subject.prefix, &[&topic]);
    // Before its first assignment it cannot commit, not even as if from outside the group.
    assert_eq!(error(commit(&mut *sink, &topic, "early", &member.member.membership(), 1)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
    member.expect(&MemberEvent::Assigned(all.clone()));
    let place = member.member.membership();
    commit(&mut *sink, &topic, "one", &place, 11).unwrap();
    commit(&mut *sink, &topic, "two", &place, 12).unwrap();
    assert_eq!(committed(subject, &topic), Some(12));
    // Two records, two markers, and the aborted transaction, which may have left nothing.
    let end = subject.await_decided(&topic);
    assert_eq!(keys(subject, &topic, end), ["one", "two"]);
}

pub fn deleted(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let (admin, group) = (subject.transport.admin(), subject.prefix.as_str());
    assert!(admin.delete_group(group).unwrap(), "one that does not exist counts as deleted");
    let mut sink = subject.transactional_sink();
    let mut member = Party::join(subject.transport, group, &[&topic]);
    member.expect(&MemberEvent::Assigned(partitions(&topic, 1)));
    commit(&mut *sink, &topic, "one", &member.member.membership(), 11).unwrap();
    assert!(admin.groups().unwrap().contains(group));
    assert!(!admin.delete_group(group).unwrap(), "it has a member");
    assert_eq!(committed(subject, &topic), Some(11));
    drop(member);
    let begun = Instant::now();
    while !admin.delete_group(group).unwrap() {
        assert!(begun.elapsed() < SETTLED_LIMIT, "its member is gone");
    }
    assert_eq!(committed(subject, &topic), None);
    assert!(!admin.groups().unwrap().contains(group));
}

pub fn old_generation(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let all = partitions(&topic, 2);
    let mut sink = subject.transactional_sink();
    let mut first = Party::join(subject.transport, &subject.prefix, &[&topic]);
    first.expect(&MemberEvent::Assigned(all.clone()));
    let old = first.member.membership();
    commit(&mut *sink, &topic, "before", &old, 5).unwrap();
    let mut second = Party::join(subject.transport, &subject.prefix, &[&topic]);
    await_shares(&mut [&mut first, &mut second], &all);
    assert_eq!(error(commit(&mut *sink, &topic, "fenced", &old, 6)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
    assert_eq!(committed(subject, &topic), Some(5));
    // The same sink continues in the new generation.
    commit(&mut *sink, &topic, "after", &first.member.membership(), 8).unwrap();
    assert_eq!(committed(subject, &topic), Some(8));
    subject.await_ends(&topic, Isolation::ReadCommitted, &[6, 0]);
    assert_eq!(keys(subject, &topic, 6), ["before", "after"]);
    // After leaving, a member cannot commit either.
    let place = second.member.membership();
    drop(second);
    await_shares(&mut [&mut first], &all);
    assert_eq!(error(commit(&mut *sink, &topic, "gone", &place, 9)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
}

/// A group that is asked to refresh finds new partitions, and offsets committed by its members alone coexist with those
/// of transactions.
pub fn growing(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut member = Party::join(subject.transport, &subject.prefix, &[&topic]);
    member.expect(&MemberEvent::Assigned(partitions(&topic, 1)));
    member.member.refresh().unwrap();
    assert_eq!((0..10).find_map(|_| member.poll()), None, "nothing has changed");
    (subject.add_partitions)(&topic, 3);
    let begun = Instant::now();
    // A broker may learn of the partitions a little later.
    while member.poll() != Some(MemberEvent::Revoked) {
        assert!(begun.elapsed() < SETTLED_LIMIT, "no partition is revoked");
        member.member.refresh().unwrap();
    }
    let place = Position::new(5, &"by itself".into());
    let all = BTreeMap::from([(TopicPartition::new(topic.clone(), 0), place.clone())]);
    member.member.commit(&all).unwrap();
    member.release();
    await_shares(&mut [&mut member], &partitions(&topic, 3));
    let seen = member.member.committed(&partitions(&topic, 3)).unwrap().into_values().collect::<Vec<_>>();
    assert_eq!(seen, [Some(place), None, None]);
}

pub fn silent(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let all = partitions(&topic, 2);
    let mut sink = subject.transactional_sink();
    let mut zombie = Party::join(subject.doomed, &subject.prefix, &[&topic]);
    zombie.expect(&MemberEvent::Assigned(all.clone()));
    let mut heir = Party::join(subject.transport, &subject.prefix, &[&topic]);
    // It is not polled from now on.
    (subject.doom)();
    await_shares(&mut [&mut heir], &all);
    let place = zombie.member.membership();
    assert_eq!(error(commit(&mut *sink, &topic, "zombie", &place, 3)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
    assert_eq!(committed(subject, &topic), None);
    commit(&mut *sink, &topic, "heir", &heir.member.membership(), 4).unwrap();
    // It receives `Lost` and rejoins. If the group asked it to release before removing it, that event is also received.
    match zombie.next() {
        MemberEvent::Lost => {}
        MemberEvent::Revoked => zombie.release(),
        other => panic!("{other:?}"),
    }
    await_shares(&mut [&mut heir, &mut zombie], &all);
    assert_eq!(committed(subject, &topic), Some(4));
}

pub fn pending(subject: &Subject<'_>) {
    let Some(pend_offset) = subject.pend_offset else { return println!("skipped: this cluster commits in one step") };
    let topic = subject.topic(1);
    let partition = TopicPartition::new(topic.clone(), 0);
    let mut sink = subject.transactional_sink();
    commit(&mut *sink, &topic, "first", &Membership::outside(&subject.prefix), 5).unwrap();
    for (commit, offset, expected) in [(false, 6, 5), (true, 7, 7)] {
        let end = pend_offset(&subject.prefix, &partition, offset);
        thread::scope(|scope| {
            scope.spawn(move || {
                // Long enough for a request in between; the check holds in either case.
                thread::sleep(Duration::from_millis(500));
                end(commit);
            });
            assert_eq!(committed(subject, &topic), Some(expected));
        });
    }
}
