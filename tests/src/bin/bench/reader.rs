//! Reads a topic from its start to what was committed when the read began, without records of open or aborted
//! transactions.
//!
//! It is the input of the baseline copy, and the independent reader with which the other benchmarks count what a query
//! wrote.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use headwater_tests::bare;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::librdkafka::{Queue, Record, Taken};

/// Maximum time without a record or an end, after which the read fails.
const STALL_MAX: Duration = Duration::from_secs(30);
const CLUSTER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A read_committed consumer, tuned like the baseline reader.
pub fn consumer(bootstrap: &str, group: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (name, value) in bare::SETTINGS {
        config.set(name, value);
    }
    config.set("group.id", group).set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    Ok(config.create()?)
}

/// Assigns all partitions of a topic to a consumer, from their starts.
pub fn assign_from_start(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    Ok(consumer.assign(&assignment)?)
}

/// Number of partitions of a topic. Fails when it does not exist.
pub fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Result<i32, Box<dyn Error>> {
    let metadata = consumer.fetch_metadata(Some(topic), CLUSTER_WAIT_MAX)?;
    match metadata.topics().first().map_or(0, |found| found.partitions().len()) {
        0 => Err(format!("topic \"{topic}\" does not exist").into()),
        partitions => Ok(i32::try_from(partitions)?),
    }
}

/// A read in progress.
pub struct Reader {
    queue: Queue,
    consumer: BaseConsumer,
    topic: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// The end of each partition that has not been reached.
    open: BTreeMap<i32, i64>,
    /// The offset after the last record returned, for each partition that had one.
    next: BTreeMap<i32, i64>,
    last: Instant,
}

impl Reader {
    /// Begins a read and determines the ends.
    pub fn open(bootstrap: &str, topic: &str, group: &str) -> Result<Self, Box<dyn Error>> {
        let consumer = consumer(bootstrap, group)?;
        let partitions = partitions_of(&consumer, topic)?;
        let open = ends(&consumer, topic, partitions)?;
        assign_from_start(&consumer, topic, partitions)?;
        let queue = Queue::of(&consumer)?;
        let topic = topic.to_owned();
        Ok(Self { queue, consumer, topic, partitions, open, next: BTreeMap::new(), last: Instant::now() })
    }

    /// Passes the records of the next batch to `show`; false when the end is reached.
    pub fn next_batch(
        &mut self,
        mut show: impl FnMut(&Record<'_>) -> Result<(), Box<dyn Error>>,
    ) -> Result<bool, Box<dyn Error>> {
        let (open, next) = (&mut self.open, &mut self.next);
        let any = self.queue.take_batch(|taken| match taken {
            Taken::End(partition) => {
                open.remove(&partition);
                Ok(())
            }
            Taken::Record(record) if pass(open, next, &record) => show(&record),
            Taken::Record(_) => Ok(()),
        })?;
        if any {
            self.last = Instant::now();
        } else if self.last.elapsed() > STALL_MAX {
            return Err(format!(
                "nothing arrived for {STALL_MAX:?}, {} partitions have not reached their end",
                self.open.len()
            )
            .into());
        }
        Ok(!self.open.is_empty())
    }

    /// Whether everything has been read.
    pub fn is_at_end(&self) -> bool {
        self.open.is_empty()
    }

    /// The current positions, as offsets to commit.
    pub fn positions(&self) -> Result<TopicPartitionList, Box<dyn Error>> {
        let mut positions = TopicPartitionList::new();
        for (partition, offset) in &self.next {
            positions.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(positions)
    }

    /// The group of the reader, for offsets in a transaction.
    pub fn group(&self) -> Result<ConsumerGroupMetadata, Box<dyn Error>> {
        Ok(self.consumer.group_metadata().ok_or("the consumer is not in a group")?)
    }
}

/// Records that an offset was read; false if it is after the end.
fn pass(open: &mut BTreeMap<i32, i64>, next: &mut BTreeMap<i32, i64>, record: &Record<'_>) -> bool {
    let Some(end) = open.get(&record.partition).copied() else { return false };
    if record.offset + 1 >= end {
        open.remove(&record.partition);
    }
    let before = record.offset < end;
    if before {
        next.insert(record.partition, record.offset + 1);
    }
    before
}

/// The end of each partition that is not empty.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Result<BTreeMap<i32, i64>, Box<dyn Error>> {
    let mut ends = BTreeMap::new();
    for partition in 0..partitions {
        let (start, end) = consumer.fetch_watermarks(topic, partition, CLUSTER_WAIT_MAX)?;
        if start < end {
            ends.insert(partition, end);
        }
    }
    Ok(ends)
}

/// The last stable offset and the end of each partition, to find missing records.
pub fn stable_ends(bootstrap: &str, topic: &str) -> Result<String, Box<dyn Error>> {
    let look = |isolation: &str| -> Result<BTreeMap<i32, i64>, Box<dyn Error>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", "bench-look").set("isolation.level", isolation);
        let consumer: BaseConsumer = config.create()?;
        ends(&consumer, topic, partitions_of(&consumer, topic)?)
    };
    let (stable, all) = (look("read_committed")?, look("read_uncommitted")?);
    let shown = all.iter().map(|(p, end)| format!("[{p}] {} of {end}", stable.get(p).unwrap_or(&0)));
    Ok(format!("stable ends: {}", shown.collect::<Vec<_>>().join(", ")))
}

/// Number of offsets of a topic that a reader of committed records can read past, including markers; 0 if the topic
/// does not exist. The consumer must read committed records.
pub fn stable_offsets(consumer: &BaseConsumer, topic: &str) -> Result<u64, Box<dyn Error>> {
    let Ok(partitions) = partitions_of(consumer, topic) else { return Ok(0) };
    Ok(ends(consumer, topic, partitions)?.values().map(|end| end.unsigned_abs()).sum())
}

/// Number of committed records of a topic for which `wanted` returns true.
pub fn count(bootstrap: &str, topic: &str, wanted: impl Fn(&Record<'_>) -> bool) -> Result<u64, Box<dyn Error>> {
    let mut counted = 0;
    each_record(bootstrap, topic, |record| {
        counted += u64::from(wanted(record));
        Ok(())
    })?;
    Ok(counted)
}

/// Passes each committed record of a topic to `show`; the records of a partition in their order.
pub fn each_record(
    bootstrap: &str,
    topic: &str,
    mut show: impl FnMut(&Record<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::open(bootstrap, topic, "bench-read")?;
    while !reader.is_at_end() {
        reader.next_batch(&mut show)?;
    }
    Ok(())
}
