//! Records that are gone before they are read are reported as lost, and no others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{
    Glance, Isolation, LossCause, Lost, Membership, NewTopic, ReadPlan, Source, SourceEvent, TopicId, TopicIds,
};
use headwater_formats::record::{TopicPartition, Wanted};

use super::Subject;
use super::fixture::{LIMIT, Row, batch, next, range, row, rows};

/// What was read of a range.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    values: Vec<String>,
    lost: Vec<(LossCause, i64, i64)>,
    finished: bool,
}

fn written(count: usize) -> Vec<Row> {
    (0..count).map(|n| row("k", &format!("v{n}"))).collect()
}

fn open(subject: &Subject<'_>, topic: &Arc<str>, start: i64, end: Option<i64>, ids: TopicIds) -> Box<dyn Source> {
    let plan = ReadPlan {
        ranges: vec![range(topic, 0, start, end)],
        wanted: Wanted::ALL,
        isolation: Isolation::ReadCommitted,
        batch_records_max: 100,
        ids,
    };
    subject.transport.open_sources(vec![plan]).unwrap().pop().unwrap()
}

/// Reads until the range ends, or until `values` were read and something was lost.
fn read(source: &mut dyn Source, values: usize) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match next(source).unwrap() {
            SourceEvent::Batch(batch) => outcome.values.extend(rows(&batch).into_iter().map(value)),
            SourceEvent::Finished(_) => outcome.finished = true,
            SourceEvent::Lost(Lost { cause, from, to, .. }) => outcome.lost.push((cause, from, to)),
            SourceEvent::Passed(..) | SourceEvent::Idle => {}
        }
        let ended = outcome.lost.last().is_some_and(|(cause, ..)| *cause != LossCause::Deleted);
        if outcome.finished || ended || !outcome.lost.is_empty() && outcome.values.len() >= values {
            return outcome;
        }
    }
}

fn value(row: Row) -> String {
    String::from_utf8(row.value.unwrap()).unwrap()
}

fn check(subject: &Subject<'_>, topic: &Arc<str>, start: i64, end: Option<i64>, expected: &Outcome) {
    let mut source = open(subject, topic, start, end, TopicIds::new());
    let enough = end.map_or(expected.values.len(), |_| usize::MAX);
    assert_eq!(read(&mut *source, enough), *expected, "{start}..{end:?}");
}

fn values(all: &[&str]) -> Vec<String> {
    all.iter().map(|value| (*value).to_owned()).collect()
}

pub fn deleted(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &written(10));
    (subject.delete_records)(&TopicPartition::new(topic.clone(), 0), 6);
    let ends = subject.transport.admin().watermarks(&topic, Isolation::ReadCommitted).unwrap();
    assert_eq!((ends[0].start, ends[0].end), (6, 10));
    let lost = |from, to| vec![(LossCause::Deleted, from, to)];
    let some = Outcome { values: values(&["v6", "v7"]), lost: lost(2, 6), finished: true };
    check(subject, &topic, 2, Some(8), &some);
    check(subject, &topic, 0, Some(4), &Outcome { values: vec![], lost: lost(0, 4), finished: true });
    check(subject, &topic, 6, Some(8), &Outcome { lost: vec![], ..some });
    let all = Outcome { values: values(&["v6", "v7", "v8", "v9"]), lost: lost(1, 6), finished: false };
    check(subject, &topic, 1, None, &all);
    (subject.delete_records)(&TopicPartition::new(topic.clone(), 0), 10);
    check(subject, &topic, 0, Some(10), &Outcome { values: vec![], lost: lost(0, 10), finished: true });
}

/// A range ends where the log once ended, so a log that ends earlier was truncated.
pub fn truncated(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &written(3));
    let lost = |from, to| vec![(LossCause::Truncated, from, to)];
    let read = values(&["v0", "v1", "v2"]);
    check(subject, &topic, 0, Some(9), &Outcome { values: read, lost: lost(3, 9), finished: false });
    check(subject, &topic, 5, Some(9), &Outcome { values: vec![], lost: lost(3, 9), finished: false });
    check(subject, &topic, 5, None, &Outcome { values: vec![], lost: lost(3, 5), finished: false });
}

fn id(subject: &Subject<'_>, topic: &str) -> Option<TopicId> {
    subject.transport.admin().topic_id(topic).unwrap()
}

fn recreate(subject: &Subject<'_>, topic: &Arc<str>, records: usize) {
    let admin = subject.transport.admin();
    admin.delete_topic(topic).unwrap();
    let new = NewTopic { name: topic.to_string(), partitions: 1, replicas: None, settings: BTreeMap::new() };
    admin.create_topic(&new).unwrap();
    subject.write(topic, &written(records));
}

pub fn recreated(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &written(5));
    let first = id(subject, &topic).expect("this cluster reports ids");
    let ids = || TopicIds::from([(topic.clone(), first)]);
    let mut running = open(subject, &topic, 0, None, ids());
    let SourceEvent::Batch(_) = next(&mut *running).unwrap() else { panic!("a batch arrives") };
    recreate(subject, &topic, 3);
    assert_ne!(id(subject, &topic), Some(first));
    let cause = |source: &mut dyn Source| read(source, usize::MAX).lost[0].0;
    assert_eq!(cause(&mut *running), LossCause::Recreated);
    assert_eq!(cause(&mut *open(subject, &topic, 0, Some(5), ids())), LossCause::Recreated);
    assert_eq!(cause(&mut *open(subject, &topic, 5, None, ids())), LossCause::Recreated);
}

/// A caller that checks repeatedly notices another topic, new partitions, and the deletion of a topic.
pub fn glances(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let admin = subject.transport.admin();
    let extent = admin.extent(&topic, Isolation::ReadCommitted).unwrap();
    assert_eq!((extent.id, extent.marks.len()), (id(subject, &topic), 1));
    let await_glance = |expected: Option<Glance>| {
        let begun = Instant::now();
        while admin.glance(&topic).unwrap() != expected {
            assert!(begun.elapsed() < LIMIT, "{expected:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    await_glance(Some(Glance { id: extent.id, partitions: 1 }));
    (subject.add_partitions)(&topic, 3);
    await_glance(Some(Glance { id: extent.id, partitions: 3 }));
    recreate(subject, &topic, 0);
    let other = id(subject, &topic);
    assert_ne!(other, extent.id);
    await_glance(Some(Glance { id: other, partitions: 1 }));
    admin.delete_topic(&topic).unwrap();
    await_glance(None);
}

/// If markers after the last record are deleted, that is not a loss, so their end is reported.
pub fn passed(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut source = open(subject, &topic, 0, None, TopicIds::new());
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &written(2))).unwrap();
    sink.commit(&Membership::outside("group"), &BTreeMap::new(), LIMIT).unwrap();
    let SourceEvent::Batch(batch) = next(&mut *source).unwrap() else { panic!("a batch arrives first") };
    assert_eq!(&batch.offsets[..], [0, 1]);
    let SourceEvent::Passed(partition, offset) = next(&mut *source).unwrap() else { panic!("then the marker") };
    assert_eq!((partition, offset), (TopicPartition::new(topic.clone(), 0), 3));
    // Records are read without a `Passed` event.
    subject.write(&topic, &[row("k", "last")]);
    let SourceEvent::Batch(batch) = next(&mut *source).unwrap() else { panic!("a batch arrives") };
    assert_eq!(&batch.offsets[..], [3]);
    (0..10).for_each(|_| assert!(matches!(source.poll(Duration::from_millis(20)).unwrap(), SourceEvent::Idle)));
}
