//! Topics, their settings and their offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, SourceEvent, TopicIds, TopicInfo, TransportError, TransportErrorKind,
};
use headwater_formats::record::{TopicPartition, Wanted};

use super::Subject;
use super::fixture::{Row, error, next, range, row};

fn new_topic(subject: &Subject<'_>, partitions: i32) -> NewTopic {
    NewTopic { name: subject.prefix.clone(), partitions, replicas: None, settings: BTreeMap::new() }
}

pub fn lifecycle(subject: &Subject<'_>) {
    let admin = subject.transport.admin();
    // One replica is given explicitly, because a larger cluster has another default; writes then need only one.
    let settings = [("cleanup.policy", "compact"), ("min.insync.replicas", "1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    admin.create_topic(&NewTopic { replicas: Some(1), settings, ..new_topic(subject, 3) }).unwrap();
    let topic: Arc<str> = subject.prefix.as_str().into();
    let expected = TopicInfo { name: topic.to_string(), partitions: 3, replicas: 1 };
    assert_eq!(admin.topic(&topic).unwrap(), Some(expected.clone()));
    let all = admin.topics().unwrap();
    assert!(all.contains(&expected) && all.is_sorted_by(|a, b| a.name < b.name));
    assert_eq!(admin.topic_settings(&topic).unwrap().get("cleanup.policy").map(String::as_str), Some("compact"));
    subject.write(&topic, &[row("k", "v")]);
    subject.await_ends(&topic, Isolation::ReadCommitted, &[1, 0, 0]);
    admin.delete_topic(&topic).unwrap();
    assert_eq!(admin.topic(&topic).unwrap(), None);
    assert!(!admin.topics().unwrap().iter().any(|info| info.name == expected.name));
    // A topic that is created again is a different topic.
    admin.create_topic(&new_topic(subject, 1)).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[0]);
}

pub fn unknown(subject: &Subject<'_>) {
    let admin = subject.transport.admin();
    let name = subject.prefix.as_str();
    let unknown = TransportErrorKind::UnknownTopic;
    assert_eq!(admin.topic(name).unwrap(), None);
    assert_eq!(admin.topic("no/legal name").unwrap(), None);
    assert_eq!(error(admin.watermarks(name, Isolation::ReadCommitted)), unknown);
    assert_eq!(error(admin.topic_settings(name)), unknown);
    assert_eq!(error(admin.delete_topic(name)), unknown);
    let times = BTreeMap::from([(TopicPartition::new(name, 0), 1)]);
    assert_eq!(error(admin.offsets_for_times(&times)), unknown);
    let refused = read(subject, name, 0).unwrap_err();
    assert_eq!(refused.kind, unknown);
    assert!(refused.message.contains(name), "{}", refused.message);
    let topic = subject.topic(2);
    assert_eq!(error(read(subject, &topic, 2)), TransportErrorKind::Invalid);
}

/// Reads the first record of a partition; opening or the first poll may fail.
fn read(subject: &Subject<'_>, topic: &str, partition: i32) -> Result<SourceEvent, TransportError> {
    let ranges = vec![range(&topic.into(), partition, 0, Some(1))];
    let isolation = Isolation::ReadCommitted;
    let plan = ReadPlan { ranges, wanted: Wanted::ALL, isolation, batch_records_max: 1, ids: TopicIds::new() };
    next(&mut **subject.transport.open_sources(vec![plan])?.first_mut().unwrap())
}

pub fn refusals(subject: &Subject<'_>) {
    let admin = subject.transport.admin();
    assert_eq!(error(admin.create_topic(&new_topic(subject, 0))), TransportErrorKind::Invalid);
    admin.create_topic(&new_topic(subject, 1)).unwrap();
    let again = admin.create_topic(&new_topic(subject, 1)).unwrap_err();
    assert_eq!(again.kind, TransportErrorKind::TopicExists);
    assert!(again.message.contains(&subject.prefix), "{}", again.message);
}

pub fn times(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    let at = |timestamp_ms| Row { timestamp_ms, ..row("k", "v") };
    subject.write(&topic, &[at(1_000), at(3_000), at(2_000), at(4_000)]);
    let find = |partition, time_ms| {
        let partition = TopicPartition::new(topic.clone(), partition);
        let times = BTreeMap::from([(partition.clone(), time_ms)]);
        subject.transport.admin().offsets_for_times(&times).unwrap()[&partition]
    };
    let expected = [(0, Some(0)), (1_000, Some(0)), (1_001, Some(1)), (3_001, Some(3)), (4_001, None)];
    for (time, offset) in expected {
        assert_eq!(find(0, time), offset, "at {time}");
    }
    assert_eq!(find(0, -5), Some(0));
    assert_eq!(find(1, 0), None);
}

pub fn records_deleted(subject: &Subject<'_>) {
    let (admin, topic) = (subject.transport.admin(), subject.topic(2));
    subject.write(&topic, &[row("k", "a"), row("k", "b"), row("k", "c")]);
    let end = subject.await_decided(&topic);
    let partition = |number| TopicPartition::new(topic.clone(), number);
    let starts = || -> Vec<i64> {
        let marks = admin.watermarks(&topic, Isolation::ReadUncommitted).unwrap();
        marks.iter().map(|marks| marks.start).collect()
    };
    for (offset, start) in [(2, 2), (1, 2), (end, end)] {
        admin.delete_records(&BTreeMap::from([(partition(0), offset), (partition(1), 0)])).unwrap();
        assert_eq!(starts(), [start, 0]);
    }
    admin.delete_records(&BTreeMap::from([(partition(0), end + 1)])).unwrap_err();
    admin.delete_records(&BTreeMap::new()).unwrap();
    assert_eq!(starts(), [end, 0]);
}
