//! The only folder with unsafe code. It calls librdkafka's C interface where rdkafka has no suitable wrapper: reading
//! batches of messages (rdkafka returns one message, or one future, at a time), writing to a topic by its handle
//! (rdkafka looks up the name for each record), flushing a producer, polling an admin client, setting the log level,
//! and describing topics with their ids (`describe`).
//!
//! An [`Inbox`] is a queue that receives the messages of all partitions of one source through librdkafka's simple
//! consumer: there is no group, so no coordinator is involved. [`Inbox::take`] returns the [`Message`]s that have
//! arrived.
//!
//! # Contract
//!
//! * **Messages.** librdkafka fills an array of pointers that the inbox owns (`slots`). The pointers
//!   below `count` of the latest `Messages` are ours and each is destroyed exactly once: by the
//!   [`Message`] that was handed out for it, or by `Messages` for those that were not. `Messages`
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

mod describe;
mod inbox;
mod message;
mod out_topic;

use std::ffi::{CStr, c_char};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka_sys as sys;

pub(super) use self::describe::{Described, describe};
pub(super) use self::inbox::Inbox;
pub(super) use self::message::Message;
pub(super) use self::out_topic::OutTopic;
use super::context::Context;

/// Serves the main queue of an admin client, for example when a token must be renewed: rdkafka polls only the queue
/// with its answers.
pub(super) fn serve_admin(admin: &AdminClient<Context>) {
    // SAFETY: the client is alive, and its callbacks are librdkafka's own.
    unsafe { sys::rd_kafka_poll(admin.inner().native_ptr(), 0) };
}

/// Waits at most `timeout` until every record is acknowledged or has failed, and returns whether that is so. While this
/// runs no batch lingers. rdkafka instead calls it with a timeout of zero, so that only batches that have lingered long
/// enough are sent. Poll for the reports of failed records meanwhile.
pub(super) fn flush(producer: &BaseProducer<Context>, timeout: Duration) -> bool {
    let wait_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the producer is alive, and librdkafka's clients may be used from any thread.
    let left = unsafe { sys::rd_kafka_flush(producer.client().native_ptr(), wait_ms) };
    left == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Sets the level up to which the client writes log lines, of those that its `debug` property enables.
pub(super) fn set_log_level(producer: &BaseProducer<Context>, level: RDKafkaLogLevel) {
    // SAFETY: the producer is alive; the level is a number that is stored.
    unsafe { sys::rd_kafka_set_log_level(producer.client().native_ptr(), level as i32) };
}

fn text_of(text: *const c_char) -> String {
    // SAFETY: librdkafka's strings are C strings that live at least as long as this call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn last_error() -> RDKafkaErrorCode {
    // SAFETY: reads a value of the calling thread.
    unsafe { sys::rd_kafka_last_error() }.into()
}
