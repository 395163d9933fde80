//! What compaction has done to a log, as far as its files do not tell.
//!
//! Separate because it is saved in the journal: what is in it decides which files are the log, and which gaps between offsets are no
//! loss.

use serde::{Deserialize, Serialize};

use super::super::store::SegmentName;

/// The passes that are kept, at most: those closer together than this part of the time for which removals stay count as one.
const PASSES_MAX: i64 = 16;

/// What compaction has done to a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compacted {
    /// The number of the last compaction, which its files have in their names.
    pub(crate) round: u64,
    /// The first offset that was not compacted. Offsets before it may have no record.
    pub(crate) next_offset: i64,
    /// The segments that begin before it, in ascending order. Other files that begin before it were replaced by them.
    pub(crate) segments: Vec<CompactedSegment>,
    /// Up to which offsets it was compacted at which times, for as long as that decides which removals of keys stay; in ascending
    /// order.
    pub(crate) passes: Vec<Pass>,
}

/// A segment that begins before the first offset that was not compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompactedSegment {
    pub(crate) base_offset: i64,
    /// The number of the compaction that wrote it; 0 if it is as it was appended.
    pub(crate) round: u64,
    /// Its length.
    pub(crate) bytes: u64,
}

impl CompactedSegment {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { base_offset: self.base_offset, round: self.round }
    }
}

/// A compaction up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    /// The first offset after the records that it looked at.
    pub(crate) next_offset: i64,
    /// When it was, in ms since the Unix epoch.
    pub(crate) at_ms: i64,
}

impl Compacted {
    /// The offset before which whatever removes a key can be removed itself: it was compacted so long ago that all readers that had
    /// seen an earlier record of the key have seen the removal.
    pub(crate) fn removals_end(&self, removals_ms: i64, now_ms: i64) -> i64 {
        let is_over = |pass: &&Pass| pass.at_ms.saturating_add(removals_ms) <= now_ms;
        self.passes.iter().filter(is_over).map(|pass| pass.next_offset).max().unwrap_or(0)
    }

    /// The passes with a further one, without those that decide nothing any more. Removals may stay a little longer than they must.
    pub(crate) fn passes_with(&self, pass: Pass, removals_ms: i64) -> Vec<Pass> {
        let end = self.removals_end(removals_ms, pass.at_ms);
        let mut passes: Vec<Pass> = self.passes.iter().copied().filter(|pass| pass.next_offset >= end).collect();
        if let [.., before, _] = passes[..]
            && pass.at_ms - before.at_ms < removals_ms / PASSES_MAX
        {
            passes.pop();
        }
        passes.push(pass);
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_stay_for_a_time_after_their_first_compaction() {
        let mut compacted = Compacted::default();
        for (next_offset, at_ms) in [(10, 100), (20, 150), (25, 200)] {
            compacted.passes = compacted.passes_with(Pass { next_offset, at_ms }, 70);
        }
        assert_eq!([169, 170, 219, 220, 300].map(|now_ms| compacted.removals_end(70, now_ms)), [0, 10, 10, 20, 25]);
        let later = compacted.passes_with(Pass { next_offset: 40, at_ms: 230 }, 70);
        assert_eq!(later.iter().map(|pass| pass.next_offset).collect::<Vec<_>>(), [20, 25, 40]);
    }

    /// Goal: few passes are kept, however often a log is compacted, and removals still go in time.
    #[test]
    fn frequent_passes_count_as_one() {
        let (mut compacted, removals_ms) = (Compacted::default(), 1_600);
        for at_ms in 1..10_000 {
            compacted.passes = compacted.passes_with(Pass { next_offset: at_ms, at_ms }, removals_ms);
            assert!(compacted.passes.len() as i64 <= PASSES_MAX + 3, "{}", compacted.passes.len());
            let (end, latest) = (compacted.removals_end(removals_ms, at_ms), at_ms - removals_ms);
            assert!(end <= latest.max(0) && end >= latest - 2 * removals_ms / PASSES_MAX, "{end} of {latest}");
        }
    }
}
