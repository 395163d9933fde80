//! Describes topics with their ids, which rdkafka does not support.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::text_of;
use crate::transport::kafka::context::Context;

/// A topic as the cluster describes it.
pub(in crate::transport::kafka) struct Described {
    /// Its id; 0 if the cluster does not report ids.
    pub id: u128,
    /// Number of partitions.
    pub partitions: usize,
}

/// Describes topics by name; the names must differ. Each topic has a description or an error of its own.
pub(in crate::transport::kafka) fn describe(
    client: &Client<Context>,
    topics: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, Result<Described, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let names = topics.iter().map(|topic| CString::new(*topic)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let rk = client.native_ptr();
    // SAFETY: the client is alive; names are C strings and are copied; what is created here is destroyed at the end of
    // this function, before the client; a null error buffer is not written to.
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
        // There is always an event, at the latest when the request times out.
        let event = sys::rd_kafka_queue_poll(queue.raw.as_ptr(), timeout_ms.saturating_add(ANSWER_SLACK_MS));
        Owned::new(event, sys::rd_kafka_event_destroy).map_err(|_| RDKafkaErrorCode::OperationTimedOut)?
    };
    // SAFETY: the event is alive until it is destroyed, and so are the descriptions in it.
    unsafe { descriptions(event.raw) }
}

/// How much longer than librdkafka's own timeout to wait for an answer, in ms.
const ANSWER_SLACK_MS: i32 = 5_000;

/// The descriptions in an event.
///
/// # Safety
/// The event must be alive.
unsafe fn descriptions(
    event: NonNull<sys::rd_kafka_event_t>,
) -> Result<BTreeMap<String, Result<Described, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let mut count = 0;
    // SAFETY: the event is alive; an event of another kind has no result. The count is written with the array.
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

/// Converts a description.
///
/// # Safety
/// The description must be alive.
unsafe fn described(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<Described, RDKafkaErrorCode> {
    // SAFETY: everything returned belongs to the description, and a description without an error has an id.
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

/// A value of librdkafka that is destroyed once.
struct Owned<T> {
    raw: NonNull<T>,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes ownership of what librdkafka created; fails if it is null.
    fn new(raw: *mut T, give_back: unsafe extern "C" fn(*mut T)) -> Result<Self, RDKafkaErrorCode> {
        let raw = NonNull::new(raw).ok_or(RDKafkaErrorCode::Unknown)?;
        Ok(Self { raw, give_back })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it came from librdkafka together with the function that destroys it, and this is called once.
        unsafe { (self.give_back)(self.raw.as_ptr()) };
    }
}
