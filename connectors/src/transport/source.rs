//! Reading: what one source is asked for, and what it has to say.

use std::time::Duration;

use super::{Lost, TopicIds, TransportError};
use crate::record::{RawBatch, TopicPartition, Wanted};

/// What one source reads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The ranges, each of another partition.
    pub ranges: Vec<ReadRange>,
    /// The parts of each record that are copied.
    pub wanted: Wanted,
    /// Which records are seen.
    pub isolation: Isolation,
    /// Most records in one batch.
    pub batch_records_max: usize,
    /// The topics that are meant, where their ids are known: one of the same name with another id counts as lost.
    pub ids: TopicIds,
}

/// A run of offsets of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset that is read. Where the log begins later, what is between is [`SourceEvent::Lost`], and reading goes
    /// on at the first offset that there is.
    pub start: i64,
    /// First offset that is not read, at most the end of the log as it is or was: where the log ends before it, what is
    /// between is lost. `None` reads for ever.
    pub end: Option<i64>,
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Only committed ones; reading ends at the last stable offset.
    #[default]
    ReadCommitted,
    /// All; reading ends at the high watermark.
    ReadUncommitted,
}

/// A reader of partitions.
pub trait Source: Send {
    /// Waits at most `timeout` for the next event, but returns the first records at once: a batch is
    /// never held back to be filled.
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError>;
}

/// What a [`Source`] has to say.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "an event carries thousands of records: its own size is nothing beside them"
)]
pub enum SourceEvent {
    /// The next records of one partition, never empty, never outside their range, never below what was read of it.
    Batch(RawBatch),
    /// Offsets of a range are lost. Reading goes on behind them, unless [`Lost::ends_range`]: then nothing more comes of
    /// the range, nor is it `Finished`.
    Lost(Lost),
    /// Of a range without an end: all below this offset was read, although no record comes just before it, but markers of
    /// transactions or what was compacted away. Said where the log ends, and not where it goes without saying.
    Passed(TopicPartition, i64),
    /// The range of this partition is read to its end, also where its last offsets are transaction
    /// markers or were compacted away. Said once for each bounded range.
    Finished(TopicPartition),
    /// Nothing came within the timeout.
    Idle,
}
