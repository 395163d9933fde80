//! Builds a [`RawBatch`] record by record without an allocation for each; shared by all transports that receive one
//! record at a time. Parts that are not wanted are counted but not copied.

use arrow::array::BinaryArray;
use arrow::array::builder::NullBufferBuilder;
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use headwater_formats::record::{HeaderColumn, RawBatch, TopicPartition, Wanted};

/// Maximum bytes of keys or of values in one batch, before its last record. Batches end here so that a run of large
/// records neither uses much memory nor exceeds 32-bit offsets.
pub(super) const BATCH_BYTES_MAX: usize = 16 << 20;

/// The growing columns of a batch.
pub(super) struct Columns {
    wanted: Wanted,
    offsets: Vec<i64>,
    timestamps_ms: Vec<i64>,
    keys: Payloads,
    values: Payloads,
    headers: Option<HeaderColumn>,
    payload_bytes: u64,
}

/// The size of a batch, used to allocate the next one only once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    records: usize,
    key_bytes: usize,
    value_bytes: usize,
}

impl Columns {
    /// Empty columns with room for a batch of the expected size.
    pub(super) fn new(wanted: Wanted, expected: Sizes) -> Self {
        let room = |wanted: bool, bytes: usize| if wanted { (expected.records, bytes) } else { (0, 0) };
        Self {
            wanted,
            offsets: Vec::with_capacity(expected.records),
            timestamps_ms: Vec::with_capacity(expected.records),
            keys: Payloads::new(room(wanted.keys, expected.key_bytes)),
            values: Payloads::new(room(wanted.values, expected.value_bytes)),
            headers: wanted.headers.then(HeaderColumn::default),
            payload_bytes: 0,
        }
    }

    /// Number of records so far.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether the batch must end because of its size in bytes.
    pub(super) fn is_full(&self) -> bool {
        self.keys.bytes.len() >= BATCH_BYTES_MAX || self.values.bytes.len() >= BATCH_BYTES_MAX
    }

    /// Adds a record. If [`Self::headers`] returns a column, the caller adds the record's headers to it next.
    pub(super) fn push(&mut self, offset: i64, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.offsets.push(offset);
        self.timestamps_ms.push(timestamp_ms);
        if self.wanted.keys {
            self.keys.push(key);
        }
        match self.wanted.values {
            true => self.values.push(value),
            false => self.values.nulls.append(value.is_some()),
        }
        self.payload_bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
    }

    /// The header column, if headers are wanted: for each record, push its headers and then end it.
    pub(super) fn headers(&mut self) -> Option<&mut HeaderColumn> {
        self.headers.as_mut()
    }

    /// The size of this batch.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes { records: self.len(), key_bytes: self.keys.bytes.len(), value_bytes: self.values.bytes.len() }
    }

    /// The batch of these records, which come from `origin`.
    pub(super) fn finish(mut self, origin: TopicPartition) -> RawBatch {
        let value_nulls = self.values.nulls.finish();
        let batch = RawBatch {
            origin,
            offsets: self.offsets.into(),
            timestamps_ms: self.timestamps_ms.into(),
            keys: self.wanted.keys.then(|| {
                let nulls = self.keys.nulls.finish();
                self.keys.into_array(nulls)
            }),
            values: self.wanted.values.then(|| self.values.into_array(value_nulls.clone())),
            value_nulls,
            headers: self.headers.map(HeaderColumn::finish),
            payload_bytes: self.payload_bytes,
        };
        batch.check();
        batch
    }
}

/// A column of byte strings.
struct Payloads {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Payloads {
    fn new((records, bytes): (usize, usize)) -> Self {
        let mut ends = Vec::with_capacity(records + 1);
        ends.push(0);
        Self { ends, bytes: Vec::with_capacity(bytes), nulls: NullBufferBuilder::new(records) }
    }

    fn push(&mut self, payload: Option<&[u8]>) {
        self.bytes.extend_from_slice(payload.unwrap_or_default());
        self.nulls.append(payload.is_some());
        let end =
            i32::try_from(self.bytes.len()).expect("a batch ends long before 2 GiB and a record is smaller than 1 GB");
        self.ends.push(end);
    }

    fn into_array(self, nulls: Option<NullBuffer>) -> BinaryArray {
        BinaryArray::new(OffsetBuffer::new(ScalarBuffer::from(self.ends)), Buffer::from_vec(self.bytes), nulls)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use headwater_formats::record::headers_type;

    fn origin() -> TopicPartition {
        TopicPartition::new("t", 0)
    }

    #[test]
    fn keeps_empty_apart_from_null() {
        let mut columns = Columns::new(Wanted::ALL, Sizes::default());
        for (key, value) in [(None, Some(&b"v"[..])), (Some(&b""[..]), None), (Some(&b"k"[..]), Some(&b""[..]))] {
            columns.push(0, 7, key, value);
            columns.headers().unwrap().end_record();
        }
        let batch = columns.finish(origin());
        let keys: Vec<_> = batch.keys.as_ref().unwrap().iter().collect();
        let values: Vec<_> = batch.values.as_ref().unwrap().iter().collect();
        assert_eq!(keys, [None, Some(&b""[..]), Some(&b"k"[..])]);
        assert_eq!(values, [Some(&b"v"[..]), None, Some(&b""[..])]);
        assert_eq!(batch.value_nulls.unwrap().null_count(), 1);
        assert_eq!(batch.payload_bytes, 2);
    }

    #[test]
    fn counts_but_does_not_copy_what_is_not_wanted() {
        let mut columns = Columns::new(Wanted::NOTHING, Sizes::default());
        columns.push(4, -1, Some(b"key"), Some(b"value"));
        columns.push(9, -1, None, None);
        let batch = columns.finish(origin());
        assert!(batch.keys.is_none() && batch.values.is_none() && batch.headers.is_none());
        assert_eq!(batch.offsets.as_ref(), [4, 9]);
        assert_eq!(batch.payload_bytes, 8);
        assert!(batch.value_nulls.unwrap().is_null(1));
    }

    #[test]
    fn headers_keep_order_repeats_and_nulls() {
        let mut columns = Columns::new(Wanted::ALL, Sizes::default());
        columns.push(0, 0, None, None);
        let headers = columns.headers().unwrap();
        headers.push(b"a", Some(b"1"));
        headers.push(b"a", None);
        headers.end_record();
        let column = columns.finish(origin()).headers.unwrap();
        assert_eq!(column.data_type(), &headers_type());
        let entries = column.value(0);
        let entries = entries.as_struct();
        assert_eq!(entries.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), Some("a")]);
        assert_eq!(entries.column(1).as_binary::<i32>().iter().collect::<Vec<_>>(), [Some(&b"1"[..]), None]);
    }
}
