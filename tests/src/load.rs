//! Writes generated records to a topic quickly: creates the topic, and uses one producer with large batches.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

/// Maximum time for a full send buffer to drain, for the last acknowledgements and for creating a topic.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Number of records between two polls for delivery reports.
const RECORDS_PER_POLL: u64 = 1_000;

/// Creates a topic that keeps everything (`retention.ms=-1`, because generated records are older than any retention),
/// with the cluster's default number of replicas. Fails when the topic exists.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    create_topic_with(bootstrap, topic, partitions, &[])
}

/// The same with further settings.
pub fn create_topic_with(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<(), Box<dyn Error>> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let replication = TopicReplication::Fixed(-1);
    let new = NewTopic::new(topic, partitions, replication).set("retention.ms", "-1");
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    let options = AdminOptions::new().operation_timeout(Some(WAIT_MAX));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let made = runtime.block_on(admin.create_topics([&new], &options))?;
    match made.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
            Err(format!("topic \"{topic}\" already exists: delete it or choose another name").into())
        }
        Some(Err((_, code))) => Err(format!("could not create topic \"{topic}\": {code}").into()),
        _ => Ok(()),
    }
}

/// A writer to one topic. Records with the same key stay in order and go to the partition that the Java client would
/// choose (murmur2).
pub struct Load {
    producer: BaseProducer<Deliveries>,
    failed: Arc<AtomicU64>,
    topic: String,
    written: u64,
}

impl Load {
    /// Opens a writer. `compression` is one of librdkafka's names, including `none`.
    pub fn open(bootstrap: &str, topic: &str, compression: &str) -> Result<Self, KafkaError> {
        let failed = Arc::new(AtomicU64::new(0));
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("compression.type", compression)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "50")
            .set("batch.size", "1000000")
            .set("batch.num.messages", "100000")
            .set("queue.buffering.max.messages", "500000")
            .create_with_context(Deliveries(Arc::clone(&failed)))?;
        Ok(Self { producer, failed, topic: topic.to_owned(), written: 0 })
    }

    /// Writes one record; waits while the send buffer is full.
    pub fn write(&mut self, key: &[u8], value: &[u8], timestamp_ms: i64) -> Result<(), KafkaError> {
        let mut record = BaseRecord::to(&self.topic).key(key).payload(value).timestamp(timestamp_ms);
        while let Err((error, back)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            record = back;
            self.producer.poll(Duration::from_millis(100));
        }
        self.written += 1;
        if self.written.is_multiple_of(RECORDS_PER_POLL) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until every record is acknowledged and returns their number; fails when one was not acknowledged.
    pub fn finish(self) -> Result<u64, Box<dyn Error>> {
        self.producer.flush(WAIT_MAX)?;
        match self.failed.load(Ordering::Relaxed) {
            0 => Ok(self.written),
            failed => Err(format!("{failed} of {} records were not acknowledged", self.written).into()),
        }
    }
}

/// Counts the records that were not delivered.
struct Deliveries(Arc<AtomicU64>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
