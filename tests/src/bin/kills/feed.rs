//! The load: numbered records at a steady rate, and the delivery report of each.
//!
//! Their timestamps are in disorder, and some are seconds older than their neighbours.
//!
//! The producer is idempotent and waits for all replicas, so an acknowledged record is in the topic exactly once. A
//! record that was not acknowledged may be in the topic or not; nothing is expected of it.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

const KEYS: usize = 1_000;
const PACE: Duration = Duration::from_millis(5);
/// Maximum number of records of one feed: a gigabyte of topics.
const RECORDS_MAX: usize = 10_000_000;
/// Maximum duration of one feed.
const LIFE_MAX: Duration = Duration::from_secs(3_600);
/// How long a record is retried, and how long to wait for the last ones: longer than any broker is down.
const DELIVERY_MAX: Duration = Duration::from_secs(120);

/// A record as it was sent; its number is its index in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Number of its key.
    pub key: usize,
    /// Number of earlier records with this key.
    pub seq: usize,
    /// Its partition and offset; `None` if it was not acknowledged.
    pub address: Option<Address>,
}

/// The address of a record. A broker that has forgotten the offset of a duplicate reports -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// The text of a key.
pub fn key_text(key: usize) -> String {
    format!("key-{key:03}")
}

/// Maximum time by which most timestamps are behind the newest one.
pub const DISORDER_MS_MAX: u64 = 800;
/// One in this many records is older still, by this much.
pub const LATE_ONE_IN: usize = 100;
/// How much older these records are.
pub const LATE_MS: u64 = 5_000;

type Failure = Box<dyn Error + Send + Sync>;

/// A thread that writes until it is stopped.
pub struct Feed {
    stopped: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Vec<Sent>, Failure>>,
}

impl Feed {
    /// Starts writing the given number of records per second to topics that take turns, with keys derived from the
    /// seed.
    pub fn start(bootstrap: &str, topics: &[&str], per_second: u64, seed: u64) -> Result<Self, Box<dyn Error>> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("message.timeout.ms", DELIVERY_MAX.as_millis().to_string())
            .create_with_context(Acknowledged::default())?;
        let (stopped, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut writer = Writer {
            producer,
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            chance: StdRng::seed_from_u64(seed),
            seqs: vec![0; KEYS],
            sent: Vec::new(),
            started_ms: now_ms(),
            per_second,
            written: Arc::clone(&written),
        };
        let seen = Arc::clone(&stopped);
        let thread = thread::spawn(move || writer.write(&seen).and_then(|()| writer.finish()));
        Ok(Self { stopped, written, thread })
    }

    /// Number of records so far.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Fails if the thread has ended.
    pub fn check(&self) -> Result<(), Box<dyn Error>> {
        if self.thread.is_finished() { Err("the feed has ended by itself".into()) } else { Ok(()) }
    }

    /// Stops the thread, waits for the last acknowledgements and returns all records.
    pub fn stop(self) -> Result<Vec<Sent>, Box<dyn Error>> {
        self.stopped.store(true, Ordering::Relaxed);
        let sent = self.thread.join().map_err(|_| "the feed panicked")?;
        sent.map_err(|error| error as Box<dyn Error>)
    }
}

struct Writer {
    producer: BaseProducer<Acknowledged>,
    topics: Vec<String>,
    chance: StdRng,
    seqs: Vec<usize>,
    sent: Vec<Sent>,
    started_ms: u64,
    per_second: u64,
    written: Arc<AtomicUsize>,
}

impl Writer {
    fn write(&mut self, stopped: &AtomicBool) -> Result<(), Failure> {
        let begun = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            let due = usize::try_from(begun.elapsed().as_micros() * u128::from(self.per_second) / 1_000_000)?;
            if due > RECORDS_MAX || begun.elapsed() > LIFE_MAX {
                return Err(format!("the feed is limited to {RECORDS_MAX} records and {LIFE_MAX:?}").into());
            }
            while self.sent.len() < due {
                self.write_next()?;
            }
            self.written.store(due, Ordering::Relaxed);
            self.producer.poll(Duration::ZERO);
            thread::sleep(PACE);
        }
        Ok(())
    }

    fn write_next(&mut self) -> Result<(), Failure> {
        let key = self.chance.random_range(0..KEYS);
        let (number, seq) = (self.sent.len(), self.seqs[key]);
        self.seqs[key] += 1;
        self.sent.push(Sent { key, seq, address: None });
        let timestamp_ms = i64::try_from(self.timestamp_ms(number))?;
        let topic = &self.topics[number % self.topics.len()];
        let (text, value) = (key_text(key), format!(r#"{{"n":{number},"seq":{seq}}}"#));
        let mut record = BaseRecord::with_opaque_to(topic, number).key(&text).payload(&value).timestamp(timestamp_ms);
        while let Err((error, back)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            self.producer.poll(PACE);
        }
        Ok(())
    }

    /// The time at which the record is due, minus its disorder.
    fn timestamp_ms(&mut self, number: usize) -> u64 {
        let due_ms = self.started_ms + number as u64 * 1_000 / self.per_second.max(1);
        let late_ms = if self.chance.random_range(0..LATE_ONE_IN) == 0 { LATE_MS } else { 0 };
        due_ms - self.chance.random_range(0..=DISORDER_MS_MAX) - late_ms
    }

    fn finish(&mut self) -> Result<Vec<Sent>, Failure> {
        self.producer.flush(DELIVERY_MAX)?;
        let mut sent = std::mem::take(&mut self.sent);
        let addresses = self.producer.context().addresses.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, address) in addresses.iter() {
            sent[*number].address = Some(*address);
        }
        Ok(sent)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Records the addresses of acknowledged records.
#[derive(Default)]
struct Acknowledged {
    addresses: Mutex<Vec<(usize, Address)>>,
}

impl ClientContext for Acknowledged {
    // A broker is expected to be down at times; permanent failures show in the records.
    fn error(&self, _: KafkaError, _: &str) {}

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Ok(record) = result {
            let address = Address { partition: record.partition(), offset: record.offset() };
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).push((number, address));
        }
    }
}
