//! What of a log can be compacted, and whether that is worth it.
//!
//! Separate because it only looks, under the lock of the log, and takes along all that is needed later.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::medium::Medium;
use super::super::outline::EndState;
use super::super::partition::{Log, State};
use super::super::producers::LastBatches;
use super::super::segment::Segment;
use super::super::store::{SegmentName, SegmentStore};
use super::super::transactions::Aborted;
use super::Compacted;

/// How a topic is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compaction {
    /// The part of the bytes that must be uncompacted for it to begin.
    pub(crate) dirty_ratio_min: f64,
    /// How old the latest record of a segment must be, in ms.
    pub(crate) lag_ms_min: i64,
    /// How old the first uncompacted record may become, in ms.
    pub(crate) lag_ms_max: i64,
    /// How long removals of keys stay, in ms.
    pub(crate) removals_ms: i64,
    pub(crate) segment_bytes: u64,
    pub(crate) index_interval_bytes: u64,
}

/// What is compacted.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) compaction: Compaction,
    pub(super) store: SegmentStore,
    /// The segments up to the first one that cannot be compacted yet.
    pub(super) sources: Vec<Source>,
    pub(super) compacted: Compacted,
    /// The aborted transactions, by producer.
    pub(super) aborted: BTreeMap<i64, Vec<Aborted>>,
    /// The last batches of the producers that are known.
    pub(super) last_batches: BTreeMap<i64, LastBatches>,
    pub(super) now_ms: i64,
}

/// A segment that does not change any more.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: SegmentName,
    pub(super) next_offset: i64,
    pub(super) medium: Arc<Medium>,
    pub(super) length: u64,
    /// The state at its end.
    pub(super) ended: Option<Arc<EndState>>,
    /// Whether it stays as it is, because something in it cannot be read.
    pub(super) is_kept: bool,
}

impl Log {
    /// What can be compacted; `None` if it is not worth it yet.
    pub(crate) fn plan_compaction(&self, compaction: &Compaction, now_ms: i64) -> Option<Plan> {
        let state = self.state.lock();
        let sources = state.sources(compaction, now_ms);
        if state.closed.is_some() || !state.is_worth(&sources, compaction, now_ms) {
            return None;
        }
        let mut aborted: BTreeMap<i64, Vec<Aborted>> = BTreeMap::new();
        for one in state.transactions.aborted_between(0, i64::MAX) {
            aborted.entry(one.producer_id).or_default().push(one);
        }
        Some(Plan {
            compaction: *compaction,
            store: self.store.clone(),
            sources,
            compacted: state.compacted.clone(),
            aborted,
            last_batches: state.producers.last_batches().collect(),
            now_ms,
        })
    }
}

impl State {
    /// The first segments that are closed, decided and old enough.
    fn sources(&self, compaction: &Compaction, now_ms: i64) -> Vec<Source> {
        let stable = self.ends().stable;
        let is_old = |segment: &Segment| {
            compaction.lag_ms_min == 0
                || segment.index.max_timestamp_ms() <= now_ms.saturating_sub(compaction.lag_ms_min)
        };
        let closed = self.segments.windows(2).map(|pair| (&pair[0], pair[1].base_offset));
        let ready = closed.take_while(|(segment, next_offset)| *next_offset <= stable && is_old(segment));
        let source = |(segment, next_offset): (&Segment, i64)| Source {
            name: segment.name(),
            next_offset,
            medium: Arc::clone(&segment.medium),
            length: segment.length,
            ended: segment.ended.clone(),
            is_kept: segment.is_unsound || !segment.damages.is_empty(),
        };
        ready.map(source).collect()
    }

    fn is_worth(&self, sources: &[Source], compaction: &Compaction, now_ms: i64) -> bool {
        let is_dirty = |source: &&Source| source.next_offset > self.compacted.next_offset && !source.is_kept;
        let bytes = |source: &Source| source.length;
        let dirty: u64 = sources.iter().filter(is_dirty).map(bytes).sum();
        let all: u64 = sources.iter().filter(|source| !source.is_kept).map(bytes).sum();
        let first_ms = sources.iter().zip(&self.segments).find(|(source, _)| is_dirty(source));
        let first_ms = first_ms.and_then(|(_, segment)| segment.first_ms);
        let is_overdue = first_ms.is_some_and(|first_ms| now_ms.saturating_sub(first_ms) > compaction.lag_ms_max);
        dirty > 0 && (is_overdue || dirty as f64 >= all as f64 * compaction.dirty_ratio_min)
    }
}
