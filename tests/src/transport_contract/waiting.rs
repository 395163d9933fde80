//! Doorbells, which wait for new records in a log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{Doorbell, Isolation, Membership};
use headwater_formats::record::TopicPartition;

use super::Subject;
use super::fixture::{LIMIT, Row, batch, row};

/// A bell rings for records at or after its offset, in any of its partitions, and for no others; a log may have many
/// bells.
pub fn records(subject: &Subject<'_>) {
    let topic = subject.topic(2);
    subject.write(&topic, &[row("k", "read already")]);
    let (mut first, mut second, mut other) =
        (hang(subject, &topic, &[(0, 1)]), hang(subject, &topic, &[(0, 1), (1, 0)]), hang(subject, &topic, &[(1, 0)]));
    let mut late = hang(subject, &topic, &[(0, 0)]);
    assert!(rings(&mut *late), "there is already a record");
    drop(hang(subject, &topic, &[(0, 0), (1, 0)]));
    assert!(is_silent(&mut [&mut *first, &mut *second, &mut *other]));
    subject.write(&topic, &[row("k", "new")]);
    assert!(rings(&mut *first) && rings(&mut *second));
    assert!(rings(&mut *first), "once rung, always rung");
    assert!(is_silent(&mut [&mut *other]));
    subject.write(&topic, &[Row { partition: 1, ..row("k", "newer") }]);
    assert!(rings(&mut *other));
    // The same log, after a time without bells.
    let mut again = hang(subject, &topic, &[(0, 2)]);
    assert!(is_silent(&mut [&mut *again]));
    subject.write(&topic, &[row("k", "newest")]);
    assert!(rings(&mut *again));
}

/// Readers do not see what an open transaction holds back; the end of the log may be a lone marker.
pub fn markers(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut bell = hang(subject, &topic, &[(0, 0)]);
    let mut sink = subject.transactional_sink();
    sink.begin().unwrap();
    sink.write(&batch(&topic, &[row("k", "v")])).unwrap();
    sink.flush(LIMIT).unwrap();
    subject.await_ends(&topic, Isolation::ReadUncommitted, &[1]);
    assert!(is_silent(&mut [&mut *bell]));
    sink.commit(&Membership::outside("group"), &BTreeMap::new(), LIMIT).unwrap();
    assert!(rings(&mut *bell));
    let mut behind_record = hang(subject, &topic, &[(0, 1)]);
    assert!(rings(&mut *behind_record), "the marker");
    let mut behind_marker = hang(subject, &topic, &[(0, 2)]);
    assert!(is_silent(&mut [&mut *behind_marker]));
}

/// A bell at an offset that does not exist also rings.
pub fn beyond(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    subject.write(&topic, &[row("k", "v")]);
    let mut beyond = hang(subject, &topic, &[(0, 5)]);
    assert!(rings(&mut *beyond), "the log ends earlier");
}

/// A topic is deleted and created again while it has bells. The bells of the old topic may ring or not; a new one
/// rings.
pub fn recreated(subject: &Subject<'_>) {
    let topic = subject.topic(1);
    let mut former = hang(subject, &topic, &[(0, 0)]);
    assert!(is_silent(&mut [&mut *former]));
    subject.transport.admin().delete_topic(&topic).unwrap();
    is_silent(&mut [&mut *former]);
    subject.topic(1);
    let mut bell = hang(subject, &topic, &[(0, 0)]);
    subject.write(&topic, &[row("k", "v")]);
    assert!(rings(&mut *bell));
}

fn hang(subject: &Subject<'_>, topic: &Arc<str>, places: &[(i32, i64)]) -> Box<dyn Doorbell> {
    let place = |(partition, offset): &(i32, i64)| (TopicPartition::new(Arc::clone(topic), *partition), *offset);
    subject.transport.doorbell(&places.iter().map(place).collect()).unwrap()
}

fn rings(bell: &mut dyn Doorbell) -> bool {
    let begun = Instant::now();
    while !bell.wait(Duration::from_millis(100)) {
        if begun.elapsed() > LIMIT {
            return false;
        }
    }
    true
}

/// No bell rings for nothing within a short time. It may happen once, but a bell that always rings is useless.
fn is_silent(bells: &mut [&mut dyn Doorbell]) -> bool {
    (0..10).all(|_| bells.iter_mut().all(|bell| !bell.wait(Duration::from_millis(100))))
}
