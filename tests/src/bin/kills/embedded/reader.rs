//! An independent read_committed reader: reads both topics from their start and compares them with what was acknowledged, which is
//! every record of the run.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::PARTITIONS;
use super::copier::Route;
use super::findings::{Findings, Shown};
use super::progress::Failure;
use super::tag::Tag;

/// Maximum time without a record.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Reads and judges both topics.
pub fn judge(route: &Route<'_>, records: usize) -> Result<Findings, Failure> {
    let source = judge_topic(route.bootstrap, route.source, records, |text| text.parse().ok())?;
    let mut shown = Shown::default();
    let mut copy = judge_topic(route.bootstrap, route.copy, records, |text| {
        let tag: Tag = text.parse().ok()?;
        shown.add(tag);
        Some(tag.number)
    })?;
    shown.judge(&mut copy);
    Ok(source.and(copy))
}

/// Judges a topic that must contain each number once, in order, in its partition.
fn judge_topic(
    bootstrap: &str,
    topic: &str,
    records: usize,
    mut number: impl FnMut(&str) -> Option<usize>,
) -> Result<Findings, Failure> {
    let (mut findings, mut is_seen, mut last) = (Findings::default(), vec![false; records], [None; PARTITIONS]);
    let verdict = &mut findings.verdict;
    read(bootstrap, topic, |record| {
        let text = String::from_utf8_lossy(record.payload().unwrap_or_default());
        let partition = record.partition() as usize;
        let address = || format!("{topic}[{partition}]@{}", record.offset());
        match number(&text).filter(|number| *number < records && number % PARTITIONS == partition) {
            None => verdict.wrong(&text, &address),
            Some(number) if is_seen[number] => verdict.doubled(&text, &address),
            Some(number) => {
                is_seen[number] = true;
                verdict.records += 1;
                match last[partition] {
                    Some(before) if before > number => verdict.out_of_order(&text, &before, &address),
                    _ => last[partition] = Some(number),
                }
            }
        }
    })?;
    let missing = is_seen.iter().enumerate().filter(|(_, is_seen)| !**is_seen);
    missing.for_each(|(number, _)| verdict.lost(topic, &number));
    Ok(findings)
}

/// Reads the committed records of a topic up to its end.
fn read(bootstrap: &str, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut ended, mut arrived_at) = (0, Instant::now());
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(record)) => each(&record),
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => return Err(error.into()),
            None if arrived_at.elapsed() > SILENCE_MAX => return Err(format!("{topic} cannot be read").into()),
            None => continue,
        }
        arrived_at = Instant::now();
    }
    Ok(())
}
