//! A queue that receives the messages of all partitions of one source.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::last_error;
use super::message::Message;
use crate::transport::kafka::context::Context;

/// A queue that receives the messages of partitions of one client.
pub(in crate::transport::kafka) struct Inbox {
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

// SAFETY: librdkafka's queues, topics and messages are not bound to a thread, and an inbox is used by one thread at a
// time because everything that touches them takes it by `&mut` or owns it.
unsafe impl Send for Inbox {}

impl Inbox {
    /// An empty queue of `client` that returns at most `messages_max` messages at a time.
    pub(in crate::transport::kafka) fn new(client: Arc<BaseConsumer<Context>>, messages_max: usize) -> Self {
        // SAFETY: the client is alive; the queue is destroyed in `drop`, before the client.
        let queue = unsafe { sys::rd_kafka_queue_new(client.client().native_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka returns a queue or aborts");
        Self { started: Vec::new(), queue, slots: vec![ptr::null_mut(); messages_max.max(1)], client }
    }

    /// The client this queue belongs to.
    pub(in crate::transport::kafka) fn client(&self) -> &Arc<BaseConsumer<Context>> {
        &self.client
    }

    /// Starts delivery of a partition from `offset` on. Messages carry the index of the partition: 0 for the first one
    /// started, and so on.
    pub(in crate::transport::kafka) fn start(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), RDKafkaErrorCode> {
        let index = self.add(topic, partition)?;
        self.restart(index, offset)
    }

    /// Gives a partition an index, with which [`Self::restart`] starts delivery.
    pub(in crate::transport::kafka) fn add(&mut self, topic: &str, partition: i32) -> Result<usize, RDKafkaErrorCode> {
        let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive and the name a C string; a null configuration means the default one.
        let handle =
            unsafe { sys::rd_kafka_topic_new(self.client.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let handle = NonNull::new(handle).ok_or_else(last_error)?;
        self.started.push(Started { topic: handle, partition, running: false });
        Ok(self.started.len() - 1)
    }

    /// Stops delivery of a partition; messages that were not taken yet are dropped.
    pub(in crate::transport::kafka) fn stop(&mut self, index: usize) {
        self.started[index].stop();
    }

    /// Starts delivery of a partition again, at another offset.
    pub(in crate::transport::kafka) fn restart(&mut self, index: usize, offset: i64) -> Result<(), RDKafkaErrorCode> {
        let queue = self.queue;
        let started = &mut self.started[index];
        started.stop();
        started.start(queue, offset)
    }

    /// Returns the messages that have arrived: at least one unless `timeout` passes. It never waits for more than the
    /// first one.
    ///
    /// `rd_kafka_consume_batch_queue` waits until its array is full or its timeout passes. So it is called without a
    /// timeout for everything there is, and only if there is nothing, with a timeout for one message.
    pub(in crate::transport::kafka) fn take(&mut self, timeout: Duration) -> Messages<'_> {
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
        // SAFETY: nothing delivers to the queue any more, and the client is still alive.
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

/// The messages of one [`Inbox::take`], in order of arrival.
pub(in crate::transport::kafka) struct Messages<'a> {
    inbox: &'a mut Inbox,
    next: usize,
    count: usize,
    hint: usize,
}

impl<'a> Messages<'a> {
    /// Index of the partition that a message belongs to.
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
        // SAFETY: we own the pointer and have not destroyed it yet, see the contract in `native`.
        let index = self.index(unsafe { raw.as_ref() });
        // SAFETY: the same, and this slot is not read again.
        Some(unsafe { Message::new(raw, index) })
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
