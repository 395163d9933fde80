//! The idempotent producer: numbered records, in turn to each partition, so that every partition has one right content.
//!
//! It stays not far ahead of the copier, so that a kill meets both.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::PARTITIONS;
use super::progress::{Failure, Progress};

/// How far the writer is ahead of the copier before it slows down, as a part of all records.
const LEAD_ONE_IN: usize = 20;
/// Number of pauses after each group of records when it is further ahead.
const SLOW_PAUSES: usize = 5;
/// Number of records between two looks at the acknowledgements.
const RECORDS_PER_POLL: usize = 200;
const PACE: Duration = Duration::from_millis(1);
/// How long a record is retried: much longer than the broker is down.
const DELIVERY_MAX: Duration = Duration::from_secs(120);

/// Writes all records and waits until each is acknowledged.
pub fn write(bootstrap: &str, topic: &str, progress: &Progress) -> Result<(), Failure> {
    let deliveries = Deliveries { progress, refused: Mutex::default() };
    let producer: BaseProducer<Deliveries<'_>> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("message.timeout.ms", DELIVERY_MAX.as_millis().to_string())
        .create_with_context(deliveries)?;
    for number in 0..progress.records() {
        if number.is_multiple_of(RECORDS_PER_POLL) {
            keep_pace(number, &producer, progress)?;
        }
        send(&producer, topic, number)?;
    }
    producer.flush(DELIVERY_MAX)?;
    match progress.acknowledged() {
        acknowledged if acknowledged == progress.records() => Ok(()),
        acknowledged => {
            let error = producer.context().refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(format!("{acknowledged} of {} records were acknowledged: {error:?}", progress.records()).into())
        }
    }
}

/// Slows down when the copier is far behind; it never stops, so that a kill always meets records on their way.
fn keep_pace(number: usize, producer: &BaseProducer<Deliveries<'_>>, progress: &Progress) -> Result<(), Failure> {
    progress.check()?;
    for _ in 0..SLOW_PAUSES {
        producer.poll(Duration::ZERO);
        if number <= progress.copied() + progress.records() / LEAD_ONE_IN {
            break;
        }
        // Not a poll with this timeout, which would be busy for the last millisecond.
        thread::sleep(PACE);
    }
    Ok(())
}

fn send(producer: &BaseProducer<Deliveries<'_>>, topic: &str, number: usize) -> Result<(), KafkaError> {
    let text = number.to_string();
    let mut record = BaseRecord::<(), str>::to(topic).partition((number % PARTITIONS) as i32).payload(&text);
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        producer.poll(Duration::ZERO);
        thread::sleep(PACE);
    }
    Ok(())
}

/// Counts acknowledgements.
struct Deliveries<'a> {
    progress: &'a Progress,
    /// Why a record was not acknowledged: the first one.
    refused: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries<'_> {
    // The broker is expected to be gone at times.
    fn error(&self, _: KafkaError, _: &str) {}

    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ProducerContext for Deliveries<'_> {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.progress.acknowledge(),
            Err((error, _)) => {
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
            }
        }
    }
}
