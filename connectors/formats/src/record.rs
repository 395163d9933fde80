//! Raw records with an address, as columns, which transports and formats exchange.
//!
//! A batch contains consecutive records of one partition: one buffer for keys, one for values, and arrays of offsets
//! and timestamps. Nothing in it is per message, so a transport that reads whole record batches from the network can
//! fill it without handling single records.
//!
//! This room knows no SQL and no format: a payload is bytes.

mod header_column;
mod limits;
pub mod partitioner;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::filter;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;

pub use header_column::{HeaderColumn, header_lists};
pub use limits::RecordLimits;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name, as the cluster spells it.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition with this topic and number.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// A run of consecutive records of one partition, as columns of equal length.
///
/// Offsets are strictly ascending but may have gaps (compaction, transaction markers). A column that the reader did
/// not request ([`Wanted`]) is `None`; `value_nulls` is always present, so that tombstones can be distinguished from
/// other records without copying a value.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The partition of the records.
    pub origin: TopicPartition,
    /// Offset of each record.
    pub offsets: ScalarBuffer<i64>,
    /// Timestamp of each record: ms since the epoch, or -1 if the record has none.
    pub timestamps_ms: ScalarBuffer<i64>,
    /// Keys; null if the record has none. `None` if not requested.
    pub keys: Option<BinaryArray>,
    /// Values; null for a tombstone. `None` if not requested.
    pub values: Option<BinaryArray>,
    /// Which records have a value; `None` if all have one.
    pub value_nulls: Option<NullBuffer>,
    /// All headers in order, as [`headers_type`]; empty if a record has none. `None` if not requested.
    pub headers: Option<ListArray>,
    /// Size of all keys and values in bytes, whether copied or not.
    pub payload_bytes: u64,
}

impl RawBatch {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// True if there are no records.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Asserts that all columns have the same length; called when a batch is created and when it is read.
    pub fn check(&self) {
        let n = self.len();
        debug_assert_eq!(self.timestamps_ms.len(), n, "one timestamp a record");
        debug_assert!(self.keys.as_ref().is_none_or(|c| c.len() == n), "one key a record");
        debug_assert!(self.values.as_ref().is_none_or(|c| c.len() == n), "one value a record");
        debug_assert!(self.value_nulls.as_ref().is_none_or(|c| c.len() == n), "one bit a record");
        debug_assert!(self.headers.as_ref().is_none_or(|c| c.len() == n), "one header list a record");
    }
}

/// Which parts of a record a reader needs; the others are not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whether keys are read.
    pub keys: bool,
    /// Whether values are read.
    pub values: bool,
    /// Whether headers are read.
    pub headers: bool,
}

impl Wanted {
    /// Keys, values and headers.
    pub const ALL: Self = Self { keys: true, values: true, headers: true };
    /// Only addresses and timestamps.
    pub const NOTHING: Self = Self { keys: false, values: false, headers: false };

    /// The parts that this or the other one reads.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let Self { keys, values, headers } = self;
        Self { keys: keys || other.keys, values: values || other.values, headers: headers || other.headers }
    }
}

/// Records to be written to one topic, as columns of equal length.
#[derive(Clone, Debug)]
pub struct OutBatch {
    /// The topic, which must exist.
    pub topic: Arc<str>,
    /// Partition of each record; with `None`, records are partitioned as by the Java client: by the murmur2 hash of
    /// the key, with records without a key spread over all partitions.
    pub partitions: Option<ScalarBuffer<i32>>,
    /// Keys; null for none.
    pub keys: BinaryArray,
    /// Values; null for a tombstone.
    pub values: BinaryArray,
    /// Timestamp of each record in ms since the epoch; with `None`, the client uses the time of sending.
    pub timestamps_ms: Option<ScalarBuffer<i64>>,
    /// Headers of each record as [`headers_type`]; `None` for none at all.
    pub headers: Option<ListArray>,
}

impl OutBatch {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if there are no records.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes of all keys, values and headers.
    pub fn payload_bytes(&self) -> usize {
        let bytes = |offsets: &[i32]| {
            offsets.last().zip(offsets.first()).map_or(0, |(end, start)| usize::try_from(end - start).unwrap_or(0))
        };
        let headers = self.headers.as_ref().map_or(0, |headers| {
            let offsets = headers.offsets();
            let (start, end) = (offsets[0] as usize, offsets[headers.len()] as usize);
            let all = headers.values().slice(start, end - start);
            let (names, values) = (all.as_struct().column(0), all.as_struct().column(1));
            bytes(names.as_string::<i32>().offsets()) + bytes(values.as_binary::<i32>().offsets())
        });
        bytes(self.keys.offsets()) + bytes(self.values.offsets()) + headers
    }

    /// The records for which `keep`, which has one value for each record, is true. Fails if Arrow fails.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        let kept = |column: &dyn Array| filter(column, keep);
        let partitions = self.partitions.clone().map(|partitions| kept(&Int32Array::new(partitions, None)));
        let times = self.timestamps_ms.clone().map(|times| kept(&Int64Array::new(times, None)));
        let headers = self.headers.as_ref().map(|headers| kept(headers));
        Ok(Self {
            topic: self.topic.clone(),
            partitions: partitions.transpose()?.map(|kept| kept.as_primitive::<Int32Type>().values().clone()),
            keys: kept(&self.keys)?.as_binary::<i32>().clone(),
            values: kept(&self.values)?.as_binary::<i32>().clone(),
            timestamps_ms: times.transpose()?.map(|kept| kept.as_primitive::<Int64Type>().values().clone()),
            headers: headers.transpose()?.map(|kept| kept.as_list::<i32>().clone()),
        })
    }

    /// A range of consecutive records.
    pub fn slice(&self, start: usize, length: usize) -> Self {
        Self {
            topic: self.topic.clone(),
            partitions: self.partitions.as_ref().map(|partitions| partitions.slice(start, length)),
            keys: self.keys.slice(start, length),
            values: self.values.slice(start, length),
            timestamps_ms: self.timestamps_ms.as_ref().map(|times| times.slice(start, length)),
            headers: self.headers.as_ref().map(|headers| headers.slice(start, length)),
        }
    }
}

/// The Arrow type of a header column: `List<Struct<KEY: Utf8, VALUE: Binary>>`, all nullable.
pub fn headers_type() -> arrow::datatypes::DataType {
    use arrow::datatypes::{DataType, Field, Fields};
    let entry =
        Fields::from(vec![Field::new("KEY", DataType::Utf8, true), Field::new("VALUE", DataType::Binary, true)]);
    DataType::List(Arc::new(Field::new("item", DataType::Struct(entry), true)))
}

/// The names and values of a record's headers, in order, from a column of [`headers_type`]; empty if it has none.
pub fn headers_at(headers: &ListArray, row: usize) -> Vec<(String, Option<Vec<u8>>)> {
    if headers.is_null(row) {
        return Vec::new();
    }
    let entries = headers.value(row);
    let entries = entries.as_struct();
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let entry = |at: usize| (names.value(at).to_owned(), values.is_valid(at).then(|| values.value(at).to_vec()));
    (0..entries.len()).map(entry).collect()
}

/// Bytes of the lengths around the name and the value of a header in a record, at their most.
pub const HEADER_FRAME_BYTES: usize = 10;

/// Bytes of the headers of one record with what is around them at most, of a column of [`headers_type`].
pub fn header_bytes(headers: &ListArray, row: usize) -> usize {
    let entries = headers.values().as_struct();
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let bytes = |length: i32| usize::try_from(length).unwrap_or(0);
    let (start, length) = (bytes(headers.value_offsets()[row]), bytes(headers.value_length(row)));
    let one = |at: usize| HEADER_FRAME_BYTES + bytes(names.value_length(at)) + bytes(values.value_length(at));
    (start..start + length).map(one).sum()
}

/// The side of a record to which a payload belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The record's key.
    Key,
    /// The record's value.
    Value,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// A record that could not be decoded, with its address. It is counted and shown, and reading continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Its partition.
    pub origin: TopicPartition,
    /// Its offset in the partition.
    pub offset: i64,
    /// The side that is bad.
    pub side: Side,
    /// The reason, for users, with the position in the payload if it is known.
    pub reason: String,
}
