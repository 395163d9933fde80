//! Who has a partition may commit for it, and nobody else.
//!
//! One thread serves all members of a check in turn. How long a cluster takes to share partitions out is its own
//! affair: a check waits for the outcome.

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

/// Longest wait for a group to settle: a session that times out, then a rebalance, on a machine with much else to do.
const SETTLED_LIMIT: Duration = Duration::from_secs(90);

/// A member and what it has, as far as it was told.
struct Party {
    member: Box<dyn Member>,
    has: Option<Vec<TopicPartition>>,
}

impl Party {
    fn join(transport: &dyn Transport, group: &str, topics: &[&Arc<str>]) -> Self {
        let plan = GroupPlan { group: group.to_owned(), topics: topics.iter().copied().cloned().collect() };
        Self { member: transport.join_group(plan).unwrap(), has: None }
    }

    /// The next event, if one comes soon; nothing is released.
    fn poll(&mut self) -> Option<MemberEvent> {
        let event = self.member.poll(Duration::from_millis(20)).unwrap();
        match &event {
            Some(MemberEvent::Assigned(partitions)) => {
                assert!(self.has.is_none(), "what one had is revoked before it is assigned again");
                assert!(partitions.is_sorted());
                self.has = Some(partitions.clone());
            }
            Some(MemberEvent::Revoked) => assert!(self.has.is_some(), "one is told once"),
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
                None => assert!(begun.elapsed() < SETTLED_LIMIT, "nothing comes"),
                Some(event) => return event,
            }
        }
    }
}

/// Serves all members until together they have `all`, each partition once.
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
            "not shared out: {:?}",
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
    // It stays so, and who has nothing to release is told.
    assert_eq!((0..10).find_map(|_| one.poll()), None);
    assert_eq!(error(one.member.release()), TransportErrorKind::Invalid);
    // Who comes back gets all again.
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
    // The group waits for the first, however long it takes, and what that did so far may be committed.
    assert_eq!((0..10).find_map(|_| first.poll().or(second.poll())), None);
    let mut sink = subject.transactional_sink();
    commit(&mut *sink, &topic, "last", &first.member.membership(), 7).unwrap();
    first.release();
    await_shares(&mut [&mut first, &mut second], &all);
    assert_eq!(committed(subject, &topic), Some(7));
    // A member is told the same, also of what another one has.
    for party in [&first, &second] {
        let told: Vec<_> = party.member.committed(&all).unwrap().into_iter().collect();
        assert_eq!(told, all.iter().cloned().zip([Some(7.into()), None, None]).collect::<Vec<_>>());
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
    // One that goes while it was to release holds nobody up either.
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
    // The one with nothing has a place all the same: it is asked like the other when someone comes.
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
    // Before it has a place it commits nothing, not even like one from outside.
    assert_eq!(error(commit(&mut *sink, &topic, "early", &member.member.membership(), 1)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
    member.expect(&MemberEvent::Assigned(all.clone()));
    let place = member.member.membership();
    commit(&mut *sink, &topic, "one", &place, 11).unwrap();
    commit(&mut *sink, &topic, "two", &place, 12).unwrap();
    assert_eq!(committed(subject, &topic), Some(12));
    // Two markers more than records, and the aborted transaction, which may have left nothing at all.
    let end = subject.await_decided(&topic);
    assert_eq!(keys(subject, &topic, end), ["one", "two"]);
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
    // The same sink goes on under the new place.
    commit(&mut *sink, &topic, "after", &first.member.membership(), 8).unwrap();
    assert_eq!(committed(subject, &topic), Some(8));
    subject.await_ends(&topic, Isolation::ReadCommitted, &[6, 0]);
    assert_eq!(keys(subject, &topic, 6), ["before", "after"]);
    // Nor is a place one's own any more when one has left.
    let place = second.member.membership();
    drop(second);
    await_shares(&mut [&mut first], &all);
    assert_eq!(error(commit(&mut *sink, &topic, "gone", &place, 9)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
}

/// A group that is asked to look finds partitions that were added, and offsets that are committed by its members alone stay
/// beside those of transactions.
pub fn growing(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut member = Party::join(subject.transport, &subject.prefix, &[&topic]);
    member.expect(&MemberEvent::Assigned(partitions(&topic, 1)));
    member.member.refresh().unwrap();
    assert_eq!((0..10).find_map(|_| member.poll()), None, "nothing has changed");
    (subject.add_partitions)(&topic, 3);
    let begun = Instant::now();
    // A broker that is asked may hear of it a little later.
    while member.poll() != Some(MemberEvent::Revoked) {
        assert!(begun.elapsed() < SETTLED_LIMIT, "nobody is asked to give up");
        member.member.refresh().unwrap();
    }
    let place = Position::new(5, &"by itself".into());
    let all = BTreeMap::from([(TopicPartition::new(topic.clone(), 0), place.clone())]);
    member.member.commit(&all).unwrap();
    member.release();
    await_shares(&mut [&mut member], &partitions(&topic, 3));
    let told = member.member.committed(&partitions(&topic, 3)).unwrap().into_values().collect::<Vec<_>>();
    assert_eq!(told, [Some(place), None, None]);
}

pub fn silent(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let all = partitions(&topic, 2);
    let mut sink = subject.transactional_sink();
    let mut zombie = Party::join(subject.doomed, &subject.prefix, &[&topic]);
    zombie.expect(&MemberEvent::Assigned(all.clone()));
    let mut heir = Party::join(subject.transport, &subject.prefix, &[&topic]);
    // It is not polled from here on.
    (subject.doom)();
    await_shares(&mut [&mut heir], &all);
    let place = zombie.member.membership();
    assert_eq!(error(commit(&mut *sink, &topic, "zombie", &place, 3)), TransportErrorKind::Fenced);
    sink.abort(LIMIT).unwrap();
    assert_eq!(committed(subject, &topic), None);
    commit(&mut *sink, &topic, "heir", &heir.member.membership(), 4).unwrap();
    // It learns of it, and is taken in again. A group that asked before it gave up is heard asking all the same.
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
                // Long enough to be asked for meanwhile; the check holds however it comes.
                thread::sleep(Duration::from_millis(500));
                end(commit);
            });
            assert_eq!(committed(subject, &topic), Some(expected));
        });
    }
}
