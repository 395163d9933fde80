//! The transactional copier: records of the source, each with the number and the size of its transaction, and the offsets in the
//! same transaction.
//!
//! Some transactions are aborted on purpose. After an abort or an error the copier goes on from the offsets that the broker says are
//! committed, never from its own memory: so a commit that happened by half shows in the copy.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::PARTITIONS;
use super::progress::{Failure, Progress};
use super::tag::Tag;

/// Number of records of a transaction.
const SIZE: std::ops::RangeInclusive<usize> = 100..=1_500;
/// One in this many transactions is aborted on purpose.
const ABORT_ONE_IN: u32 = 12;
/// Maximum time for the first record of a transaction, and for each further one.
const FIRST_MAX: Duration = Duration::from_millis(100);
const NEXT_MAX: Duration = Duration::from_millis(5);
/// Maximum time for one call about a transaction, and until everything works again after an error.
const CALL_MAX: Duration = Duration::from_secs(30);
const RECOVERY_MAX: Duration = Duration::from_secs(60);
const RECOVERY_PAUSE: Duration = Duration::from_millis(20);
/// Pauses of loops that wait for deliveries, and for space in the queue of the producer.
const DELIVERY_PAUSE: Duration = Duration::from_micros(200);
const QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// What to copy, and where.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Address of the broker.
    pub bootstrap: &'a str,
    /// The topic to read.
    pub source: &'a str,
    /// The topic to write.
    pub copy: &'a str,
    /// The transactional id and the group.
    pub id: &'a str,
    /// Seed of sizes and aborts.
    pub seed: u64,
}

/// What the copier has done.
#[derive(Debug, Default)]
pub struct Copied {
    /// Number of transactions that were begun.
    pub transactions: u32,
    /// Number of those that were aborted on purpose.
    pub aborted: u32,
    /// Number of errors after which the copier went on from the committed offsets.
    pub errors: u32,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transactions, aborted, errors } = self;
        write!(f, "{transactions} transactions, {aborted} aborted on purpose, {errors} errors")
    }
}

/// Copies until every record of the run is copied.
pub fn copy(route: &Route<'_>, progress: &Progress) -> Result<Copied, Failure> {
    let mut copier = Copier::open(route)?;
    while progress.copied() < progress.records() {
        progress.check()?;
        if let Err(error) = copier.copy_some() {
            copier.recover(&error)?;
        }
        progress.set_copied(copier.committed());
    }
    Ok(copier.done)
}

struct Copier<'a> {
    route: &'a Route<'a>,
    producer: BaseProducer<Quiet>,
    consumer: BaseConsumer<Quiet>,
    chance: StdRng,
    /// The next offset of each partition to commit.
    positions: [i64; PARTITIONS],
    done: Copied,
}

/// A record that is about to be copied.
struct Picked {
    partition: i32,
    number: usize,
}

impl<'a> Copier<'a> {
    fn open(route: &'a Route<'a>) -> Result<Self, Failure> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", route.bootstrap)
            .set("group.id", route.id)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            // After an abort, the fetch on its way must end before the records are fetched again.
            .set("fetch.wait.max.ms", "20")
            .create_with_context(Quiet)?;
        let chance = StdRng::seed_from_u64(route.seed);
        let producer = open_producer(route)?;
        let mut copier =
            Self { route, producer, consumer, chance, positions: [0; PARTITIONS], done: Copied::default() };
        copier.start_reading()?;
        Ok(copier)
    }

    /// Number of committed records.
    fn committed(&self) -> usize {
        self.positions.iter().sum::<i64>() as usize
    }

    /// One transaction. After an error it is unknown what has become of it.
    fn copy_some(&mut self) -> Result<(), KafkaError> {
        let (picked, positions) = self.pick()?;
        if picked.is_empty() {
            return Ok(());
        }
        self.done.transactions += 1;
        let is_doomed = self.chance.random_ratio(1, ABORT_ONE_IN);
        self.producer.begin_transaction()?;
        let (transaction, size) = (self.done.transactions, picked.len());
        for Picked { partition, number } in picked {
            let tag = Tag { number, transaction, size, is_doomed };
            send(&self.producer, self.route.copy, partition, &tag.to_string())?;
        }
        if is_doomed {
            return self.abort(&positions);
        }
        self.send_offsets(&positions)?;
        self.await_deliveries();
        self.producer.commit_transaction(CALL_MAX)?;
        self.positions = positions;
        Ok(())
    }

    /// The next records of the source, and the positions after them.
    fn pick(&mut self) -> Result<(Vec<Picked>, [i64; PARTITIONS]), KafkaError> {
        let size = self.chance.random_range(SIZE);
        let (mut picked, mut positions, mut patience) = (Vec::with_capacity(size), self.positions, FIRST_MAX);
        while picked.len() < size {
            let record = match self.consumer.poll(patience) {
                Some(Ok(record)) => record,
                Some(Err(error)) if is_about_connection(&error) => continue,
                Some(Err(error)) => return Err(error),
                None => break,
            };
            let text = record.payload().and_then(|payload| std::str::from_utf8(payload).ok());
            let number = text
                .and_then(|text| text.parse().ok())
                .ok_or(KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage))?;
            picked.push(Picked { partition: record.partition(), number });
            positions[record.partition() as usize] = record.offset() + 1;
            patience = NEXT_MAX;
        }
        Ok((picked, positions))
    }

    fn send_offsets(&self, positions: &[i64; PARTITIONS]) -> Result<(), KafkaError> {
        let mut offsets = TopicPartitionList::new();
        for (partition, position) in positions.iter().enumerate() {
            offsets.add_partition_offset(self.route.source, partition as i32, Offset::Offset(*position))?;
        }
        let group = self.consumer.group_metadata().ok_or(KafkaError::ClientCreation("no group".to_owned()))?;
        self.producer.send_offsets_to_transaction(&offsets, &group, CALL_MAX)
    }

    /// Aborts on purpose, with all records in the log, and half of the time with the offsets in the transaction.
    fn abort(&mut self, positions: &[i64; PARTITIONS]) -> Result<(), KafkaError> {
        self.done.aborted += 1;
        self.await_deliveries();
        if self.chance.random() {
            self.send_offsets(positions)?;
        }
        self.producer.abort_transaction(CALL_MAX)?;
        let committed = self.committed_positions()?;
        self.consumer.seek_partitions(committed, CALL_MAX)?.elements().iter().try_for_each(|element| element.error())
    }

    /// Waits until no record is on its way. Commits and aborts do so, too, but a commit waits for a multiple of 100 ms, and an abort
    /// only for what another thread receives.
    fn await_deliveries(&self) {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && begun.elapsed() < CALL_MAX {
            self.producer.poll(Duration::ZERO);
            thread::sleep(DELIVERY_PAUSE);
        }
    }

    /// Goes on after an error with a new producer, which fences the old one and so ends its transaction.
    fn recover(&mut self, error: &KafkaError) -> Result<(), Failure> {
        self.done.errors += 1;
        let begun = Instant::now();
        while let Err(next) = self.reopen() {
            if begun.elapsed() > RECOVERY_MAX {
                return Err(format!("{error}; and then, for {RECOVERY_MAX:?}: {next}").into());
            }
            thread::sleep(RECOVERY_PAUSE);
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), KafkaError> {
        self.producer = open_producer(self.route)?;
        self.start_reading()
    }

    /// Reads from the offsets that are committed.
    fn start_reading(&mut self) -> Result<(), KafkaError> {
        let committed = self.committed_positions()?;
        self.consumer.assign(&committed)
    }

    /// Takes the offsets that are committed for the positions.
    fn committed_positions(&mut self) -> Result<TopicPartitionList, KafkaError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(self.route.source, 0, PARTITIONS as i32 - 1);
        let committed = self.consumer.committed_offsets(asked, CALL_MAX)?;
        let mut positions = TopicPartitionList::new();
        for element in committed.elements() {
            element.error()?;
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(0);
            self.positions[element.partition() as usize] = offset;
            positions.add_partition_offset(self.route.source, element.partition(), Offset::Offset(offset))?;
        }
        Ok(positions)
    }
}

fn open_producer(route: &Route<'_>) -> Result<BaseProducer<Quiet>, KafkaError> {
    let producer: BaseProducer<Quiet> = ClientConfig::new()
        .set("bootstrap.servers", route.bootstrap)
        .set("transactional.id", route.id)
        .set("linger.ms", "0")
        .create_with_context(Quiet)?;
    producer.init_transactions(CALL_MAX)?;
    Ok(producer)
}

fn send(producer: &BaseProducer<Quiet>, topic: &str, partition: i32, text: &str) -> Result<(), KafkaError> {
    let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(text);
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        producer.poll(Duration::ZERO);
        thread::sleep(QUEUE_PAUSE);
    }
    Ok(())
}

/// Whether the client reports that it has lost the broker, and will connect again by itself.
fn is_about_connection(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, Resolve};
    matches!(error.rdkafka_error_code(), Some(BrokerTransportFailure | AllBrokersDown | Resolve))
}

/// Says nothing: the broker is expected to be gone at times, and what lasts shows in the results of calls.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _: KafkaError, _: &str) {}

    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}
