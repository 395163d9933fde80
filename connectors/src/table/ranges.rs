//! Which offsets a bounded scan reads: those in the log now, except those that the predicates rule out.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME};
use headwater_formats::record::TopicPartition;

use super::prune::{Interval, Target, interval};
use crate::transport::{Admin, Extent, Isolation, ReadRange, TopicId, TransportError, Watermarks};

/// The offsets that a scan reads, frozen when it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenRanges {
    /// The ranges to read, ordered by partition; empty ranges are left out.
    pub ranges: Vec<ReadRange>,
    /// Number of partitions of the topic.
    pub partitions: usize,
    /// Offsets of the topic that are not read.
    pub skipped: u64,
    /// The topic's id, if the cluster reports it.
    pub id: Option<TopicId>,
}

impl FrozenRanges {
    /// Number of offsets that are read, including gaps.
    pub fn offsets(&self) -> u64 {
        self.ranges.iter().map(range_len).sum()
    }
}

/// Number of offsets in a bounded range.
pub fn range_len(range: &ReadRange) -> u64 {
    range.end.map_or(0, |end| u64::try_from(end - range.start).unwrap_or(0))
}

/// Freezes what a scan of `topic` with the logs `extent` reads under `predicates`, which are combined with AND.
///
/// `record_time` says that ROWTIME is the record's own timestamp, which the cluster can search by. Fails if the cluster
/// cannot be asked.
pub fn freeze(
    admin: &dyn Admin,
    topic: &Arc<str>,
    extent: &Extent,
    isolation: Isolation,
    predicates: &[Arc<dyn PhysicalExpr>],
    record_time: bool,
) -> Result<FrozenRanges, TransportError> {
    let watermarks = &extent.marks;
    let mut ranges: Vec<ReadRange> =
        (0_i32..).zip(watermarks).map(|(p, w)| by_offset(topic, p, *w, predicates)).collect();
    // The cluster finds offsets by time among committed records only.
    if record_time && isolation == Isolation::ReadCommitted {
        start_by_time(admin, &mut ranges, predicates)?;
    }
    ranges.retain(|range| range_len(range) > 0);
    let all: u64 = watermarks.iter().map(|w| u64::try_from(w.end - w.start).unwrap_or(0)).sum();
    let read: u64 = ranges.iter().map(range_len).sum();
    let skipped = all.saturating_sub(read);
    Ok(FrozenRanges { ranges, partitions: watermarks.len(), skipped, id: extent.id })
}

/// Bounds of `column` in one partition under all predicates.
pub fn bounds(predicates: &[Arc<dyn PhysicalExpr>], column: &str, partition: i32) -> Interval {
    let target = Target { column, known: Some((ROWPARTITION, i64::from(partition))) };
    predicates.iter().fold(Interval::FULL, |all, p| all.and(interval(p, target)))
}

fn by_offset(topic: &Arc<str>, partition: i32, log: Watermarks, predicates: &[Arc<dyn PhysicalExpr>]) -> ReadRange {
    let wanted = bounds(predicates, ROWOFFSET, partition);
    let start = wanted.min.max(log.start);
    let end = wanted.max.saturating_add(1).min(log.end);
    ReadRange { partition: TopicPartition::new(topic.clone(), partition), start, end: Some(end.max(start)) }
}

/// Moves the start of each range to the first record that can be recent enough.
fn start_by_time(
    admin: &dyn Admin,
    ranges: &mut [ReadRange],
    predicates: &[Arc<dyn PhysicalExpr>],
) -> Result<(), TransportError> {
    let mut times = BTreeMap::new();
    for range in ranges.iter_mut().filter(|r| range_len(r) > 0) {
        let wanted = bounds(predicates, ROWTIME, range.partition.partition);
        if wanted.is_empty() {
            range.end = Some(range.start);
        } else if wanted.min > 0 {
            times.insert(range.partition.clone(), wanted.min);
        }
    }
    if times.is_empty() {
        return Ok(());
    }
    let firsts = admin.offsets_for_times(&times)?;
    for range in ranges.iter_mut() {
        let Some(first) = firsts.get(&range.partition) else { continue };
        let end = range.end.unwrap_or(range.start);
        range.start = first.unwrap_or(end).clamp(range.start, end.max(range.start));
    }
    Ok(())
}
