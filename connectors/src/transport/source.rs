//! Reading: the plan of one source, and the events that it returns.

use std::time::Duration;

use headwater_formats::record::{RawBatch, TopicPartition, Wanted};

use super::{Lost, TopicIds, TransportError};

/// What one source reads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The ranges, each of a different partition.
    pub ranges: Vec<ReadRange>,
    /// The parts of each record that are copied.
    pub wanted: Wanted,
    /// Which records of transactions are visible.
    pub isolation: Isolation,
    /// Maximum number of records in one batch.
    pub batch_records_max: usize,
    /// The ids of the topics, where they are known: a topic of the same name with another id counts as lost.
    pub ids: TopicIds,
}

/// A range of offsets of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset to read. If the log starts later, the offsets in between are [`SourceEvent::Lost`], and reading
    /// continues at the first offset that exists.
    pub start: i64,
    /// First offset not to read, at most the current or an earlier end of the log: if the log ends before it, the
    /// offsets in between are lost. `None` reads forever.
    pub end: Option<i64>,
}

/// Which records of transactions are visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Only committed ones; reading ends at the last stable offset.
    #[default]
    ReadCommitted,
    /// All records; reading ends at the high watermark.
    ReadUncommitted,
}

/// A reader of partitions.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_formats::record::{OutBatch, TopicPartition, Wanted};
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_connectors::transport::{Isolation, NewTopic, ReadPlan, ReadRange, SinkOptions, SourceEvent, Transport};
///
/// let cluster = MemoryTransport::new();
/// let orders = NewTopic { name: "orders".into(), partitions: 1, replicas: None, settings: Default::default() };
/// cluster.admin().create_topic(&orders)?;
/// # let (keys, values) = (vec![Some(&b"k"[..]); 3].into(), vec![Some(&b"v"[..]); 3].into());
/// # let (topic, partitions) = ("orders".into(), Some(vec![0; 3].into()));
/// # let three_records = OutBatch { topic, partitions, keys, values, timestamps_ms: None, headers: None };
/// cluster.open_sink(SinkOptions::default())?.write(&three_records)?;
///
/// // The last two of them.
/// let partition = TopicPartition::new("orders", 0);
/// let plan = ReadPlan {
///     ranges: vec![ReadRange { partition: partition.clone(), start: 1, end: Some(3) }],
///     wanted: Wanted::ALL,
///     isolation: Isolation::ReadCommitted,
///     batch_records_max: 1_000,
///     ids: Default::default(),
/// };
/// let mut source = cluster.open_sources(vec![plan])?.remove(0);
/// let SourceEvent::Batch(batch) = source.poll(Duration::ZERO)? else { panic!("two records") };
/// assert_eq!(batch.offsets[..], [1, 2]);
/// assert!(matches!(source.poll(Duration::ZERO)?, SourceEvent::Finished(finished) if finished == partition));
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
pub trait Source: Send {
    /// Waits at most `timeout` for the next event. The first records are returned at once: a batch is never held back
    /// to fill it.
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError>;
}

/// What a poll of a [`Source`] returns.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an event holds thousands of records, so its own size does not matter")]
pub enum SourceEvent {
    /// The next records of one partition: never empty, always within the range, in order and without repetition.
    Batch(RawBatch),
    /// Offsets of a range are lost. Reading continues after them, unless [`Lost::ends_range`]: then the range returns
    /// nothing more, not even `Finished`.
    Lost(Lost),
    /// Everything below this offset was read, in a range without an end. Returned at the end of the log when the last
    /// offsets belong to transaction markers or to records that were compacted away.
    Passed(TopicPartition, i64),
    /// The range of this partition has been read to its end, even if its last offsets belong to transaction markers or
    /// were compacted away. Returned once for each bounded range.
    Finished(TopicPartition),
    /// Nothing arrived within the timeout.
    Idle,
}
