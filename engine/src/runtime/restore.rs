//! Restores the state of a share: loads its snapshots, if there are any, and reads its changelogs from there up to the last commit
//! into the stores of its tasks.
//!
//! A restore is done in steps, so that the share keeps its place in the group however long it takes.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array, BinaryArray};
use headwater_connectors::transport::{
    Extent, Isolation, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError, TransportErrorKind,
    Watermarks,
};
use headwater_dataflow::TaskId;
use headwater_formats::record::{RawBatch, TopicPartition, Wanted};

use super::intake::{AHEAD_FROM, BATCH_RECORDS_MAX, Intake};
use super::job::Job;
use super::query_status::QueryStatus;
use super::side_by_side::beside;
use super::snapshots::{Changelog, Loaded, Loading, Shelf};
use super::start::mark;
use super::tasks::{StoreRecords, Tasks};

/// How long a compacted topic keeps removals of keys, and the default in ms.
const REMOVALS: &str = "delete.retention.ms";
const REMOVALS_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a restore may stand still before that is reported, in ms.
const STANDSTILL_MS: i64 = 10_000;
/// How many steps at least that must be: in tests a step may take any time.
const STANDSTILL_LOOKS: u32 = 20;
/// Most batches, and bytes after which no more are taken, until their records are in the stores.
const BATCHES_MAX: usize = 16;
const BATCHES_BYTES_MAX: u64 = 32 << 20;
/// How long to wait for a further batch.
const GATHER_WAIT: Duration = Duration::from_millis(2);

/// The last progress of a restore.
#[derive(Clone, Copy, Debug, Default)]
struct Advanced {
    /// The number of records that were restored by then.
    done: u64,
    /// When it was, in ms since the epoch.
    at_ms: i64,
    /// The number of steps since then.
    looks: u32,
    /// Whether a standstill since then was reported.
    is_reported: bool,
}

/// A restore in progress: snapshots are loaded first, then the rest of all changelogs is read.
pub(super) struct Restore {
    transport: Arc<dyn Transport>,
    in_threads: bool,
    /// Where the snapshots are.
    shelf: Option<Shelf>,
    /// The changelogs that are restored.
    parts: BTreeMap<TopicPartition, Part>,
    /// The snapshots that are not loaded yet, the next one last.
    snapshots: Vec<(TopicPartition, Loading)>,
    /// The ids of the changelog topics.
    ids: TopicIds,
    /// Reads the changelogs, once all snapshots are loaded.
    intake: Option<Intake>,
    /// The number of changelogs that are not read to their ends yet.
    unfinished: usize,
    /// What was read of them and is not in the stores yet.
    taken: Vec<StoreRecords>,
    /// When it began, in ms since the epoch.
    begun_ms: i64,
    /// How it advanced last.
    advanced: Advanced,
}

/// One partition of a changelog.
struct Part {
    /// The task and the index of its store that it belongs to.
    store: (TaskId, usize),
    /// The first offset of the changelog.
    first: i64,
    /// The first offset that is read, the next one, and the end.
    start: i64,
    next: i64,
    end: i64,
    /// The number of records that were loaded from a snapshot, and of all of its records.
    loaded: u64,
    to_load: u64,
}

impl Part {
    /// All of a changelog, which is not empty.
    fn new(store: (TaskId, usize), mark: Watermarks) -> Self {
        let Watermarks { start, end, .. } = mark;
        Self { store, first: start, start, next: start, end, loaded: 0, to_load: 0 }
    }

    /// The number of records to restore.
    fn total(&self) -> u64 {
        self.to_load + u64::try_from(self.end - self.start).unwrap_or(0)
    }

    /// The number of offsets that were read, and not loaded from a snapshot.
    fn read(&self) -> u64 {
        u64::try_from(self.next - self.start).unwrap_or(0)
    }

    /// Reads all of the changelog, because its snapshot cannot be used.
    fn read_all(&mut self) {
        (self.start, self.next, self.loaded, self.to_load) = (self.first, self.first, 0, 0);
    }
}

impl Restore {
    /// Begins to restore the stores of some tasks; `None` if there is nothing to restore. Call it after the committed offsets
    /// were read. A task that had started had state at the last commit. `shelf` has the snapshots of the query.
    pub(super) fn begin(
        transport: &Arc<dyn Transport>,
        job: &Job,
        shelf: Option<Shelf>,
        tasks: &mut Tasks,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<Option<Self>, TransportError> {
        let mut changelogs = Changelogs::new(transport.as_ref());
        let (mut parts, mut snapshots) = (BTreeMap::new(), Vec::new());
        for id in tasks.ids() {
            let has_state = tasks.has_started(id);
            for (store, topic) in job.compiled.changelogs(id.stage).iter().enumerate() {
                status.go_on()?;
                let partition = TopicPartition::new(topic.clone(), id.partition);
                // The first one has the stream times, too. No row may have come to the others, such as to one side of a join.
                let must_exist = has_state && store == 0;
                let Some(mark) = changelogs.mark(&partition, must_exist)? else { continue };
                let mut part = Part::new((id, store), mark);
                if let Some(shelf) = &shelf
                    && let Some(loading) = shelf.find(&partition, &changelogs.changelog(topic, mark)?, now_ms)
                {
                    (part.start, part.next, part.to_load) = (loading.offset(), loading.offset(), loading.records());
                    snapshots.push((partition.clone(), loading));
                }
                parts.insert(partition, part);
            }
        }
        let restore = Self {
            transport: transport.clone(),
            in_threads: job.in_threads,
            shelf,
            parts,
            snapshots,
            ids: changelogs.ids,
            intake: None,
            unfinished: 0,
            taken: Vec::new(),
            begun_ms: now_ms,
            advanced: Advanced { at_ms: now_ms, ..Advanced::default() },
        };
        if restore.parts.is_empty() {
            return Ok(None);
        }
        status.restoring(restore.progress(), now_ms);
        Ok(Some(restore))
    }

    /// Restores what arrives within `wait`. Returns true once everything is restored.
    pub(super) fn step(&mut self, tasks: &mut Tasks, wait: Duration) -> Result<bool, TransportError> {
        if let Some((partition, loading)) = self.snapshots.pop() {
            return self.load(partition, loading, tasks).map(|()| false);
        }
        match self.intake {
            None => self.open()?,
            Some(_) => self.read_on(tasks, wait)?,
        }
        Ok(self.unfinished == 0 && self.taken.is_empty())
    }

    /// Puts into the stores what was taken, and takes what arrives within `wait`, if there are threads, both at once.
    fn read_on(&mut self, tasks: &mut Tasks, wait: Duration) -> Result<(), TransportError> {
        let batches = mem::take(&mut self.taken);
        if self.in_threads && !batches.is_empty() && self.unfinished > 0 {
            let is_restored = AtomicBool::new(false);
            let restore = || {
                let restored = tasks.restore(batches);
                is_restored.store(true, Ordering::Relaxed);
                restored
            };
            let (taken, restored) = beside(|| self.gather(wait, &is_restored), restore);
            self.taken = taken?;
            return restored;
        }
        tasks.restore(batches)?;
        self.taken = self.gather(wait, &AtomicBool::new(true))?;
        if self.in_threads { Ok(()) } else { tasks.restore(mem::take(&mut self.taken)) }
    }

    /// Takes what arrives within `wait`, and on until what was taken before is restored: several batches, of as many tasks as can be
    /// restored at once.
    fn gather(&mut self, mut wait: Duration, is_restored: &AtomicBool) -> Result<Vec<StoreRecords>, TransportError> {
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(intake) = self.intake.as_mut().filter(|_| self.unfinished > 0) {
            let event = intake.poll(wait)?;
            let is_idle = matches!(event, SourceEvent::Idle);
            if let Some((store, raw)) = self.take(event)? {
                bytes += raw.payload_bytes;
                batches.push((store, raw));
            }
            let has_much = batches.len() >= BATCHES_MAX || bytes >= BATCHES_BYTES_MAX;
            if has_much || is_idle && is_restored.load(Ordering::Relaxed) || !self.in_threads {
                break;
            }
            wait = GATHER_WAIT;
        }
        Ok(batches)
    }

    /// Loads a piece of a snapshot.
    fn load(
        &mut self,
        partition: TopicPartition,
        mut loading: Loading,
        tasks: &mut Tasks,
    ) -> Result<(), TransportError> {
        let part = self.parts.get_mut(&partition).ok_or_else(|| unknown(&partition))?;
        match loading.step() {
            Ok(Loaded::All) => {
                self.shelf.iter().for_each(|shelf| shelf.loaded(&loading));
                return Ok(());
            }
            Ok(Loaded::Nothing) => {}
            Ok(Loaded::Records(keys, values)) => {
                part.loaded += keys.len() as u64;
                tasks.restore(vec![(part.store, as_batch(&partition, keys, values))])?;
            }
            Ok(Loaded::Damaged(reason)) => {
                part.read_all();
                self.discard(&loading, &reason);
                return Ok(());
            }
            // Some of it may be in the store: the next attempt begins without it.
            Err(error) => {
                self.discard(&loading, &error);
                return Err(TransportError::other(format!("a snapshot of {partition} could not be loaded: {error}")));
            }
        }
        self.snapshots.push((partition, loading));
        Ok(())
    }

    fn discard(&self, loading: &Loading, reason: &dyn fmt::Display) {
        self.shelf.iter().for_each(|shelf| shelf.discard(loading, reason));
    }

    /// Opens the changelogs, which are all read at once.
    fn open(&mut self) -> Result<(), TransportError> {
        let is_left = |(_, part): &(&TopicPartition, &Part)| part.next < part.end;
        let range = |(partition, part): (&TopicPartition, &Part)| {
            let (partition, start) = (partition.clone(), part.start);
            ReadRange { partition, start, end: Some(part.end) }
        };
        let ranges: Vec<ReadRange> = self.parts.iter().filter(is_left).map(range).collect();
        self.unfinished = ranges.len();
        if ranges.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { headers: false, ..Wanted::ALL };
        let (isolation, batch_records_max) = (Isolation::ReadCommitted, BATCH_RECORDS_MAX);
        let plan = ReadPlan { ranges, wanted, isolation, batch_records_max, ids: self.ids.clone() };
        self.intake = Some(Intake::open(self.transport.clone(), plan, self.in_threads.then_some(AHEAD_FROM))?);
        Ok(())
    }

    /// The records of an event, with the store that they belong to.
    fn take(&mut self, event: SourceEvent) -> Result<Option<StoreRecords>, TransportError> {
        match event {
            SourceEvent::Batch(raw) => {
                let part = self.parts.get_mut(&raw.origin).ok_or_else(|| unknown(&raw.origin))?;
                part.next = raw.offsets.last().map_or(part.next, |last| last + 1);
                return Ok(Some((part.store, raw)));
            }
            SourceEvent::Finished(partition) => {
                if let Some(part) = self.parts.get_mut(&partition) {
                    part.next = part.end;
                }
                self.unfinished -= 1;
            }
            SourceEvent::Lost(lost) => return Err(lost.into()),
            SourceEvent::Passed(..) | SourceEvent::Idle => {}
        }
        Ok(None)
    }

    /// The number of records that were restored, and of all. Offsets without a record count.
    pub(super) fn progress(&self) -> (u64, u64) {
        let done = |part: &Part| part.loaded + part.read();
        (self.parts.values().map(done).sum(), self.parts.values().map(Part::total).sum())
    }

    /// Reports once that it does not advance, if this is its progress.
    pub(super) fn watch(&mut self, (done, total): (u64, u64), query_id: &str, now_ms: i64) {
        let last = &mut self.advanced;
        if done != last.done {
            *last = Advanced { done, at_ms: now_ms, ..Advanced::default() };
            return;
        }
        last.looks += 1;
        if !last.is_reported && last.looks >= STANDSTILL_LOOKS && now_ms - last.at_ms >= STANDSTILL_MS {
            last.is_reported = true;
            tracing::warn!(
                query_id,
                done,
                total,
                "restore waits for a broker, or for a transaction in a changelog that a process left open to time out"
            );
        }
    }

    /// Logs that it is done.
    pub(super) fn report(&self, query_id: &str, now_ms: i64) {
        let from_snapshots: u64 = self.parts.values().map(|part| part.loaded).sum();
        let (records, ms) = (self.progress().0, now_ms - self.begun_ms);
        tracing::info!(query_id, records, from_snapshots, ms, "state restored");
    }

    /// The changelogs with the number of offsets that were read of each, and not loaded from a snapshot.
    pub(super) fn read(&self) -> impl Iterator<Item = (&TopicPartition, u64)> {
        self.parts.iter().map(|(partition, part)| (partition, part.read()))
    }
}

/// Records of a snapshot as those of the changelog that they are from.
fn as_batch(partition: &TopicPartition, keys: BinaryArray, values: BinaryArray) -> RawBatch {
    let nothing = vec![0; keys.len()];
    let payload_bytes = (keys.value_data().len() + values.value_data().len()) as u64;
    RawBatch {
        origin: partition.clone(),
        offsets: nothing.clone().into(),
        timestamps_ms: nothing.into(),
        keys: Some(keys),
        values: Some(values),
        value_nulls: None,
        headers: None,
        payload_bytes,
    }
}

/// The changelog topics as they are now.
struct Changelogs<'a> {
    transport: &'a dyn Transport,
    extents: BTreeMap<Arc<str>, Extent>,
    ids: TopicIds,
    /// How long each keeps removals of keys, in ms.
    removals_ms: BTreeMap<Arc<str>, i64>,
}

impl<'a> Changelogs<'a> {
    fn new(transport: &'a dyn Transport) -> Self {
        Self { transport, extents: BTreeMap::new(), ids: TopicIds::new(), removals_ms: BTreeMap::new() }
    }

    /// The ends of a changelog; `None` if it is empty. Fails if it is empty and `has_state`.
    ///
    /// They include open transactions: a commit whose offsets are visible may still lack its marker in the changelog. Reading
    /// waits for the marker.
    fn mark(&mut self, partition: &TopicPartition, has_state: bool) -> Result<Option<Watermarks>, TransportError> {
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
        Ok((mark.start < mark.end).then_some(mark))
    }

    /// What decides whether a snapshot of a changelog can be used. If this process may not know how long removals are kept, they
    /// are taken for gone.
    fn changelog(&mut self, topic: &Arc<str>, mark: Watermarks) -> Result<Changelog, TransportError> {
        if !self.removals_ms.contains_key(topic) {
            let removals_ms = match self.transport.admin().topic_settings(topic) {
                Ok(settings) => settings.get(REMOVALS).map_or(REMOVALS_MS, |ms| ms.parse().unwrap_or(0)),
                Err(error) if error.kind == TransportErrorKind::Authorization => 0,
                Err(error) => return Err(error),
            };
            self.removals_ms.insert(topic.clone(), removals_ms);
        }
        Ok(Changelog { id: self.ids.get(topic).copied(), mark, removals_ms: self.removals_ms[topic] })
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
        let mut changelogs = Changelogs::new(&cluster);
        let mark = changelogs.mark(&TopicPartition::new("c", 0), true).expect("state").expect("a record");
        assert_eq!((mark.start, mark.end), (0, 1));
        sink.commit(&Membership::outside("g"), &BTreeMap::new(), Duration::ZERO).expect("a commit");
    }

    #[test]
    fn state_whose_changelog_is_empty_is_reported_as_lost() {
        let cluster = cluster_with("c");
        let mut changelogs = Changelogs::new(&cluster);
        let partition = TopicPartition::new("c", 0);
        assert_eq!(changelogs.mark(&partition, false), Ok(None));
        let error = changelogs.mark(&partition, true).expect_err("there was state");
        assert_eq!(error.message, "the state in c[0] is gone: the topic was deleted and created again");
    }
}
