//! Restoring the state of a share: its changelogs are read up to their ends at the last commit, into the stores of its
//! tasks.
//!
//! A restore is done in steps, so that the share keeps its place in the group however long it takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{
    Extent, Isolation, LossCause, Lost, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError,
};
use headwater_dataflow::{Compiled, Event, TaskId};
use headwater_formats::record::{TopicPartition, Wanted};

use super::share::fault;
use super::tasks::Tasks;

/// Most records to take from a changelog at once.
const BATCH_RECORDS_MAX: usize = 16_384;

/// A restore in progress.
pub(super) struct Restore {
    sources: Vec<Box<dyn Source>>,
    /// The task and the store that each changelog belongs to.
    stores: BTreeMap<TopicPartition, (TaskId, usize)>,
    /// How many changelogs are not read to their ends.
    unfinished: usize,
}

impl Restore {
    /// Opens the changelogs of some tasks; none if there is nothing to restore. Call it when the committed offsets are known.
    /// A task with a stream time had state at the last commit.
    pub(super) fn begin(
        transport: &dyn Transport,
        compiled: &Compiled,
        tasks: &mut Tasks,
    ) -> Result<Option<Self>, TransportError> {
        let mut changelogs = Changelogs { transport, extents: BTreeMap::new(), ids: TopicIds::new() };
        let (mut ranges, mut stores) = (Vec::new(), BTreeMap::new());
        for id in tasks.ids() {
            let has_state = tasks.get(id)?.stream_time_ms().is_some();
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
    /// What is to be read of a changelog; none if it is empty. Fails if it is although there was state.
    fn range(&mut self, partition: &TopicPartition, has_state: bool) -> Result<Option<ReadRange>, TransportError> {
        let topic = &partition.topic;
        if !self.extents.contains_key(topic) {
            // A commit may have reached the offsets and not yet the changelog, whose stable end would be before it. The
            // restore waits for transactions that are open here.
            let extent = self.transport.admin().extent(topic, Isolation::ReadUncommitted)?;
            self.ids.extend(extent.id.map(|id| (topic.clone(), id)));
            self.extents.insert(topic.clone(), extent);
        }
        let marks = &self.extents[topic].marks;
        let mark = usize::try_from(partition.partition).ok().and_then(|at| marks.get(at));
        let mark = mark.ok_or_else(|| TransportError::other(format!("{partition} does not exist")))?;
        if mark.end == 0 && has_state {
            let (partition, cause) = (partition.clone(), LossCause::Recreated);
            return Err(Lost { partition, cause, from: 0, to: 0 }.into());
        }
        let range = ReadRange { partition: partition.clone(), start: mark.start, end: Some(mark.end) };
        Ok((mark.start < mark.end).then_some(range))
    }
}

fn unknown(partition: &TopicPartition) -> TransportError {
    TransportError::internal(format!("no store is restored from {partition}"))
}
