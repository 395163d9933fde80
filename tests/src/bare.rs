//! The baseline reader: reads a topic to its end with librdkafka's batch call and only counts bytes.
//!
//! Headwater's bounded reads are measured against it, so it is tuned as a sensible user would: one consumer queue for
//! all partitions, large batches, no offset commits, no CRC check (librdkafka's default). Two settings were found by
//! experiment, see [`SETTINGS`].
//!
//! It is a separate file because `rd_kafka_consume_batch_queue` has no safe wrapper: this is the only file here with
//! unsafe code. The reader of `headwater-connectors` is deliberately separate: a baseline must not share code with what
//! is measured against it.

#![allow(unsafe_code)]

use std::error::Error;
use std::ptr;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rdkafka_sys as sys;

/// The librdkafka properties of the reader. Fetches of 2 MiB per partition use a third less CPU than the default of 1
/// MiB, and 4 MiB bring no further gain; with the default wait of one second for a partition whose queue is full, a
/// fast reader would pause.
pub const SETTINGS: [(&str, &str); 5] = [
    ("group.id", "bare-reader"),
    ("enable.auto.commit", "false"),
    ("isolation.level", "read_uncommitted"),
    ("fetch.message.max.bytes", "2097152"),
    ("fetch.queue.backoff.ms", "5"),
];

/// Maximum number of messages per call.
const BATCH_MESSAGES_MAX: usize = 10_000;
/// Maximum time that one call waits for its batch to fill.
const BATCH_WAIT_MS: i32 = 10;
/// Maximum time without a message, after which the read fails.
const STALL_MAX: Duration = Duration::from_secs(30);
const METADATA_WAIT_MAX: Duration = Duration::from_secs(10);

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Number of records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Reads every partition of a topic from its start to the high watermark at the start of the call. The topic must not
/// be transactional: if the last offset of a partition is a transaction marker, the end is never reached and the read
/// fails.
///
/// `settings` are librdkafka properties in addition to [`SETTINGS`]. Fails when the cluster cannot be reached, the
/// topic does not exist, or nothing arrives for 30 s.
pub fn read_to_end(bootstrap: &str, topic: &str, settings: &[(String, String)]) -> Result<Counted, Box<dyn Error>> {
    let consumer = consumer(bootstrap, settings)?;
    let mut ends = Ends::take(&consumer, topic)?;
    let mut assignment = TopicPartitionList::new();
    for partition in ends.open() {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut queue = Queue::of(&consumer)?;
    let mut counted = Counted::default();
    let mut last = Instant::now();
    while ends.left > 0 {
        if queue.take_batch(|message| counted.add(message, &mut ends))? {
            last = Instant::now();
        } else if last.elapsed() > STALL_MAX {
            return Err(format!(
                "nothing arrived for {} s, {} partitions have not reached their end",
                STALL_MAX.as_secs(),
                ends.left
            )
            .into());
        }
    }
    Ok(counted)
}

fn consumer(bootstrap: &str, settings: &[(String, String)]) -> Result<BaseConsumer, KafkaError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (name, value) in SETTINGS {
        config.set(name, value);
    }
    for (name, value) in settings {
        config.set(name, value);
    }
    config.create()
}

impl Counted {
    fn add(&mut self, message: &sys::rd_kafka_message_t, ends: &mut Ends) {
        if ends.pass(message.partition, message.offset) {
            self.records += 1;
            self.bytes += (message.len + message.key_len) as u64;
        }
    }
}

/// The high watermark of each partition, and how many have not been reached.
struct Ends {
    ends: Vec<i64>,
    left: usize,
}

impl Ends {
    fn take(consumer: &BaseConsumer, topic: &str) -> Result<Self, Box<dyn Error>> {
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_WAIT_MAX)?;
        let partitions = metadata.topics().first().map_or(0, |found| found.partitions().len());
        if partitions == 0 {
            return Err(format!("topic \"{topic}\" does not exist").into());
        }
        let mut ends = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let (start, end) = consumer.fetch_watermarks(topic, i32::try_from(partition)?, METADATA_WAIT_MAX)?;
            ends.push(if start == end { 0 } else { end });
        }
        let left = ends.iter().filter(|end| **end > 0).count();
        Ok(Self { ends, left })
    }

    /// The partitions that have records.
    fn open(&self) -> Vec<i32> {
        (0..).zip(&self.ends).filter(|(_, end)| **end > 0).map(|(partition, _)| partition).collect()
    }

    /// Records that an offset was read; false if it is after the end.
    fn pass(&mut self, partition: i32, offset: i64) -> bool {
        let end = self.ends[partition as usize];
        if offset + 1 == end {
            self.left -= 1;
        }
        offset < end
    }
}

/// The consumer's queue and the array for its batches.
struct Queue<'a> {
    queue: *mut sys::rd_kafka_queue_t,
    messages: Vec<*mut sys::rd_kafka_message_t>,
    _consumer: &'a BaseConsumer,
}

impl<'a> Queue<'a> {
    fn of(consumer: &'a BaseConsumer) -> Result<Self, Box<dyn Error>> {
        // SAFETY: the handle is alive as long as `consumer` is borrowed, that is as long as this queue is.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        if queue.is_null() {
            return Err("librdkafka returned no consumer queue".into());
        }
        Ok(Self { queue, messages: vec![ptr::null_mut(); BATCH_MESSAGES_MAX], _consumer: consumer })
    }

    /// Waits for the next batch and passes each of its messages to `show`; false if there was none. An error that
    /// librdkafka returns in place of a message ends the read.
    fn take_batch(&mut self, mut show: impl FnMut(&sys::rd_kafka_message_t)) -> Result<bool, Box<dyn Error>> {
        // SAFETY: the queue is alive and the array has room for the given number of pointers.
        let got = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue,
                BATCH_WAIT_MS,
                self.messages.as_mut_ptr(),
                self.messages.len(),
            )
        };
        let got = usize::try_from(got).map_err(|_| "librdkafka could not read a batch")?;
        let mut failed = None;
        for message in &self.messages[..got] {
            // SAFETY: we own the first `got` messages until they are destroyed, which happens only here.
            unsafe {
                match (**message).err {
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => show(&**message),
                    _ => failed = Some(error_text(&**message)),
                }
                sys::rd_kafka_message_destroy(*message);
            }
        }
        failed.map_or(Ok(got > 0), |text| Err(text.into()))
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: we have owned the reference since `of`, and release it once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// The text of a message that carries an error: librdkafka stores it in place of the value.
///
/// # Safety
/// `message` must not be destroyed.
unsafe fn error_text(message: &sys::rd_kafka_message_t) -> String {
    if message.payload.is_null() {
        return format!("{:?}", message.err);
    }
    // SAFETY: payload and len describe bytes that live as long as the message.
    let text = unsafe { slice::from_raw_parts(message.payload.cast::<u8>(), message.len) };
    String::from_utf8_lossy(text).into_owned()
}
