//! The one file with unsafe code: reading batches of messages through librdkafka's C interface,
//! for which rdkafka has no safe wrapper (its own gives one message, or one future, at a time), writing to
//! a topic by its handle (rdkafka looks the name up for each record), two small calls that it wraps in
//! a way that does not serve, and one that it lacks (the ids of topics, in `describe`).
//!
//! An [`Inbox`] is a queue into which the partitions of one source deliver, by librdkafka's simple
//! consumer: no group, so no coordinator is asked. [`Inbox::take`] gives what has arrived as
//! [`Message`]s.
//!
//! # Contract
//!
//! * **Messages.** librdkafka fills an array of pointers that the inbox owns (`slots`). The pointers
//!   below `count` of the latest [`Messages`] are ours and each is destroyed exactly once: by the
//!   [`Message`] that was handed out for it, or by [`Messages`] for those that were not. `Messages`
//!   borrows the inbox mutably, so no second array can be filled and no partition stopped meanwhile.
//! * **Payloads.** Keys, values and headers lie in receive buffers that librdkafka keeps until the
//!   message is destroyed; the slices borrow the [`Message`], so they cannot outlive it.
//! * **Topics and partitions.** `add` makes a topic handle, `restart` starts its partition on our queue;
//!   the handle lives in `started` until the inbox is dropped, so the `rkt` pointers of messages,
//!   which are only compared with it, stay valid.
//! * **Drop order.** Every partition that runs is stopped (librdkafka's main thread answers; it does
//!   not need a broker), then topic handles are destroyed, then the queue, then the client, which the
//!   inbox keeps alive by its `Arc`. Nothing of the client may be destroyed after the client.
//! * **Writing.** An [`OutTopic`] keeps its client alive by its `Arc` and gives its handle back once. A
//!   record's key and value are copied before the call returns.
//! * **Threads.** librdkafka's handles may be used from any thread; an inbox is used by one at a time
//!   (`&mut self`) and so is `Send`.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::context::Context;

/// A queue into which partitions of one client deliver.
pub(super) struct Inbox {
    started: Vec<Started>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    slots: Vec<*mut sys::rd_kafka_message_t>,
    client: Arc<BaseConsumer<Context>>,
}

/// A partition that was started; `running` until it is stopped.
struct Started {
    topic: NonNull<sys::rd_kafka_topic_t>,
    partition: i32,
    running: bool,
}

// SAFETY: librdkafka's queues, topics and messages are not bound to a thread, and the inbox is used
// by one thread at a time because all that touches them takes it by `&mut` or owns it.
unsafe impl Send for Inbox {}

impl Inbox {
    /// An empty queue of `client` that takes at most `messages_max` at a time.
    pub(super) fn new(client: Arc<BaseConsumer<Context>>, messages_max: usize) -> Self {
        // SAFETY: the client is alive; the queue is destroyed in `drop`, before the client.
        let queue = unsafe { sys::rd_kafka_queue_new(client.client().native_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka makes a queue or aborts");
        Self { started: Vec::new(), queue, slots: vec![ptr::null_mut(); messages_max.max(1)], client }
    }

    /// The client this queue belongs to.
    pub(super) fn client(&self) -> &Arc<BaseConsumer<Context>> {
        &self.client
    }

    /// Starts delivery of a partition from `offset` on. Messages carry the index of the partition:
    /// 0 for the first one started, and so on.
    pub(super) fn start(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), RDKafkaErrorCode> {
        let index = self.add(topic, partition)?;
        self.restart(index, offset)
    }

    /// Gives a partition an index, under which [`Self::restart`] begins delivery.
    pub(super) fn add(&mut self, topic: &str, partition: i32) -> Result<usize, RDKafkaErrorCode> {
        let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive and the name a C string; a null configuration means the default one.
        let handle =
            unsafe { sys::rd_kafka_topic_new(self.client.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let handle = NonNull::new(handle).ok_or_else(last_error)?;
        self.started.push(Started { topic: handle, partition, running: false });
        Ok(self.started.len() - 1)
    }

    /// Ends delivery of a partition; what it delivered and was not taken is dropped.
    pub(super) fn stop(&mut self, index: usize) {
        self.started[index].stop();
    }

    /// Begins delivery of a partition again, at another offset.
    pub(super) fn restart(&mut self, index: usize, offset: i64) -> Result<(), RDKafkaErrorCode> {
        let queue = self.queue;
        let started = &mut self.started[index];
        started.stop();
        started.start(queue, offset)
    }

    /// What has arrived, at least one message unless `timeout` passes. It never waits for more than
    /// the first one.
    ///
    /// `rd_kafka_consume_batch_queue` waits until its array is full or its time is over. So it is asked
    /// for all there is without waiting, and only when there is nothing, for one message with waiting.
    pub(super) fn take(&mut self, timeout: Duration) -> Messages<'_> {
        let mut count = self.fill(0, self.slots.len(), Duration::ZERO);
        if count == 0 && !timeout.is_zero() {
            count = self.fill(0, 1, timeout);
            if count == 1 {
                count += self.fill(1, self.slots.len(), Duration::ZERO);
            }
        }
        Messages { inbox: self, next: 0, count, hint: 0 }
    }

    fn fill(&mut self, from: usize, to: usize, timeout: Duration) -> usize {
        let wait_ms = i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        let free = &mut self.slots[from..to];
        // SAFETY: the queue is alive and `free` has room for the number of pointers given.
        let filled =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), wait_ms, free.as_mut_ptr(), free.len()) };
        usize::try_from(filled).unwrap_or(0)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        for started in &mut self.started {
            started.stop();
            // SAFETY: the handle came from `rd_kafka_topic_new`, is destroyed once, and its partition is stopped.
            unsafe { sys::rd_kafka_topic_destroy(started.topic.as_ptr()) };
        }
        // SAFETY: nothing delivers into the queue any more, and the client is still alive.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

impl Started {
    fn start(&mut self, queue: NonNull<sys::rd_kafka_queue_t>, offset: i64) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: topic and queue are alive and of the same client.
        let answer =
            unsafe { sys::rd_kafka_consume_start_queue(self.topic.as_ptr(), self.partition, offset, queue.as_ptr()) };
        self.running = answer == 0;
        self.running.then_some(()).ok_or_else(last_error)
    }

    fn stop(&mut self) {
        if std::mem::take(&mut self.running) {
            // SAFETY: the topic handle is alive until the inbox is dropped.
            unsafe { sys::rd_kafka_consume_stop(self.topic.as_ptr(), self.partition) };
        }
    }
}

/// The messages of one [`Inbox::take`], in the order they arrived.
pub(super) struct Messages<'a> {
    inbox: &'a mut Inbox,
    next: usize,
    count: usize,
    hint: usize,
}

impl<'a> Messages<'a> {
    /// Index of the partition a message is of.
    fn index(&mut self, message: &sys::rd_kafka_message_t) -> Option<usize> {
        let is_of = |s: &Started| s.topic.as_ptr() == message.rkt && s.partition == message.partition;
        if !self.inbox.started.get(self.hint).is_some_and(is_of) {
            self.hint = self.inbox.started.iter().position(is_of)?;
        }
        Some(self.hint)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let raw = *self.inbox.slots[..self.count].get(self.next)?;
        self.next += 1;
        let raw = NonNull::new(raw).expect("librdkafka filled this slot");
        // SAFETY: the pointer is ours and not yet destroyed, see the contract above.
        let index = self.index(unsafe { raw.as_ref() });
        Some(Message { raw, index, _inbox: PhantomData })
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// One message, or an event about a partition in its place; destroyed when dropped.
pub(super) struct Message<'a> {
    raw: NonNull<sys::rd_kafka_message_t>,
    index: Option<usize>,
    _inbox: PhantomData<&'a Inbox>,
}

impl Message<'_> {
    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the message is alive until this value is dropped.
        unsafe { self.raw.as_ref() }
    }

    /// Index of the partition it is of, `None` for an event of the whole client.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    /// What happened, when this is no record.
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.raw().err;
        (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    /// librdkafka's words for [`Self::error`].
    pub(super) fn reason(&self) -> String {
        // SAFETY: the message is alive; the text belongs to it or is static.
        let text = unsafe { sys::rd_kafka_message_errstr(self.raw.as_ptr()) };
        if text.is_null() { String::new() } else { text_of(text) }
    }

    /// Its offset; for the end of a partition the next offset that will be written.
    pub(super) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// Its time in ms since the epoch, -1 where it has none.
    pub(super) fn timestamp_ms(&self) -> i64 {
        // SAFETY: the message is alive; a null type is not written to.
        unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), ptr::null_mut()) }
    }

    /// Its key.
    pub(super) fn key(&self) -> Option<&[u8]> {
        // SAFETY: key and length are librdkafka's and valid until the message is destroyed.
        unsafe { slice_of(self.raw().key.cast(), self.raw().key_len) }
    }

    /// Its value; `None` for a tombstone.
    pub(super) fn value(&self) -> Option<&[u8]> {
        // SAFETY: payload and length are librdkafka's and valid until the message is destroyed.
        unsafe { slice_of(self.raw().payload.cast(), self.raw().len) }
    }

    /// Calls `each` with name and value of every header, in order.
    pub(super) fn for_each_header(&self, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        let mut list = ptr::null_mut();
        // SAFETY: the message is alive and owns the list it gives.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw.as_ptr(), &mut list) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the list is alive and the three places are written before success is returned.
            let found = unsafe { sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size) };
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: name is a C string and value has `size` bytes, both valid as long as the message.
            unsafe { each(CStr::from_ptr(name).to_bytes(), slice_of(value.cast(), size)) };
        }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: the message is ours and this is the only place that destroys it.
        unsafe { sys::rd_kafka_message_destroy(self.raw.as_ptr()) };
    }
}

/// The bytes at `data`, or `None` when it is null.
///
/// # Safety
/// Unless null, `data` must be valid for `len` bytes for as long as the result is used.
unsafe fn slice_of<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, len) })
}

fn text_of(text: *const c_char) -> String {
    // SAFETY: librdkafka's texts are C strings that live at least as long as this call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn last_error() -> RDKafkaErrorCode {
    // SAFETY: reads a value of the calling thread.
    unsafe { sys::rd_kafka_last_error() }.into()
}

/// Serves what waits on the main queue of an admin client, such as a token that must be renewed: rdkafka polls
/// only the queue of its answers.
pub(super) fn serve_admin(admin: &AdminClient<Context>) {
    // SAFETY: the client is alive, and its callbacks are librdkafka's own.
    unsafe { sys::rd_kafka_poll(admin.inner().native_ptr(), 0) };
}

/// Waits at most `timeout` until every record is acknowledged or failed, and says whether it is so. While this runs
/// no batch lingers; rdkafka calls it with no time to wait, and then only what lingered long enough leaves.
/// The reports of records that failed are to be polled for meanwhile.
pub(super) fn flush(producer: &BaseProducer<Context>, timeout: Duration) -> bool {
    let wait_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the producer is alive, and librdkafka's clients may be used from any thread.
    let left = unsafe { sys::rd_kafka_flush(producer.client().native_ptr(), wait_ms) };
    left == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Has the client write the lines of its log up to a level, of those that its `debug` property asks for.
pub(super) fn set_log_level(producer: &BaseProducer<Context>, level: RDKafkaLogLevel) {
    // SAFETY: the producer is alive; the level is a number that is stored.
    unsafe { sys::rd_kafka_set_log_level(producer.client().native_ptr(), level as i32) };
}

/// A topic as the cluster describes it.
pub(super) struct Described {
    /// Its id; 0 of a cluster that gives none.
    pub id: u128,
    /// Number of partitions.
    pub partitions: usize,
}

/// Asks the cluster for topics by their names, which differ: what each is, or why that is not told.
pub(super) fn describe(
    client: &Client<Context>,
    topics: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, Result<Described, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let names = topics.iter().map(|topic| CString::new(*topic)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let rk = client.native_ptr();
    // SAFETY: the client is alive; names are C strings that are copied; what is made here is given back at the end of
    // this function, before the client, and an error text that nobody wants is not written.
    let event = unsafe {
        let names = Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )?;
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = Owned::new(sys::rd_kafka_AdminOptions_new(rk, kind), sys::rd_kafka_AdminOptions_destroy)?;
        sys::rd_kafka_AdminOptions_set_request_timeout(options.raw.as_ptr(), timeout_ms, ptr::null_mut(), 0);
        let queue = Owned::new(sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_destroy)?;
        sys::rd_kafka_DescribeTopics(rk, names.raw.as_ptr(), options.raw.as_ptr(), queue.raw.as_ptr());
        // An answer comes in any case, if only that the time is over.
        let event = sys::rd_kafka_queue_poll(queue.raw.as_ptr(), timeout_ms.saturating_add(ANSWER_SLACK_MS));
        Owned::new(event, sys::rd_kafka_event_destroy).map_err(|_| RDKafkaErrorCode::OperationTimedOut)?
    };
    // SAFETY: the event is alive until it is given back, and so are the descriptions in it.
    unsafe { descriptions(event.raw) }
}

/// How much longer than librdkafka an answer is waited for, in ms.
const ANSWER_SLACK_MS: i32 = 5_000;

/// The descriptions in an event.
///
/// # Safety
/// The event must be alive.
unsafe fn descriptions(
    event: NonNull<sys::rd_kafka_event_t>,
) -> Result<BTreeMap<String, Result<Described, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let mut count = 0;
    // SAFETY: the event is alive; of another kind it has no result. The count is written with the array.
    let topics = unsafe {
        let code = sys::rd_kafka_event_error(event.as_ptr());
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code.into());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Unknown);
        }
        sys::rd_kafka_DescribeTopics_result_topics(result, &mut count)
    };
    let one = |at: usize| {
        // SAFETY: the array has `count` pointers to descriptions that live as long as the event.
        unsafe {
            let topic = *topics.add(at);
            (text_of(sys::rd_kafka_TopicDescription_name(topic)), described(topic))
        }
    };
    Ok((0..count).map(one).collect())
}

/// What a description says.
///
/// # Safety
/// The description must be alive.
unsafe fn described(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<Described, RDKafkaErrorCode> {
    // SAFETY: all that is asked for belongs to the description, and a description without an error has an id.
    unsafe {
        let code = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code.into());
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let (high, low) = (sys::rd_kafka_Uuid_most_significant_bits(id), sys::rd_kafka_Uuid_least_significant_bits(id));
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
        Ok(Described { id, partitions })
    }
}

/// Something of librdkafka's that is given back once.
struct Owned<T> {
    raw: NonNull<T>,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes what librdkafka made; fails when it made nothing.
    fn new(raw: *mut T, give_back: unsafe extern "C" fn(*mut T)) -> Result<Self, RDKafkaErrorCode> {
        let raw = NonNull::new(raw).ok_or(RDKafkaErrorCode::Unknown)?;
        Ok(Self { raw, give_back })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it came from librdkafka together with the function that takes it back, and this is called once.
        unsafe { (self.give_back)(self.raw.as_ptr()) };
    }
}

/// The partition that stands for the choice of the client's partitioner (`RD_KAFKA_PARTITION_UA`).
const PARTITIONER: i32 = -1;

/// A topic that is written to by its handle.
pub(super) struct OutTopic {
    topic: NonNull<sys::rd_kafka_topic_t>,
    producer: Arc<BaseProducer<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for OutTopic {}
// SAFETY: and from several at once.
unsafe impl Sync for OutTopic {}

impl OutTopic {
    /// The handle of a topic. Fails when the name is none.
    pub(super) fn new(producer: &Arc<BaseProducer<Context>>, name: &str) -> Result<Self, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive; null asks for its own topic settings.
        let topic = unsafe { sys::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(last_error)?;
        Ok(Self { topic, producer: producer.clone() })
    }

    /// Queues a copy of a record without headers. `partition` is none for the client's partitioner to choose,
    /// `timestamp_ms` for the time of now. Fails at once when the queue is full.
    pub(super) fn produce(
        &self,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<(), RDKafkaErrorCode> {
        let (key, value) = (parts(key), parts(value));
        // SAFETY: client and topic are alive, each tag is followed by what librdkafka expects after it, and the
        // flag makes it copy the value (it always copies the key) before the call returns.
        let code = unsafe {
            sys::rd_kafka_producev(
                self.producer.client().native_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic.as_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition.unwrap_or(PARTITIONER),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value.0,
                value.1,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key.0,
                key.1,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp_ms.unwrap_or(0),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        match code {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code.into()),
        }
    }
}

impl Drop for OutTopic {
    fn drop(&mut self) {
        // SAFETY: the handle is ours since `new` and is given back once; the client is still alive.
        unsafe { sys::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

/// A payload as librdkafka takes it: null for none.
fn parts(bytes: Option<&[u8]>) -> (*const u8, usize) {
    bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()))
}
