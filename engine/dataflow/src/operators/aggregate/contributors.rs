//! The source partitions whose rows belong to a window or a group. It closes, and it expires, when the stream time of all of
//! them has passed, and that of every partition that has records which were not read yet, since these may belong to it, too: a
//! partition that is ahead, or one at its end without rows in it, decides nothing.

use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use crate::clocks::{Clocks, SourcePartition};
use crate::operators::encoding::States;

/// Source partitions, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contributors(Vec<SourcePartition>);

impl Contributors {
    /// One partition.
    pub fn of(partition: SourcePartition) -> Self {
        Self(vec![partition])
    }

    /// Whether a partition is among them.
    pub fn contains(&self, partition: SourcePartition) -> bool {
        self.0.binary_search(&partition).is_ok()
    }

    /// Adds a partition. Returns whether it was not among them.
    pub fn add(&mut self, partition: SourcePartition) -> bool {
        let place = self.0.binary_search(&partition);
        place.map_err(|at| self.0.insert(at, partition)).is_err()
    }

    /// Adds all of others.
    pub fn add_all(&mut self, others: &Self) {
        for partition in &others.0 {
            self.add(*partition);
        }
    }

    /// The partitions.
    pub fn iter(&self) -> impl Iterator<Item = SourcePartition> {
        self.0.iter().copied()
    }

    /// The stream time that all of them have reached; `None` if there are none, or if that of one is not known.
    pub fn time(&self, clocks: &Clocks) -> Option<i64> {
        self.0.iter().map(|partition| clocks.get(*partition)).min().flatten()
    }

    /// The stream time that all of them have reached, and all partitions that have records which were not read yet; `None` if that is
    /// not known.
    pub fn reached(&self, clocks: &Clocks) -> Option<i64> {
        let time_ms = self.time(clocks).filter(|_| !clocks.is_unsure())?;
        Some(clocks.held().map_or(time_ms, |held_ms| held_ms.min(time_ms)))
    }

    /// Whether all of them have [reached](Self::reached) a time. `None` is later than any time.
    pub fn have_reached(&self, time_ms: Option<i64>, clocks: &Clocks) -> bool {
        time_ms.is_some_and(|time_ms| self.reached(clocks).is_some_and(|reached| reached >= time_ms))
    }

    /// The bytes in which they are stored: 8 for each partition, with its source and its number.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes =
            |partition: &SourcePartition| [partition.source.to_be_bytes(), partition.partition.to_be_bytes()].concat();
        self.0.iter().flat_map(bytes).collect()
    }

    /// Reads what [`Self::to_bytes`] returned; `None` if the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let read = |[a, b, c, d, e, f, g, h]: &[u8; 8]| SourcePartition {
            source: i32::from_be_bytes([*a, *b, *c, *d]),
            partition: i32::from_be_bytes([*e, *f, *g, *h]),
        };
        rest.is_empty().then(|| Self(chunks.iter().map(read).collect()))
    }
}

/// Which partitions contributed to a group, and whether its only result has been emitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The partitions.
    pub contributors: Contributors,
    /// Whether the result has been emitted, which happens once with EMIT FINAL.
    pub is_emitted: bool,
}

impl Share {
    /// The bytes in which it is stored: those of the contributors, and one more if the result has been emitted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.contributors.to_bytes();
        bytes.extend(self.is_emitted.then_some(1));
        bytes
    }

    /// Reads what [`Self::to_bytes`] returned; `None` if the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let is_emitted = bytes.len() % 8 == 1;
        let contributors = &bytes[..bytes.len() - usize::from(is_emitted)];
        Contributors::from_bytes(contributors).map(|contributors| Self { contributors, is_emitted })
    }

    /// Whether its result is to be emitted: all contributors have reached the time at which it closes.
    pub fn is_due(&self, close_ms: Option<i64>, clocks: &Clocks) -> bool {
        !self.is_emitted && self.contributors.have_reached(close_ms, clocks)
    }
}

/// The state column of shares, which is the first one where they are kept.
pub fn field() -> Field {
    Field::new("share", DataType::Binary, true)
}

/// The shares in states; `None` for a new group. Fails if one is damaged.
pub fn shares(states: &States) -> Result<Vec<Option<Share>>, ArrowError> {
    let damaged = || ArrowError::ComputeError("the partitions of a group are damaged".to_owned());
    let share = |bytes: Option<&[u8]>| bytes.map(|bytes| Share::from_bytes(bytes).ok_or_else(damaged)).transpose();
    states.columns[0].as_binary::<i32>().iter().map(share).collect()
}

/// States with other shares.
pub fn with_shares<'a>(mut states: States, shares: impl IntoIterator<Item = Option<&'a Share>>) -> States {
    let shares = shares.into_iter().map(|share| share.map(Share::to_bytes)).collect::<BinaryArray>();
    states.columns[0] = Arc::new(shares);
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_decide() {
        let [one, other, third] = [0, 1, 2].map(|partition| SourcePartition { source: 3, partition });
        let (mut contributors, mut clocks) = (Contributors::default(), Clocks::default());
        assert!(!contributors.have_reached(Some(i64::MIN), &clocks));
        assert!(contributors.add(other) && contributors.add(one) && !contributors.add(other));
        clocks.advance(one, 10);
        clocks.advance(third, 99);
        assert_eq!(contributors.reached(&clocks), None);
        clocks.advance(other, 7);
        assert!(contributors.have_reached(Some(7), &clocks) && !contributors.have_reached(Some(8), &clocks));
        assert!(!contributors.have_reached(None, &clocks));
        let mut share = Share { contributors, is_emitted: false };
        assert!(share.is_due(Some(7), &clocks));
        assert_eq!(Share::from_bytes(&share.to_bytes()), Some(share.clone()));
        share.is_emitted = true;
        assert!(!share.is_due(Some(7), &clocks));
        assert_eq!(Share::from_bytes(&share.to_bytes()), Some(share.clone()));
        assert_eq!(Share::from_bytes(&share.to_bytes()[2..]), None);
    }
}
