//! One message of librdkafka: its parts are borrowed, and it is destroyed once.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::{Inbox, text_of};

/// One message, or an event about a partition in its place; destroyed when dropped.
pub(in crate::transport::kafka) struct Message<'a> {
    raw: NonNull<sys::rd_kafka_message_t>,
    index: Option<usize>,
    _inbox: PhantomData<&'a Inbox>,
}

impl Message<'_> {
    /// Takes ownership of a message, which is destroyed when this value is dropped.
    ///
    /// # Safety
    /// The message must be alive, and nobody else may destroy it.
    pub(super) unsafe fn new(raw: NonNull<sys::rd_kafka_message_t>, index: Option<usize>) -> Self {
        Self { raw, index, _inbox: PhantomData }
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the message is alive until this value is dropped.
        unsafe { self.raw.as_ref() }
    }

    /// Index of the partition it belongs to; `None` for an event of the whole client.
    pub(in crate::transport::kafka) fn index(&self) -> Option<usize> {
        self.index
    }

    /// The error code of an event; `None` for a record.
    pub(in crate::transport::kafka) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.raw().err;
        (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    /// librdkafka's text for [`Self::error`].
    pub(in crate::transport::kafka) fn reason(&self) -> String {
        // SAFETY: the message is alive; the text belongs to it or is static.
        let text = unsafe { sys::rd_kafka_message_errstr(self.raw.as_ptr()) };
        if text.is_null() { String::new() } else { text_of(text) }
    }

    /// Its offset; for the end of a partition, the offset of the next record to be written.
    pub(in crate::transport::kafka) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// Its timestamp in ms since the epoch; -1 if it has none.
    pub(in crate::transport::kafka) fn timestamp_ms(&self) -> i64 {
        // SAFETY: the message is alive; a null type is not written to.
        unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), ptr::null_mut()) }
    }

    /// Its key.
    pub(in crate::transport::kafka) fn key(&self) -> Option<&[u8]> {
        // SAFETY: key and length are librdkafka's and valid until the message is destroyed.
        unsafe { slice_of(self.raw().key.cast(), self.raw().key_len) }
    }

    /// Its value; `None` for a tombstone.
    pub(in crate::transport::kafka) fn value(&self) -> Option<&[u8]> {
        // SAFETY: payload and length are librdkafka's and valid until the message is destroyed.
        unsafe { slice_of(self.raw().payload.cast(), self.raw().len) }
    }

    /// Calls `each` with the name and value of every header, in order.
    pub(in crate::transport::kafka) fn for_each_header(&self, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        let mut list = ptr::null_mut();
        // SAFETY: the message is alive and owns the list it returns.
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
        // SAFETY: we own the message, and only this destroys it.
        unsafe { sys::rd_kafka_message_destroy(self.raw.as_ptr()) };
    }
}

/// The bytes at `data`, or `None` when it is null.
///
/// # Safety
/// Unless null, `data` must be valid for `len` bytes for as long as the result is used.
unsafe fn slice_of<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: guaranteed by the caller.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, len) })
}
