//! Putting compacted segments in the place of the old ones.
//!
//! Separate because it is the only part of compaction that changes a log.

use std::io;
use std::sync::Arc;

use super::super::medium::Medium;
use super::super::partition::{Log, State};
use super::super::segment::Segment;
use super::outcome::Outcome;
use crate::topic_partition::TopicPartition;

impl Log {
    /// Whether the log still has the segments that were compacted.
    pub(crate) fn can_be_replaced(&self, outcome: &Outcome) -> bool {
        let state = self.state.lock();
        state.closed.is_none() && state.has(outcome)
    }

    /// Puts the compacted segments in the place of the old ones, which are returned: they are to be removed. The journal must know
    /// of it, and nothing may have removed segments since [`Log::can_be_replaced`].
    pub(crate) fn replace(&self, outcome: Outcome) -> Vec<Segment> {
        let mut state = self.state.lock();
        let Outcome { compacted, rewritten, sources, none_aborted_before, .. } = outcome;
        let old: Vec<Segment> = state.segments.drain(..sources.len()).collect();
        let (kept, removed): (Vec<_>, Vec<_>) = old.into_iter().zip(&sources).partition(|(_, (_, is_kept))| *is_kept);
        let segments = |some: Vec<(Segment, _)>| some.into_iter().map(|(segment, _)| segment);
        let rest = std::mem::take(&mut state.segments);
        state.segments = rewritten.into_segments().into_iter().chain(segments(kept)).chain(rest).collect();
        state.segments.sort_by_key(|segment| segment.base_offset);
        // A reader that is told of one of them now would wait for its marker, which may be removed at any time.
        state.transactions.forget_ended_before(none_aborted_before);
        state.compacted = compacted;
        if let Some(failures) = state.compaction_failures.succeeded(u64::MAX, i64::MAX) {
            let TopicPartition { topic, partition } = &state.topic_partition;
            tracing::warn!(topic, partition, failures, "compacting the log works again");
        }
        segments(removed).collect()
    }

    /// Reports that it could not be compacted, unless that was reported before.
    pub(crate) fn could_not_compact(&self, error: &io::Error, now_ms: i64) {
        let mut state = self.state.lock();
        if state.compaction_failures.failed(error, 0, now_ms) {
            let TopicPartition { topic, partition } = &state.topic_partition;
            tracing::error!(topic, partition, %error, "could not compact a log; it is tried again");
        }
    }

    /// Keeps a segment as it is from now on, since it cannot be read.
    pub(crate) fn keep_as_it_is(&self, medium: &Arc<Medium>) {
        let mut state = self.state.lock();
        let segments = state.segments.iter_mut().filter(|segment| Arc::ptr_eq(&segment.medium, medium));
        segments.for_each(|segment| segment.is_unsound = true);
    }
}

impl State {
    fn has(&self, outcome: &Outcome) -> bool {
        let same = |(segment, (medium, _)): (&Segment, &(Arc<Medium>, bool))| Arc::ptr_eq(&segment.medium, medium);
        self.segments.len() > outcome.sources.len() && self.segments.iter().zip(&outcome.sources).all(same)
    }
}
