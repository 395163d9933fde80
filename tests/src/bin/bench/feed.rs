//! Writes bids at a steady rate; `dateTime` is the time at which the record was created, in microseconds.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_tests::nexmark::Bids;
use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How long the producer waits for a batch to fill: librdkafka's default, which is part of every latency.
const LINGER_MS: &str = "5";
const PACE: Duration = Duration::from_millis(1);
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

/// A thread that writes until it is stopped.
pub struct Feed {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, Failure>>,
}

impl Feed {
    /// Starts writing the given number of bids per second to a topic, evenly paced.
    pub fn start(bootstrap: &str, topic: &str, per_second: u64) -> Result<Self, Box<dyn Error>> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", LINGER_MS)
            .set("delivery.report.only.error", "true")
            .create()?;
        let (stopped, topic) = (Arc::new(AtomicBool::new(false)), topic.to_owned());
        let seen = Arc::clone(&stopped);
        let thread = thread::spawn(move || write(&producer, &topic, per_second, &seen));
        Ok(Self { stopped, thread })
    }

    /// Fails if the thread has ended.
    pub fn check(&self) -> Result<(), Box<dyn Error>> {
        if self.thread.is_finished() { Err("the feed has ended".into()) } else { Ok(()) }
    }

    /// Stops the thread and returns the number of records once all are acknowledged.
    pub fn stop(self) -> Result<u64, Box<dyn Error>> {
        self.stopped.store(true, Ordering::Relaxed);
        let written = self.thread.join().map_err(|_| "the feed panicked")?;
        written.map_err(|error| error as Box<dyn Error>)
    }
}

/// The current time in microseconds since the epoch.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn write(producer: &BaseProducer, topic: &str, per_second: u64, stopped: &AtomicBool) -> Result<u64, Failure> {
    let (begun, mut bids, mut json, mut made) = (Instant::now(), Bids::new(1), Vec::new(), 0);
    while !stopped.load(Ordering::Relaxed) {
        let due = u64::try_from(begun.elapsed().as_micros())? * per_second / 1_000_000;
        for mut bid in bids.by_ref().take(usize::try_from(due - made)?) {
            bid.date_time_ms = now_us();
            json.clear();
            bid.write_json(&mut json);
            send(producer, BaseRecord::to(topic).key(&bid.auction.to_string()).payload(&json))?;
        }
        made = due;
        producer.poll(Duration::ZERO);
        thread::sleep(PACE);
    }
    producer.flush(FLUSH_WAIT_MAX)?;
    Ok(made)
}

fn send(producer: &BaseProducer, mut record: BaseRecord<'_, String, Vec<u8>>) -> Result<(), Failure> {
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        record = back;
        producer.poll(PACE);
    }
    Ok(())
}
