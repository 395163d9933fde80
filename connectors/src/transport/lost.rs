//! Records that a reader expected and that the cluster no longer has.
//!
//! The reader decides what to do about them: a bounded query fails or adds a note to its result; a continuous query
//! continues after the gap, and stops if its position in the log is gone.

use std::fmt;

use headwater_formats::record::TopicPartition;

use super::TransportError;

/// Offsets of a partition that can no longer be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The partition.
    pub partition: TopicPartition,
    /// How they were lost.
    pub cause: LossCause,
    /// The first lost offset.
    pub from: i64,
    /// The first offset after the lost ones.
    pub to: i64,
}

/// How records were lost before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// Retention or an operator deleted the first records of the log: it now starts at [`Lost::to`].
    Deleted,
    /// The log ends before [`Lost::to`], although it reached that offset earlier.
    Truncated,
    /// The topic was deleted and created again under the same name: all of its records are different ones.
    Recreated,
}

impl Lost {
    /// The number of lost offsets. Not every offset has a record: transactions and compaction leave gaps.
    pub fn count(&self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or(0)
    }

    /// Whether reading cannot continue after them: what the partition contains now, if anything, is something else.
    pub fn ends_range(&self) -> bool {
        self.cause != LossCause::Deleted
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, cause, from, to } = self;
        let topic = &partition.topic;
        match (self.count(), cause) {
            (0, LossCause::Recreated) => {
                return write!(f, "topic \"{topic}\" was deleted and created again while it was read");
            }
            (0, _) => return write!(f, "{partition} was truncated below offset {to}"),
            (1, _) => write!(f, "1 offset of {partition} lost ({from}): ")?,
            (count, _) => write!(f, "{count} offsets of {partition} lost ({from} to {}): ", to - 1)?,
        }
        match cause {
            LossCause::Deleted => f.write_str("deleted before being read"),
            LossCause::Truncated => f.write_str("the log was truncated"),
            LossCause::Recreated => write!(f, "topic \"{topic}\" was deleted and created again"),
        }
    }
}

impl From<Lost> for TransportError {
    fn from(lost: Lost) -> Self {
        Self::lost(lost.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_offsets_are_lost_and_how_many() {
        let lost = |cause, from, to| Lost { partition: TopicPartition::new("t", 2), cause, from, to }.to_string();
        let all = [
            (lost(LossCause::Deleted, 40, 100), "60 offsets of t[2] lost (40 to 99): deleted before being read"),
            (lost(LossCause::Deleted, 7, 8), "1 offset of t[2] lost (7): deleted before being read"),
            (lost(LossCause::Truncated, 5, 9), "4 offsets of t[2] lost (5 to 8): the log was truncated"),
            (lost(LossCause::Truncated, 9, 9), "t[2] was truncated below offset 9"),
            (
                lost(LossCause::Recreated, 5, 9),
                "4 offsets of t[2] lost (5 to 8): topic \"t\" was deleted and created again",
            ),
            (lost(LossCause::Recreated, 9, 9), "topic \"t\" was deleted and created again while it was read"),
        ];
        for (said, expected) in all {
            assert_eq!(said, expected);
        }
    }
}
