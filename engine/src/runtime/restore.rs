//! Restores the state of a share: reads its changelogs up to the last commit into the stores of its tasks.
//!
//! A restore is done in steps, so that the share keeps its place in the group however long it takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{
    Extent, Isolation, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError,
};
use headwater_dataflow::{Compiled, Event, TaskId};
use headwater_formats::record::{TopicPartition, Wanted};

use super::share::fault;
use super::start::mark;
use super::tasks::Tasks;

/// Most records to take from a changelog at once.
const BATCH_RECORDS_MAX: usize = 16_384;

/// A restore in progress.
pub(super) struct Restore {
    sources: Vec<Box<dyn Source>>,
    /// The task and the store that each changelog belongs to.
    stores: BTreeMap<TopicPartition, (TaskId, usize)>,
    /// The number of changelogs that are not read to their ends yet.
    unfinished: usize,
}

impl Restore {
    /// Opens the changelogs of some tasks; `None` if there is nothing to restore. Call it after the committed offsets were read.
    /// A task that had started had state at the last commit.
    pub(super) fn begin(
        transport: &dyn Transport,
        compiled: &Compiled,
        tasks: &mut Tasks,
    ) -> Result<Option<Self>, TransportError> {
        let mut changelogs = Changelogs { transport, extents: BTreeMap::new(), ids: TopicIds::new() };
        let (mut ranges, mut stores) = (Vec::new(), BTreeMap::new());
        for id in tasks.ids() {
            let has_state = tasks.has_started(id);
            for (store, topic) in compiled.changelogs(id.stage).iter().enumerate() {
                let partition = TopicPartition::new(topic.clone(), id.partition);
                if let Some(range) = changelogs.range(&partition, has_state)? {
                    ranges.push(range);
                    stores.insert(partition, (id, store));
                }
            }
        }
        if ranges.is_empty() {
            return Ok(None);
        }
        let unfinished = ranges.len();
        let wanted = Wanted { headers: false, ..Wanted::ALL };
        let (isolation, batch_records_max, ids) = (Isolation::ReadCommitted, BATCH_RECORDS_MAX, changelogs.ids);
        let plan = ReadPlan { ranges, wanted, isolation, batch_records_max, ids };
        Ok(Some(Self { sources: transport.open_sources(vec![plan])?, stores, unfinished }))
    }

    /// Restores what arrives within `wait`. Returns true once everything is restored.
    pub(super) fn step(&mut self, tasks: &mut Tasks, wait: Duration) -> Result<bool, TransportError> {
        let wait = wait / u32::try_from(self.sources.len()).unwrap_or(u32::MAX).max(1);
        for source in &mut self.sources {
            match source.poll(wait)? {
                SourceEvent::Batch(raw) => {
                    let (id, store) = *self.stores.get(&raw.origin).ok_or_else(|| unknown(&raw.origin))?;
                    tasks.get(id)?.handle(&Event::Restore(store, &raw)).map_err(fault)?;
                }
                SourceEvent::Finished(_) => self.unfinished -= 1,
                SourceEvent::Lost(lost) => return Err(lost.into()),
                SourceEvent::Passed(..) | SourceEvent::Idle => {}
            }
        }
        Ok(self.unfinished == 0)
    }
}

/// The changelog topics as they are now.
struct Changelogs<'a> {
    transport: &'a dyn Transport,
    extents: BTreeMap<Arc<str>, Extent>,
    ids: TopicIds,
}

impl Changelogs<'_> {
    /// The range to read of a changelog; `None` if it is empty. Fails if it is empty and `has_state`.
    ///
    /// The range includes open transactions: a commit whose offsets are visible may still lack its marker in the changelog.
    /// Reading waits for the marker.
    fn range(&mut self, partition: &TopicPartition, has_state: bool) -> Result<Option<ReadRange>, TransportError> {
        let topic = &partition.topic;
        if !self.extents.contains_key(topic) {
            let extent = self.transport.admin().extent(topic, Isolation::ReadUncommitted)?;
            self.ids.extend(extent.id.map(|id| (topic.clone(), id)));
            self.extents.insert(topic.clone(), extent);
        }
        let mark = mark(&self.extents[topic].marks, partition)?;
        if mark.end == 0 && has_state {
            let message = format!("the state in {partition} is gone: the topic was deleted and created again");
            return Err(TransportError::lost(message));
        }
        let range = ReadRange { partition: partition.clone(), start: mark.start, end: Some(mark.end) };
        Ok((mark.start < mark.end).then_some(range))
    }
}

fn unknown(partition: &TopicPartition) -> TransportError {
    TransportError::internal(format!("no store is restored from {partition}"))
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::Membership;

    use super::super::for_tests::{cluster_with, open_transaction, record_of};
    use super::*;

    /// Goal: a restore includes a commit whose marker is not in the changelog yet. Method: a transaction that is still open.
    #[test]
    fn a_changelog_ends_after_a_transaction_that_is_not_finished() {
        let cluster = cluster_with("c");
        let mut sink = open_transaction(&cluster, &record_of("c"));
        let mut changelogs = Changelogs { transport: &cluster, extents: BTreeMap::new(), ids: TopicIds::new() };
        let range = changelogs.range(&TopicPartition::new("c", 0), true).expect("state").expect("a record");
        assert_eq!((range.start, range.end), (0, Some(1)));
        sink.commit(&Membership::outside("g"), &BTreeMap::new(), Duration::ZERO).expect("a commit");
    }

    #[test]
    fn state_whose_changelog_is_empty_is_reported_as_lost() {
        let cluster = cluster_with("c");
        let mut changelogs = Changelogs { transport: &cluster, extents: BTreeMap::new(), ids: TopicIds::new() };
        let partition = TopicPartition::new("c", 0);
        assert_eq!(changelogs.range(&partition, false), Ok(None));
        let error = changelogs.range(&partition, true).expect_err("there was state");
        assert_eq!(error.message, "the state in c[0] is gone: the topic was deleted and created again");
    }
}
