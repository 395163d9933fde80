//! The two calls of librdkafka without a safe wrapper: reading a batch, and producing to a topic handle.
//!
//! It is a separate file because it contains the only unsafe code of the benchmark. The reader of
//! `headwater_tests::bare` is separate: it only counts, ends at a watermark and is the baseline of bounded reads; this
//! one also reports ends of partitions, without which a topic written in transactions cannot be read to its end.

#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::CString;
use std::ptr;
use std::slice;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as code;
use sys::rd_kafka_vtype_t as vtype;

/// Maximum number of messages per call.
const BATCH_MESSAGES_MAX: usize = 10_000;
/// Maximum time that one call waits for its batch to fill.
const BATCH_WAIT_MS: i32 = 10;
/// Pause before a record is tried again when the producer's queue is full.
const ROOM_WAIT: Duration = Duration::from_millis(10);

/// A record as librdkafka holds it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms since the epoch.
    pub timestamp_ms: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

/// An element of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Taken<'a> {
    /// A record.
    Record(Record<'a>),
    /// The end of a partition as far as this reader can see; only with `enable.partition.eof`.
    End(i32),
}

/// The queue of a consumer and the array for its batches. Drop it before its consumer.
pub struct Queue {
    queue: *mut sys::rd_kafka_queue_t,
    messages: Vec<*mut sys::rd_kafka_message_t>,
}

impl Queue {
    /// The queue of all partitions that are assigned to the consumer.
    pub fn of(consumer: &BaseConsumer) -> Result<Self, Box<dyn Error>> {
        // SAFETY: the handle is alive as long as the consumer is; the queue holds its own reference to it.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        if queue.is_null() {
            return Err("librdkafka returned no consumer queue".into());
        }
        Ok(Self { queue, messages: vec![ptr::null_mut(); BATCH_MESSAGES_MAX] })
    }

    /// Waits for the next batch and passes all of it to `show`; false if nothing arrived. An error that librdkafka
    /// returns in place of a message fails the batch, and so does the first failure of `show`; every message is
    /// destroyed nevertheless.
    pub fn take_batch(
        &mut self,
        mut show: impl FnMut(Taken<'_>) -> Result<(), Box<dyn Error>>,
    ) -> Result<bool, Box<dyn Error>> {
        let (first, room) = (self.messages.as_mut_ptr(), self.messages.len());
        // SAFETY: the queue is alive and the array has room for the given number of pointers.
        let got = unsafe { sys::rd_kafka_consume_batch_queue(self.queue, BATCH_WAIT_MS, first, room) };
        let got = usize::try_from(got).map_err(|_| "librdkafka could not read a batch")?;
        let mut shown = Ok(());
        for message in &self.messages[..got] {
            // SAFETY: we own the first `got` messages until they are destroyed, which happens only here.
            unsafe {
                if shown.is_ok() {
                    shown = taken(&**message).and_then(&mut show);
                }
                sys::rd_kafka_message_destroy(*message);
            }
        }
        shown.map(|()| got > 0)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: we have owned the reference since `of`, and release it once.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// # Safety
/// `message` must not be destroyed while the result is used.
unsafe fn taken(message: &sys::rd_kafka_message_t) -> Result<Taken<'_>, Box<dyn Error>> {
    // SAFETY: the pairs of pointer and length describe bytes that live as long as the message.
    let (key, value) = unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
    match message.err {
        code::RD_KAFKA_RESP_ERR_NO_ERROR => {
            // SAFETY: the message is alive; the kind of timestamp is not requested.
            let timestamp_ms = unsafe { sys::rd_kafka_message_timestamp(message, ptr::null_mut()) };
            Ok(Taken::Record(Record { partition: message.partition, offset: message.offset, timestamp_ms, key, value }))
        }
        code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Ok(Taken::End(message.partition)),
        // librdkafka stores the text of an error in place of the value.
        error => Err(value.map_or(format!("{error:?}"), |text| String::from_utf8_lossy(text).into_owned()).into()),
    }
}

/// # Safety
/// `pointer` must be null or point to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(pointer: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: guaranteed by the caller.
    (!pointer.is_null()).then(|| unsafe { slice::from_raw_parts(pointer.cast::<u8>(), length) })
}

/// A topic to produce to by its handle: librdkafka does not look up the name for each record.
pub struct Topic<'a> {
    topic: *mut sys::rd_kafka_topic_t,
    producer: &'a BaseProducer,
}

impl<'a> Topic<'a> {
    /// The handle of a topic. Fails when the name is not valid.
    pub fn of(producer: &'a BaseProducer, name: &str) -> Result<Self, Box<dyn Error>> {
        let name = CString::new(name)?;
        let client = producer.client().native_ptr();
        // SAFETY: the client is alive while the producer is borrowed; null selects the client's default topic configuration.
        let topic = unsafe { sys::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
        if topic.is_null() {
            return Err("librdkafka returned no topic handle".into());
        }
        Ok(Self { topic, producer })
    }

    /// Queues a copy of the record for the same partition; waits while the queue is full.
    pub fn produce(&self, record: &Record<'_>) -> Result<(), Box<dyn Error>> {
        loop {
            match self.try_produce(record) {
                code::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                code::RD_KAFKA_RESP_ERR__QUEUE_FULL => self.producer.poll(ROOM_WAIT),
                error => return Err(format!("could not produce: {error:?}").into()),
            }
        }
    }

    fn try_produce(&self, record: &Record<'_>) -> sys::rd_kafka_resp_err_t {
        let (key, value) = (parts(record.key), parts(record.value));
        // SAFETY: producer and topic are alive, each tag is followed by what librdkafka expects after it, and the flag
        // makes it copy the value (it always copies the key) before the call returns.
        unsafe {
            sys::rd_kafka_producev(
                self.producer.client().native_ptr(),
                vtype::RD_KAFKA_VTYPE_RKT,
                self.topic,
                vtype::RD_KAFKA_VTYPE_PARTITION,
                record.partition,
                vtype::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                vtype::RD_KAFKA_VTYPE_VALUE,
                value.0,
                value.1,
                vtype::RD_KAFKA_VTYPE_KEY,
                key.0,
                key.1,
                vtype::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp_ms,
                vtype::RD_KAFKA_VTYPE_END,
            )
        }
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // SAFETY: we have owned the handle since `of`, and release it once.
        unsafe { sys::rd_kafka_topic_destroy(self.topic) };
    }
}

fn parts(bytes: Option<&[u8]>) -> (*const u8, usize) {
    bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()))
}
