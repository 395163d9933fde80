//! The state of the persistent queries of this process, for readers.
//!
//! A share shows its state once it is restored, and no longer once it is dropped. Readers see whole commits. Before they take a
//! snapshot, they ask the cluster which commits there are, so that they never miss one that others can see already.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_connectors::transport::{Admin, Position, TransportError};
use headwater_dataflow::{Materialized, TaskId};
use headwater_formats::record::TopicPartition;
use headwater_language::catalog::QueryDef;
use headwater_state::{Snapshot, View};
use parking_lot::{Mutex, RwLock};

use super::job::Job;
use super::start::Start;
use super::tasks::Tasks;

/// How long to wait for a commit that the cluster has and this process has not noticed yet.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to check whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// The states of the queries that run in this process.
#[derive(Debug, Default)]
pub struct States(Mutex<Vec<Weak<Shown>>>);

/// The state of one share of a query, for readers.
#[derive(Debug)]
pub(super) struct Shown {
    query: Arc<QueryDef>,
    group: String,
    materialized: Materialized,
    /// The number of partitions of the query's state, in all processes.
    partitions: i32,
    committed: RwLock<Committed>,
}

/// The state of a share at its last commit.
#[derive(Debug)]
struct Committed {
    views: BTreeMap<i32, View>,
    /// The committed offset of each partition that the share reads.
    offsets: BTreeMap<TopicPartition, i64>,
}

/// The whole state of a query at one commit.
#[derive(Clone, Debug)]
pub(super) struct StateSnapshot {
    /// The query.
    pub(super) query: Arc<QueryDef>,
    /// How its result is read from it.
    pub(super) materialized: Materialized,
    /// The state of each partition, in order.
    pub(super) partitions: Vec<Snapshot>,
}

impl Shown {
    /// The state of a share that starts here; `None` if the result of its query cannot be read from it.
    pub(super) fn of(job: &Job, start: &Start, tasks: &mut Tasks) -> Result<Option<Self>, TransportError> {
        let Some(materialized) = job.compiled.materialized() else { return Ok(None) };
        let Some(partitions) = start.partitions.get(materialized.topic()).copied() else { return Ok(None) };
        let mut views = BTreeMap::new();
        for id in tasks.ids().into_iter().filter(|id: &TaskId| id.stage == materialized.stage()) {
            views.insert(id.partition, tasks.get(id)?.view(materialized.store()));
        }
        let offsets = start.ranges.iter().map(|range| (range.partition.clone(), range.start)).collect();
        let committed = RwLock::new(Committed { views, offsets });
        Ok(Some(Self { query: job.query.clone(), group: job.group(), materialized, partitions, committed }))
    }

    /// Makes a commit of these offsets visible, whose state `apply` changes. Readers see all of it or nothing.
    pub(super) fn commit(
        &self,
        offsets: &BTreeMap<TopicPartition, Position>,
        apply: impl FnOnce() -> Result<(), TransportError>,
    ) -> Result<(), TransportError> {
        let mut committed = self.committed.write();
        apply()?;
        Self::advance(&mut committed, offsets);
        Ok(())
    }

    /// Records offsets that are committed without any change of the state.
    pub(super) fn pass(&self, offsets: &BTreeMap<TopicPartition, Position>) {
        Self::advance(&mut self.committed.write(), offsets);
    }

    fn advance(committed: &mut Committed, offsets: &BTreeMap<TopicPartition, Position>) {
        committed.offsets.extend(offsets.iter().map(|(partition, position)| (partition.clone(), position.offset)));
    }

    /// Whether it is the state of this query as the catalog has it.
    fn is_of(&self, query: &QueryDef) -> bool {
        let own = &self.query;
        own.unique_name() == query.unique_name() && own.topology == query.topology && own.restart == query.restart
    }

    /// The state of each partition, if none of their offsets is before those that the cluster has.
    fn at(&self, known: &BTreeMap<TopicPartition, Option<Position>>) -> Option<Vec<(i32, Snapshot)>> {
        let committed = self.committed.read();
        let is_current = |(partition, offset): (&TopicPartition, &i64)| {
            known.get(partition).and_then(Option::as_ref).is_none_or(|position| position.offset <= *offset)
        };
        let snapshots = || committed.views.iter().map(|(partition, view)| (*partition, view.snapshot())).collect();
        committed.offsets.iter().all(is_current).then(snapshots)
    }
}

impl States {
    /// Shows the state of a share until it is dropped.
    pub(super) fn show(&self, shown: &Arc<Shown>) {
        let mut all = self.0.lock();
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(shown));
    }

    fn of(&self, query: &QueryDef) -> Vec<Arc<Shown>> {
        self.0.lock().iter().filter_map(Weak::upgrade).filter(|shown| shown.is_of(query)).collect()
    }

    /// The state of a query with all commits that the cluster has now; `None` if it is not all in this process. Blocks. Fails if
    /// the cluster does not answer.
    pub(super) fn snapshot(
        &self,
        admin: &dyn Admin,
        query: &QueryDef,
    ) -> Result<Option<StateSnapshot>, TransportError> {
        let Some(first) = self.of(query).into_iter().next() else { return Ok(None) };
        let read = |shown: &Arc<Shown>| shown.committed.read().offsets.keys().cloned().collect::<Vec<_>>();
        let partitions: Vec<TopicPartition> = self.of(query).iter().flat_map(read).collect();
        let known = admin.committed_offsets(&first.group, &partitions)?;
        let all = usize::try_from(first.partitions).unwrap_or(0);
        for _ in 0..=PATIENCE.as_millis() / LOOK.as_millis() {
            let shown = self.of(query);
            let here: BTreeMap<i32, Snapshot> = shown.iter().filter_map(|shown| shown.at(&known)).flatten().collect();
            if here.len() == all {
                let (query, materialized) = (first.query.clone(), first.materialized.clone());
                return Ok(Some(StateSnapshot { query, materialized, partitions: here.into_values().collect() }));
            }
            if !are_all_here(&shown, all) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }
}

/// Whether these shares have all partitions.
fn are_all_here(shown: &[Arc<Shown>], partitions: usize) -> bool {
    let mut here: Vec<i32> =
        shown.iter().flat_map(|s| s.committed.read().views.keys().copied().collect::<Vec<_>>()).collect();
    here.sort_unstable();
    here.dedup();
    here.len() == partitions
}
