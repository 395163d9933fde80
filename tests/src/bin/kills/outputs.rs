//! Reads a topic as any other client does: from its start to what is committed now.

use std::error::Error;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::trial::PARTITIONS;

const POLL_WAIT: Duration = Duration::from_millis(100);
/// Maximum time without a record or an end, after which the read fails.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Passes every committed record of a topic and its address, as text, to `hear`; the records of a partition in their order.
pub fn read(
    bootstrap: &str,
    topic: &str,
    mut hear: impl FnMut(&BorrowedMessage<'_>, &dyn Fn() -> String),
) -> Result<(), Box<dyn Error>> {
    let consumer = consumer(bootstrap)?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut open, mut last) = (vec![true; usize::try_from(PARTITIONS)?], Instant::now());
    while open.contains(&true) {
        match consumer.poll(POLL_WAIT) {
            Some(Ok(record)) => hear(&record, &|| address(&record)),
            Some(Err(KafkaError::PartitionEOF(partition))) => open[usize::try_from(partition)?] = false,
            // A broker may be down for a while.
            Some(Err(_)) | None if last.elapsed() < STALL_MAX => continue,
            Some(Err(error)) => return Err(error.into()),
            None => return Err(format!("nothing arrived from topic \"{topic}\" for {STALL_MAX:?}").into()),
        }
        last = Instant::now();
    }
    Ok(())
}

/// Where a record is.
fn address(record: &BorrowedMessage<'_>) -> String {
    format!("{}[{}] offset {}", record.topic(), record.partition(), record.offset())
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "kills-judge").set("isolation.level", "read_committed");
    config.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
    Ok(config.set_log_level(RDKafkaLogLevel::Emerg).create()?)
}
