//! The records of a transaction become visible together or not at all.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Isolation, Membership, Position, TransportErrorKind};
use headwater_formats::record::TopicPartition;

use super::Subject;
use super::fixture::{LIMIT, Row, batch, error, row};

fn no_offsets() -> BTreeMap<TopicPartition, Position> {
    BTreeMap::new()
}

fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| std::str::from_utf8(row.key.as_ref().unwrap()).unwrap()).collect()
}

/// The last offset is a marker: a range up to it ends nevertheless.
pub fn committed(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("a", "1"), row("b", "2"), Row { partition: 1, ..row("c", "3") }])).unwrap();
    sink.commit(&Membership::outside("group"), &no_offsets(), LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[3, 2]);
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        assert_eq!(keys(&subject.read(&topic, 0, 3, isolation)), ["a", "b"]);
        // Only the marker.
        assert!(subject.read(&topic, 2, 3, isolation).is_empty());
    }
}

pub fn aborted(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("gone", "1"), row("gone", "2")])).unwrap();
    sink.flush(LIMIT).unwrap();
    sink.abort(LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[3]);
    assert!(subject.read(&topic, 0, 3, Isolation::ReadCommitted).is_empty());
    assert_eq!(subject.read(&topic, 0, 3, Isolation::ReadUncommitted).len(), 2);
    // Between other records, and again at the end.
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("kept", "3")])).unwrap();
    sink.commit(&Membership::outside("group"), &no_offsets(), LIMIT).unwrap();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("gone", "4")])).unwrap();
    sink.flush(LIMIT).unwrap();
    sink.abort(LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[7]);
    assert_eq!(keys(&subject.read(&topic, 0, 7, Isolation::ReadCommitted)), ["kept"]);
}

pub fn open(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &[row("before", "1")]);
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("open", "2")])).unwrap();
    sink.flush(LIMIT).unwrap();
    subject.write(&topic, &[row("after", "3")]);
    subject.await_ends(&topic, Isolation::ReadUncommitted, &[3]);
    subject.await_ends(&topic, Isolation::ReadCommitted, &[1]);
    assert_eq!(keys(&subject.read(&topic, 0, 1, Isolation::ReadCommitted)), ["before"]);
    assert_eq!(keys(&subject.read(&topic, 0, 3, Isolation::ReadUncommitted)), ["before", "open", "after"]);
    sink.commit(&Membership::outside("group"), &no_offsets(), LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[4]);
    assert_eq!(keys(&subject.read(&topic, 0, 4, Isolation::ReadCommitted)), ["before", "open", "after"]);
}

pub fn offsets(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let partition = |partition| TopicPartition::new(topic.clone(), partition);
    let committed = || {
        let both = [partition(0), partition(1)];
        subject.transport.admin().committed_offsets(&subject.prefix, &both).unwrap().into_values().collect::<Vec<_>>()
    };
    assert_eq!(committed(), [None, None]);
    let noted = Position::new(17, &"a note".into());
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("k", "v")])).unwrap();
    sink.commit(&Membership::outside(&subject.prefix), &BTreeMap::from([(partition(0), noted.clone())]), LIMIT)
        .unwrap();
    sink.begin().unwrap();
    sink.commit(&Membership::outside(&subject.prefix), &BTreeMap::from([(partition(1), 4.into())]), LIMIT).unwrap();
    assert_eq!(committed(), [Some(noted.clone()), Some(4.into())]);
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("k", "v")])).unwrap();
    sink.abort(LIMIT).unwrap();
    assert_eq!(committed(), [Some(noted.clone()), Some(4.into())]);
}

pub fn fencing(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut old = subject.transactional_sink();
    old.begin().unwrap();
    old.write(&batch(&topic, &[row("old", "1")])).unwrap();
    old.flush(LIMIT).unwrap();
    let mut new = subject.transactional_sink();
    // The old owner's open transaction is aborted; it fails at the latest when it commits.
    let late = old.write(&batch(&topic, &[row("late", "2")]));
    let commit = late.and_then(|()| old.commit(&Membership::outside("group"), &no_offsets(), LIMIT));
    assert_eq!(error(commit), TransportErrorKind::Fenced);
    // It does not acquire the id again.
    assert_eq!(error(old.abort(LIMIT)), TransportErrorKind::Fenced);
    new.begin().unwrap();
    new.write(&batch(&topic, &[row("new", "3")])).unwrap();
    new.commit(&Membership::outside("group"), &no_offsets(), LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[4]);
    assert_eq!(keys(&subject.read(&topic, 0, 4, Isolation::ReadCommitted)), ["new"]);
}

pub fn misuse(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let invalid = TransportErrorKind::Invalid;
    let mut plain = subject.sink();
    assert_eq!(error(plain.begin()), invalid);
    assert_eq!(error(plain.commit(&Membership::outside("group"), &no_offsets(), LIMIT)), invalid);
    let mut sink = subject.transactional_sink();
    assert_eq!(error(sink.write(&batch(&topic, &[row("k", "v")]))), invalid);
    assert_eq!(error(sink.commit(&Membership::outside("group"), &no_offsets(), LIMIT)), invalid);
    assert_eq!(error(sink.abort(LIMIT)), invalid);
    sink.begin().unwrap();
    assert_eq!(error(sink.begin()), invalid);
    sink.abort(LIMIT).unwrap();
}

/// A record that the topic rejects is reported as the cause, whatever is written with it, and leaves nothing in the
/// next transaction.
pub fn refused(subject: &Subject<'_>) {
    let topic = subject.topic_with(1, &[("max.message.bytes", "20000")]);
    let large = Row { value: Some(vec![7; 100_000]), ..row("k", "") };
    let mut sink = subject.transactional_sink();
    for (before, behind) in [(0, 0), (0, 3_000), (3_000, 0), (1_500, 1_500)] {
        sink.begin().unwrap();
        let rows: Vec<Row> = [vec![row("k", "v"); before], vec![large.clone()], vec![row("k", "v"); behind]].concat();
        let halves = rows.chunks(rows.len().div_ceil(2)).map(|half| batch(&topic, half));
        let written = halves.map(|half| sink.write(&half)).collect::<Result<Vec<()>, _>>();
        let error = written.map(drop).and_then(|()| sink.flush(LIMIT)).unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Refused, "{before} before, {behind} behind: {error}");
        sink.abort(LIMIT).unwrap();
        sink.begin().unwrap();
        sink.write(&batch(&topic, &[row("k", "kept")])).unwrap();
        sink.flush(LIMIT).unwrap();
        sink.commit(&Membership::outside("group"), &BTreeMap::new(), LIMIT).unwrap();
    }
    let end = subject.await_decided(&topic);
    assert_eq!(subject.read(&topic, 0, end, Isolation::ReadCommitted).len(), 4);
}
