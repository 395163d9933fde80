//! Retention: which records at the start of a log are too old, or too many.
//!
//! Separate because it only looks: what it finds is deleted as by a DeleteRecords request. The rules are Kafka's: whole
//! segments, from the start of the log. A segment is as old as its latest record.

use super::partition::{Log, State};
use super::segment::Segment;

/// Which records of a log are kept. Both rules apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How old the latest record of a segment may be, in ms; `None` for any age.
    pub(crate) age_ms_max: Option<i64>,
    /// How many bytes all segments may have; `None` for any number. The segment with which there are more is kept.
    pub(crate) bytes_max: Option<u64>,
}

impl Log {
    /// The first offset that is kept, or the start if everything is. Records of open transactions are kept.
    pub(crate) fn kept_from(&self, retention: &Retention, now_ms: i64) -> i64 {
        let state = self.state.lock();
        let ends = state.ends();
        let mut left: u64 = state.segments.iter().map(|segment| segment.length).sum();
        let mut kept_from = ends.start;
        for (segment, next_offset) in state.segments_with_ends() {
            if next_offset > ends.stable || !retention.removes(segment, left, now_ms) {
                break;
            }
            left -= segment.length;
            kept_from = kept_from.max(next_offset);
        }
        kept_from
    }
}

impl State {
    /// Each segment with the offset at which the next one begins.
    fn segments_with_ends(&self) -> impl Iterator<Item = (&Segment, i64)> {
        let next = self.segments.iter().skip(1).map(|segment| segment.base_offset);
        self.segments.iter().zip(next.chain([self.end_offset]))
    }
}

impl Retention {
    /// Whether the first of all segments, which have so many bytes, is removed.
    fn removes(&self, first: &Segment, bytes: u64, now_ms: i64) -> bool {
        let is_old = |age_ms_max: i64| first.index.max_timestamp_ms() < now_ms.saturating_sub(age_ms_max);
        let is_much = |bytes_max: u64| bytes - first.length >= bytes_max;
        first.length > 0 && (self.age_ms_max.is_some_and(is_old) || self.bytes_max.is_some_and(is_much))
    }
}
