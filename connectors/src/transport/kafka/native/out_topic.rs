//! A topic that is written to by its handle; rdkafka looks up the name for each record.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::last_error;
use crate::transport::kafka::context::Context;

/// The partition number that lets the client's partitioner choose (`RD_KAFKA_PARTITION_UA`).
const PARTITIONER: i32 = -1;

/// A topic that is written to by its handle.
pub(in crate::transport::kafka) struct OutTopic {
    topic: NonNull<sys::rd_kafka_topic_t>,
    producer: Arc<BaseProducer<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for OutTopic {}
// SAFETY: they may also be used from several threads at once.
unsafe impl Sync for OutTopic {}

impl OutTopic {
    /// The handle of a topic. Fails when the name is not valid.
    pub(in crate::transport::kafka) fn new(
        producer: &Arc<BaseProducer<Context>>,
        name: &str,
    ) -> Result<Self, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive; null selects its default topic configuration.
        let topic = unsafe { sys::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(last_error)?;
        Ok(Self { topic, producer: producer.clone() })
    }

    /// Queues a copy of a record without headers. Without a `partition` the client's partitioner chooses one, without a
    /// `timestamp_ms` the record gets the current time. Fails immediately when the queue is full.
    pub(in crate::transport::kafka) fn produce(
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
        // SAFETY: we have owned the handle since `new` and destroy it once; the client is still alive.
        unsafe { sys::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

/// A payload as librdkafka takes it: null for `None`.
fn parts(bytes: Option<&[u8]>) -> (*const u8, usize) {
    bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()))
}
