//! The state of the persistent queries of this process, for readers.
//!
//! A share shows its state once it is restored, and no longer once it is dropped. Readers see whole commits, and never miss one
//! that others can see already: while a driver has just been in touch with its group, nobody else commits for its partitions, and
//! a reader waits for the reply to a commit whose transaction is about to end. Otherwise the reader asks the cluster which commits
//! there are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use chrono::Utc;
use headwater_connectors::transport::{Admin, Position, TransportError};
use headwater_dataflow::{Materialized, TaskId};
use headwater_formats::record::TopicPartition;
use headwater_language::catalog::QueryDef;
use headwater_language::definition::SourceKind;
use headwater_state::{Snapshot, Storage, View};
use parking_lot::{Mutex, RwLock};

use super::changes::Changes;
use super::job::Job;
use super::note::Note;
use super::query_status::QueryStatus;
use super::start::Start;
use super::tasks::Tasks;

/// How long to wait for a commit that the cluster has and this process has not noticed yet.
const PATIENCE: Duration = Duration::from_secs(1);
/// How recent the last step of a driver must be for it to certainly have its partitions: the group gives them to nobody else
/// before the driver has released them, or was silent for far longer.
const IN_TOUCH_MS_MAX: i64 = 2_000;

/// The states of the queries that run in this process.
#[derive(Debug, Default)]
pub struct States {
    shown: Mutex<Vec<Weak<Shown>>>,
    /// Those of what is shown, and of what is shown no longer.
    changes: Arc<Changes>,
    /// Where stores that are opened from now on keep them.
    storage: Mutex<Storage>,
}

/// The state of one share of a query, for readers.
#[derive(Debug)]
pub(super) struct Shown {
    query: Arc<QueryDef>,
    group: String,
    status: Arc<QueryStatus>,
    /// How the result is read from it, or why it cannot be.
    materialized: Result<Materialized, &'static str>,
    /// The number of partitions of the query's state, in all processes.
    partitions: i32,
    /// Which windows it kept when the share began.
    kept: Keeps,
    /// The stores with the result, by partition.
    views: BTreeMap<i32, Vec<View>>,
    /// Locked while a commit changes the views.
    committed: RwLock<Committed>,
    /// Wakes readers, once there are any.
    changes: OnceLock<Arc<Changes>>,
}

/// What a share had committed at its last commit.
#[derive(Debug)]
struct Committed {
    /// The committed offset of each partition that the share reads.
    offsets: BTreeMap<TopicPartition, i64>,
    /// The commits after it that others may see already.
    ending: usize,
}

/// What the cluster says about the commits of a query.
enum Known {
    /// Nothing: its drivers here are in touch with their group, so that there are no other commits than theirs.
    Ours,
    /// These positions are committed.
    Positions(BTreeMap<TopicPartition, Option<Position>>),
}

/// Why the state of a query is not read.
#[derive(Clone, Debug)]
pub(super) enum Unread {
    /// It is not all in this process, or not restored yet.
    NotHere,
    /// It does not have the result, for this reason.
    NotKept(&'static str),
    /// Windows that may satisfy the predicates have expired.
    Expired,
    /// It does not have these columns.
    Without(&'static str),
    /// Records that are not committed are read, too.
    Uncommitted,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere => f.write_str("the state of its query is not all in this process"),
            Self::NotKept(why) => f.write_str(why),
            Self::Expired => f.write_str("windows have expired from the state of its query"),
            Self::Without(what) => write!(f, "the state of its query does not have {what}"),
            Self::Uncommitted => f.write_str("records that are not committed are read"),
        }
    }
}

/// Which windows a state keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keeps {
    /// Windows have left it because they expired: the topic may still have them.
    pub(super) has_expired: bool,
    /// It has all windows that start at this time or later, in ms since the epoch.
    pub(super) from_ms: Option<i64>,
}

/// The whole state of a query at one commit.
#[derive(Clone, Debug)]
pub(super) struct StateSnapshot {
    /// The query.
    pub(super) query: Arc<QueryDef>,
    /// How its result is read from it.
    pub(super) materialized: Materialized,
    /// The stores of each partition, in order.
    pub(super) partitions: Vec<Vec<Snapshot>>,
    /// Which windows it has.
    pub(super) keeps: Keeps,
}

impl Keeps {
    /// The windows that both have.
    fn and(self, other: Self) -> Self {
        Self { has_expired: self.has_expired || other.has_expired, from_ms: self.from_ms.max(other.from_ms) }
    }

    fn of(snapshot: &Snapshot) -> Self {
        Self { has_expired: snapshot.has_expired(), from_ms: Some(snapshot.kept_from()) }
    }

    fn of_note(materialized: &Materialized, note: &Note) -> Self {
        let from_ms = note.time_ms.map(|time_ms| materialized.kept_from(time_ms));
        Self { has_expired: note.has_expired, from_ms }
    }
}

impl Shown {
    /// The state of a share that starts here; `None` if the result of its query is not a table, which is either written or kept.
    pub(super) fn of(
        job: &Job,
        status: &Arc<QueryStatus>,
        start: &Start,
        tasks: &mut Tasks,
    ) -> Result<Option<Self>, TransportError> {
        if job.query.topology.sink().is_some_and(|sink| sink.kind != SourceKind::Table) {
            return Ok(None);
        }
        let materialized = job.compiled.materialized();
        let (mut views, mut partitions, mut kept) = (BTreeMap::new(), 0, Keeps::default());
        if let Ok(materialized) = &materialized {
            let Some(of_state) = start.partitions.get(materialized.topic()).copied() else { return Ok(None) };
            partitions = of_state;
            for id in tasks.ids().into_iter().filter(|id: &TaskId| id.stage == materialized.stage()) {
                let task = tasks.get(id)?;
                views.insert(id.partition, materialized.stores().map(|store| task.view(store)).collect());
            }
            let of_notes = start.notes.values().map(|note| Keeps::of_note(materialized, note));
            kept = of_notes.fold(Keeps::default(), Keeps::and);
        }
        let offsets = start.ranges.iter().map(|range| (range.partition.clone(), range.start)).collect();
        let committed = RwLock::new(Committed { offsets, ending: 0 });
        let (query, group, status) = (job.query.clone(), job.group(), status.clone());
        let changes = OnceLock::new();
        Ok(Some(Self { query, group, status, materialized, partitions, kept, views, committed, changes }))
    }

    /// Changes what is committed, and has those look again who wait.
    fn change<T>(&self, change: impl FnOnce(&mut Committed) -> T) -> T {
        let changed = change(&mut self.committed.write());
        self.notify();
        changed
    }

    fn notify(&self) {
        if let Some(changes) = self.changes.get() {
            changes.notify();
        }
    }

    /// Records that others may see the next commit soon: readers wait for it from now on.
    pub(super) fn end_commit(&self) {
        self.change(|committed| committed.ending += 1);
    }

    /// Makes a commit of these offsets visible, whose state `apply` changes. Readers see all of it or nothing.
    pub(super) fn commit(
        &self,
        offsets: &BTreeMap<TopicPartition, Position>,
        apply: impl FnOnce() -> Result<(), TransportError>,
    ) -> Result<(), TransportError> {
        self.change(|committed| {
            apply()?;
            committed.ending = committed.ending.saturating_sub(1);
            Self::advance(committed, offsets);
            Ok(())
        })
    }

    /// Records offsets that are committed without any change of the state.
    pub(super) fn pass(&self, offsets: &BTreeMap<TopicPartition, Position>) {
        self.change(|committed| Self::advance(committed, offsets));
    }

    fn advance(committed: &mut Committed, offsets: &BTreeMap<TopicPartition, Position>) {
        committed.offsets.extend(offsets.iter().map(|(partition, position)| (partition.clone(), position.offset)));
    }

    /// Whether it is the state of this query as the catalog has it.
    fn is_of(&self, query: &QueryDef) -> bool {
        let own = &self.query;
        if std::ptr::eq(own.as_ref(), query) {
            return true;
        }
        own.unique_name() == query.unique_name() && own.topology == query.topology && own.restart == query.restart
    }

    /// Whether its driver has been in touch with its group just now. A driver with virtual time never is.
    fn is_in_touch(&self) -> bool {
        self.status.silent_ms(Utc::now().timestamp_millis()).is_some_and(|ms| ms <= IN_TOUCH_MS_MAX)
    }

    /// The state of each partition, if it has all commits that are known. While one is applied, it waits for that however long it
    /// takes, or there is none.
    fn at(&self, known: &Known, waits: bool) -> Option<Vec<(i32, Vec<Snapshot>)>> {
        let committed = if waits { self.committed.read() } else { self.committed.try_read()? };
        let is_current = match known {
            Known::Ours => committed.ending == 0,
            Known::Positions(known) => committed.offsets.iter().all(|(partition, offset)| {
                known.get(partition).and_then(Option::as_ref).is_none_or(|position| position.offset <= *offset)
            }),
        };
        let stores = |views: &Vec<View>| views.iter().map(View::snapshot).collect();
        is_current.then(|| self.views.iter().map(|(partition, views)| (*partition, stores(views))).collect())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.notify();
    }
}

impl States {
    /// Has stores that are opened from now on keep state in `storage`.
    pub(super) fn store_in(&self, storage: Storage) {
        *self.storage.lock() = storage;
    }

    /// Where state is kept.
    pub(super) fn storage(&self) -> Storage {
        self.storage.lock().clone()
    }

    /// Shows the state of a share until it is dropped.
    pub(super) fn show(&self, shown: &Arc<Shown>) {
        shown.changes.get_or_init(|| self.changes.clone());
        let mut all = self.shown.lock();
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(shown));
    }

    fn of(&self, query: &QueryDef) -> Vec<Arc<Shown>> {
        self.shown.lock().iter().filter_map(Weak::upgrade).filter(|shown| shown.is_of(query)).collect()
    }

    /// The same as [`Self::snapshot`] without waiting: `None` also if that would wait or ask the cluster.
    pub(super) fn now(&self, query: &QueryDef) -> Option<StateSnapshot> {
        let shown = self.of(query);
        let all = usize::try_from(shown.first()?.partitions).ok()?;
        let is_sure = are_all_here(&shown, all) && shown.iter().all(|shown| shown.is_in_touch());
        if is_sure { together(&shown, &Known::Ours, all, false) } else { None }
    }

    /// The state of a query with all commits that the cluster has now, or why it is not read. Blocks. Fails if the cluster does not
    /// answer.
    pub(super) fn snapshot(
        &self,
        admin: &dyn Admin,
        query: &QueryDef,
    ) -> Result<Result<StateSnapshot, Unread>, TransportError> {
        match self.known(admin, query)? {
            Ok((known, partitions)) => Ok(self.await_commits(query, &known, partitions, PATIENCE)),
            Err(why) => Ok(Err(why)),
        }
    }

    /// What the cluster says about the commits of a query, and the number of partitions of its state, which is all here; or why
    /// it is not read.
    fn known(&self, admin: &dyn Admin, query: &QueryDef) -> Result<Result<(Known, usize), Unread>, TransportError> {
        let shown = self.of(query);
        let Some(first) = shown.first() else { return Ok(Err(Unread::NotHere)) };
        if let Err(why) = &first.materialized {
            return Ok(Err(Unread::NotKept(why)));
        }
        let all = usize::try_from(first.partitions).unwrap_or(0);
        if !are_all_here(&shown, all) {
            return Ok(Err(Unread::NotHere));
        }
        let read = |shown: &Arc<Shown>| shown.committed.read().offsets.keys().cloned().collect::<Vec<_>>();
        let known = match shown.iter().all(|shown| shown.is_in_touch()) {
            true => Known::Ours,
            false => {
                let partitions: Vec<TopicPartition> = shown.iter().flat_map(read).collect();
                Known::Positions(admin.committed_offsets(&first.group, &partitions)?)
            }
        };
        Ok(Ok((known, all)))
    }

    /// Waits until the state of a query has all commits that are known, but not for long, and not for a state that is gone.
    fn await_commits(
        &self,
        query: &QueryDef,
        known: &Known,
        partitions: usize,
        patience: Duration,
    ) -> Result<StateSnapshot, Unread> {
        let until = Instant::now() + patience;
        loop {
            let seen = self.changes.seen();
            let shown = self.of(query);
            if let Some(state) = together(&shown, known, partitions, true) {
                return Ok(state);
            }
            let are_here = are_all_here(&shown, partitions);
            // Those who wait keep nothing: a state is gone once its share is.
            drop(shown);
            if !are_here || !self.changes.wait(seen, until) {
                return Err(Unread::NotHere);
            }
        }
    }
}

/// The state of these shares; `None` if one lacks a commit that is known, or if they do not have all partitions. `waits` says whether
/// it waits for one that is being applied.
fn together(shown: &[Arc<Shown>], known: &Known, partitions: usize, waits: bool) -> Option<StateSnapshot> {
    let here: BTreeMap<i32, Vec<Snapshot>> =
        shown.iter().filter_map(|shown| shown.at(known, waits)).flatten().collect();
    let first = shown.first().filter(|_| here.len() == partitions)?;
    let kept = shown.iter().map(|shown| shown.kept).chain(here.values().flatten().map(Keeps::of));
    Some(StateSnapshot {
        query: first.query.clone(),
        materialized: first.materialized.clone().ok()?,
        keeps: kept.fold(Keeps::default(), Keeps::and),
        partitions: here.into_values().collect(),
    })
}

/// Whether these shares have all partitions.
fn are_all_here(shown: &[Arc<Shown>], partitions: usize) -> bool {
    let mut here: Vec<i32> = shown.iter().flat_map(|shown| shown.views.keys().copied()).collect();
    here.sort_unstable();
    here.dedup();
    here.len() == partitions
}

#[cfg(test)]
mod tests {
    use std::thread::JoinHandle;

    use super::super::driver::Driver;
    use super::super::for_tests::Process;
    use super::*;

    const COUNTS: &str = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
    /// Longer than any test: whoever waits is woken, or never ends.
    const PATIENCE: Duration = Duration::from_secs(3_600);

    /// A process, and the states that show the one of its query, which has counted a record.
    async fn counting() -> (Process, Arc<States>, Driver, Arc<QueryDef>) {
        let mut process = Process::with(&[COUNTS, "INSERT INTO s (k, a) VALUES ('a', 1);"]).await;
        let states = Arc::<States>::default();
        let mut driver = process.driver().await.shown_in(&states);
        process.drive(&mut [&mut driver]);
        let query = process.engine.catalog().await.expect("it is known").queries().next().expect("a query").clone();
        (process, states, driver, query)
    }

    /// A reader that waits for a commit which begins now.
    fn waiting(states: &Arc<States>, query: &Arc<QueryDef>) -> JoinHandle<Result<usize, Unread>> {
        states.of(query).iter().for_each(|shown| shown.end_commit());
        let (theirs, query) = (states.clone(), query.clone());
        let read = move || {
            let state = theirs.await_commits(&query, &Known::Ours, 4, PATIENCE)?;
            Ok(state.partitions.iter().flatten().map(Snapshot::len).sum())
        };
        let reader = std::thread::spawn(read);
        while states.changes.waiting() == 0 {
            std::thread::yield_now();
        }
        reader
    }

    /// Goal: whoever waits for a commit goes on when it ends, or when there is no state any more. Method: one reader before a
    /// commit, and one before the driver is dropped.
    #[tokio::test]
    async fn a_reader_waits_until_the_commit_or_the_state_ends() {
        let (mut process, states, mut driver, query) = counting().await;
        let reader = waiting(&states, &query);
        process.ask("INSERT INTO s (k, a) VALUES ('b', 1);").await;
        process.drive(&mut [&mut driver]);
        states.of(&query)[0].commit(&BTreeMap::new(), || Ok(())).expect("nothing fails");
        assert_eq!(reader.join().expect("it ends").ok(), Some(2));
        let reader = waiting(&states, &query);
        drop(driver);
        assert!(matches!(reader.join().expect("it ends"), Err(Unread::NotHere)));
    }

    /// Goal: a reader does not give up while a commit is being applied, however long that takes, and one that must not wait does not.
    /// Method: a reader without any patience comes while a commit is applied.
    #[tokio::test]
    async fn a_reader_waits_for_a_commit_that_is_applied() {
        let (_process, states, _driver, query) = counting().await;
        let shown = states.of(&query);
        let read = || states.await_commits(&query, &Known::Ours, 4, Duration::ZERO).is_ok();
        std::thread::scope(|scope| {
            let mut reader = None;
            let apply = || {
                assert!(together(&shown, &Known::Ours, 4, false).is_none(), "it would wait");
                reader = Some(scope.spawn(read));
                (0..1_000).for_each(|_| std::thread::yield_now());
                Ok(())
            };
            shown[0].commit(&BTreeMap::new(), apply).expect("nothing fails");
            assert!(reader.expect("it began").join().expect("it ends"));
        });
    }
}
