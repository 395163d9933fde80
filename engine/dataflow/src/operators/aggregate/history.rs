//! How stream time advanced during a batch, row by row. So what closes in a batch closes at a row, wherever batches are cut.

use std::collections::BTreeMap;

use super::contributors::Contributors;
use crate::clocks::{Clocks, SourcePartition};

/// The steps by which stream time advanced.
#[derive(Debug, Default)]
pub struct History {
    /// The stream times before the batch.
    pub before: Clocks,
    /// The rows that advanced the stream time of each partition, with the stream time after them.
    steps: BTreeMap<SourcePartition, Vec<(usize, i64)>>,
}

impl History {
    /// The history of a batch that begins with these stream times.
    pub fn new(before: Clocks) -> Self {
        Self { before, steps: BTreeMap::new() }
    }

    /// Adds the stream time of a partition after a row.
    pub fn add(&mut self, row: usize, source: SourcePartition, time_ms: i64) {
        let steps = self.steps.entry(source).or_default();
        if steps.last().is_none_or(|(_, latest)| *latest < time_ms) {
            steps.push((row, time_ms));
        }
    }

    /// The row at which the last of these partitions reached a time; 0 if all had reached it before the batch.
    pub fn row(&self, contributors: &Contributors, time_ms: i64) -> usize {
        let row = |source: SourcePartition| {
            let steps =
                self.steps.get(&source).filter(|_| self.before.get(source).is_none_or(|before| before < time_ms))?;
            steps.get(steps.partition_point(|(_, latest)| *latest < time_ms)).map(|(row, _)| *row)
        };
        contributors.iter().filter_map(row).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_partition_decides() {
        let [one, other, third] = [0, 1, 2].map(|partition| SourcePartition { source: 0, partition });
        let mut before = Clocks::default();
        before.advance(one, 5);
        let mut history = History::new(before);
        for (row, source, time_ms) in [(0, one, 7), (1, other, 3), (2, one, 7), (3, other, 9), (4, one, 8)] {
            history.add(row, source, time_ms);
        }
        let mut both = Contributors::of(one);
        both.add(other);
        assert_eq!([2, 4, 8].map(|time_ms| history.row(&both, time_ms)), [1, 3, 4]);
        assert_eq!(history.row(&Contributors::of(one), 5), 0);
        assert_eq!(history.row(&Contributors::of(third), 5), 0);
    }
}
