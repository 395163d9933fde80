//! Order, ranges and their ends.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Isolation, ReadPlan, SourceEvent, TopicIds};
use headwater_formats::record::{TopicPartition, Wanted};

use super::Subject;
use super::fixture::{Row, drain, next, range, row, rows};

fn numbered(count: usize) -> Vec<Row> {
    (0..count).map(|n| row(&format!("k{n}"), &format!("v{n}"))).collect()
}

fn values(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| String::from_utf8(row.value.clone().unwrap()).unwrap()).collect()
}

pub fn order(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let written = numbered(1_000);
    subject.write(&topic, &written);
    let all = range(&topic, 0, 0, Some(1_000));
    let mut source = subject.source(vec![all], Isolation::ReadCommitted, Wanted::ALL);
    let batches = drain(&mut *source);
    assert!(batches.iter().all(|batch| batch.len() <= 100), "the plan says at most 100");
    let read: Vec<_> = batches.iter().flat_map(rows).collect();
    assert_eq!(values(&read), values(&written));
}

fn check_range(subject: &Subject<'_>, start: i64, end: i64, expected: &[&str]) {
    let read = subject.read(&subject.prefix.as_str().into(), start, end, Isolation::ReadCommitted);
    assert_eq!(values(&read), expected);
}

pub fn exactly(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &numbered(30));
    check_range(subject, 10, 13, &["v10", "v11", "v12"]);
    check_range(subject, 29, 30, &["v29"]);
}

pub fn empty_range(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    subject.write(&topic, &numbered(3));
    let ranges = vec![range(&topic, 0, 3, Some(3)), range(&topic, 1, 0, Some(0))];
    let mut source = subject.source(ranges, Isolation::ReadCommitted, Wanted::ALL);
    assert!(drain(&mut *source).is_empty());
    // Next to a range that is not empty.
    let ranges = vec![range(&topic, 1, 0, Some(0)), range(&topic, 0, 2, Some(3))];
    let mut source = subject.source(ranges, Isolation::ReadCommitted, Wanted::ALL);
    assert_eq!(drain(&mut *source).len(), 1);
}

pub fn compacted(subject: &Subject<'_>) {
    let Some(compact) = subject.compact else { return println!("skipped: this cluster does not compact") };
    // The shortest lag that Kafka allows; a record later than the segment's time begins a new segment.
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    let topic = subject.topic_with(1, &settings);
    let written: Vec<_> = (0..100).map(|n| row(&format!("k{}", n % 7), &format!("v{n}"))).collect();
    subject.write(&topic, &written);
    compact(&TopicPartition::new(topic.clone(), 0));
    // The end of the first range, and all of the second, are gone.
    check_range(subject, 0, 90, &[]);
    check_range(subject, 10, 50, &[]);
    check_range(subject, 0, 94, &["v93"]);
    check_range(subject, 60, 96, &["v93", "v94", "v95"]);
}

pub fn unbounded(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut source = subject.source(vec![range(&topic, 0, 0, None)], Isolation::ReadCommitted, Wanted::ALL);
    for value in ["first", "second"] {
        subject.write(&topic, &[row("k", value)]);
        let SourceEvent::Batch(batch) = next(&mut *source).unwrap() else { panic!("a batch arrives") };
        assert_eq!(values(&rows(&batch)), [value]);
    }
}

pub fn wanted(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let tombstone = Row { value: None, ..row("key", "") };
    subject.write(&topic, &[row("key", "value"), tombstone]);
    let read = |wanted| {
        let mut source = subject.source(vec![range(&topic, 0, 0, Some(2))], Isolation::ReadCommitted, wanted);
        drain(&mut *source)
    };
    for (keys, values, headers) in [(false, false, false), (true, false, false), (false, true, true)] {
        let batches = read(Wanted { keys, values, headers });
        let batch = &batches[0];
        assert_eq!((batch.keys.is_some(), batch.values.is_some()), (keys, values));
        assert_eq!(batch.headers.is_some(), headers);
        assert_eq!(batches.iter().map(|batch| batch.payload_bytes).sum::<u64>(), 11);
        let tombstones = batches.iter().filter_map(|batch| batch.value_nulls.as_ref()).map(|n| n.null_count());
        assert_eq!(tombstones.sum::<usize>(), 1);
    }
}

pub fn many_partitions(subject: &Subject<'_>) {
    const PARTITIONS: i32 = 40;
    let topic = subject.topic(PARTITIONS);
    let written: Vec<_> = (0..400).map(|n| Row { partition: n % PARTITIONS, ..row("k", &format!("v{n}")) }).collect();
    subject.write(&topic, &written);
    let ends = subject.transport.admin().watermarks(&topic, Isolation::ReadCommitted).unwrap();
    assert!(ends.len() == 40 && ends.iter().all(|ends| (ends.start, ends.end) == (0, 10)), "{ends:?}");
    let plan = |source: i32| ReadPlan {
        ranges: (0..PARTITIONS).filter(|p| p % 3 == source).map(|p| range(&topic, p, 0, Some(10))).collect(),
        wanted: Wanted::ALL,
        isolation: Isolation::ReadCommitted,
        batch_records_max: 8_192,
        ids: TopicIds::new(),
    };
    let mut sources = subject.transport.open_sources((0..3).map(plan).collect()).unwrap();
    let read: Vec<_> = sources.iter_mut().flat_map(|source| drain(&mut **source)).flat_map(|b| rows(&b)).collect();
    assert_eq!(read.len(), written.len());
    let mut by_partition: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
    for row in read {
        by_partition.entry(row.partition).or_default().push(row);
    }
    for (partition, read) in by_partition {
        let expected: Vec<_> = written.iter().filter(|row| row.partition == partition).cloned().collect();
        assert_eq!(values(&read), values(&expected));
    }
}

pub fn twice(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &numbered(50));
    let open = || subject.source(vec![range(&topic, 0, 0, Some(50))], Isolation::ReadCommitted, Wanted::ALL);
    let (mut one, mut other) = (open(), open());
    let first = next(&mut *one).unwrap();
    assert!(matches!(first, SourceEvent::Batch(_)));
    drop(one);
    assert_eq!(drain(&mut *other).iter().flat_map(rows).count(), 50);
}
