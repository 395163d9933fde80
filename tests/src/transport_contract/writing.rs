//! The parts of a record, and its partition.

use arrow::array::BinaryArray;
use headwater_connectors::transport::{Isolation, TransportErrorKind};
use headwater_formats::record::OutBatch;

use super::Subject;
use super::fixture::{LIMIT, Row, batch, error, row};

/// Everything about a row but its address.
fn content(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { offset: 0, ..row }).collect()
}

fn round_trip(subject: &Subject<'_>, written: &[Row]) {
    let topic = subject.topic(1);
    subject.write(&topic, written);
    let read = subject.read(&topic, 0, written.len() as i64, Isolation::ReadCommitted);
    assert_eq!(content(read), written);
}

pub fn nulls(subject: &Subject<'_>) {
    let payloads = [None, Some(Vec::new()), Some(b"x".to_vec())];
    let rows: Vec<_> = payloads
        .iter()
        .flat_map(|key| payloads.iter().map(|value| (key.clone(), value.clone())))
        .map(|(key, value)| Row { key, value, ..row("", "") })
        .collect();
    round_trip(subject, &rows);
}

pub fn headers(subject: &Subject<'_>) {
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let headers = vec![
        header("b", Some(b"1")),
        header("a", None),
        header("b", Some(b"")),
        header("ä", Some(&[0xff, 0])),
        header("b", Some(b"1")),
    ];
    round_trip(subject, &[row("none", "v"), Row { headers, ..row("five", "v") }, row("none", "v")]);
}

pub fn timestamps(subject: &Subject<'_>) {
    let times = [1, 1_700_000_000_123, 1_000, 946_684_800_000];
    let rows: Vec<_> = times.iter().map(|time| Row { timestamp_ms: *time, ..row("k", "v") }).collect();
    round_trip(subject, &rows);
}

pub fn large(subject: &Subject<'_>) {
    let topic = subject.topic_with(1, &[("max.message.bytes", "8000000")]);
    let large = |byte: u8| Row { value: Some(vec![byte; 3_000_000]), ..row("large", "") };
    let written = vec![row("small", "v"), large(1), large(2), row("small", "v")];
    subject.write(&topic, &written);
    assert!(content(subject.read(&topic, 0, 4, Isolation::ReadCommitted)) == written, "large records are read back");
}

pub fn placing(subject: &Subject<'_>) {
    // murmur2 of the key without the sign bit, from the tests of Kafka's own client, for seven partitions.
    let hashes = [("21", 1_173_551_340_i64), ("foobar", 1_357_151_166), ("abc", 479_470_107)];
    let topic = subject.topic(7);
    let keys: BinaryArray = hashes.iter().map(|(key, _)| Some(key.as_bytes())).collect();
    let mut sink = subject.sink();
    let out = OutBatch {
        topic: topic.clone(),
        partitions: None,
        values: keys.clone(),
        keys,
        timestamps_ms: None,
        headers: None,
    };
    sink.write(&out).unwrap();
    sink.flush(LIMIT).unwrap();
    let mut expected = [0; 7];
    for (_, hash) in hashes {
        expected[usize::try_from(hash % 7).unwrap()] += 1;
    }
    let ends = subject.transport.admin().watermarks(&topic, Isolation::ReadCommitted).unwrap();
    assert_eq!(ends.iter().map(|ends| ends.end).collect::<Vec<_>>(), expected);
}

pub fn refusals(subject: &Subject<'_>) {
    let missing = format!("{}-missing", subject.prefix).into();
    let mut sink = subject.sink();
    assert_eq!(error(sink.write(&batch(&missing, &[row("k", "v")]))), TransportErrorKind::UnknownTopic);
    let topic = subject.topic(2);
    let outside = Row { partition: 2, ..row("k", "v") };
    assert_eq!(error(sink.write(&batch(&topic, &[outside]))), TransportErrorKind::Invalid);
    // The sink still writes valid records.
    sink.write(&batch(&topic, &[row("k", "v")])).unwrap();
    sink.flush(LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadCommitted, &[1, 0]);
}
