//! Restoring the state of a share: its changelogs are read up to their ends at the last commit, into the stores of its
//! tasks.
//!
//! A restore is done in steps, so that the share keeps its place in the group however long it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_connectors::transport::{
    Isolation, LossCause, Lost, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError,
};
use headwater_dataflow::{Compiled, Event, Task, TaskId};
use headwater_formats::record::{TopicPartition, Wanted};

use super::share::fault;

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
    /// Opens the changelogs of these tasks; none if there is nothing to restore. Call it when no transaction of a former
    /// owner is open any more. `has_state` tells which tasks had state at the last commit.
    pub(super) fn begin(
        transport: &dyn Transport,
        compiled: &Compiled,
        tasks: impl Iterator<Item = TaskId>,
        has_state: impl Fn(TaskId) -> bool,
    ) -> Result<Option<Self>, TransportError> {
        let (mut ranges, mut stores, mut ids) = (Vec::new(), BTreeMap::new(), TopicIds::new());
        let mut extents = BTreeMap::new();
        for task in tasks {
            for (store, topic) in compiled.changelogs(task.stage).iter().enumerate() {
                if !extents.contains_key(topic) {
                    extents.insert(topic.clone(), transport.admin().extent(topic, Isolation::ReadCommitted)?);
                }
                let extent = &extents[topic];
                let partition = TopicPartition::new(topic.clone(), task.partition);
                let mark = usize::try_from(task.partition).ok().and_then(|at| extent.marks.get(at));
                let mark = mark.ok_or_else(|| TransportError::other(format!("{partition} does not exist")))?;
                if mark.end == 0 && has_state(task) {
                    return Err(Lost { partition, cause: LossCause::Recreated, from: 0, to: 0 }.into());
                }
                if mark.start < mark.end {
                    ids.extend(extent.id.map(|id| (topic.clone(), id)));
                    ranges.push(ReadRange { partition: partition.clone(), start: mark.start, end: Some(mark.end) });
                    stores.insert(partition, (task, store));
                }
            }
        }
        if ranges.is_empty() {
            return Ok(None);
        }
        let unfinished = ranges.len();
        let wanted = Wanted { headers: false, ..Wanted::ALL };
        let (isolation, batch_records_max) = (Isolation::ReadCommitted, BATCH_RECORDS_MAX);
        let plan = ReadPlan { ranges, wanted, isolation, batch_records_max, ids };
        Ok(Some(Self { sources: transport.open_sources(vec![plan])?, stores, unfinished }))
    }

    /// Restores what arrives within `wait`. Returns true once everything is restored.
    pub(super) fn step(&mut self, tasks: &mut BTreeMap<TaskId, Task>, wait: Duration) -> Result<bool, TransportError> {
        let wait = wait / u32::try_from(self.sources.len()).unwrap_or(u32::MAX).max(1);
        for source in &mut self.sources {
            match source.poll(wait)? {
                SourceEvent::Batch(raw) => {
                    let (task, store) = self.stores.get(&raw.origin).ok_or_else(|| unknown(&raw.origin))?;
                    let task = tasks.get_mut(task).ok_or_else(|| unknown(&raw.origin))?;
                    task.handle(&Event::Restore(*store, &raw)).map_err(fault)?;
                }
                SourceEvent::Finished(_) => self.unfinished -= 1,
                SourceEvent::Lost(lost) => return Err(lost.into()),
                SourceEvent::Passed(..) | SourceEvent::Idle => {}
            }
        }
        Ok(self.unfinished == 0)
    }
}

fn unknown(partition: &TopicPartition) -> TransportError {
    TransportError::internal(format!("no store is restored from {partition}"))
}
