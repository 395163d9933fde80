//! Decides when the stores of a share are dumped, and proves that what is dumped is what the cluster has.
//!
//! ```text
//! due → ask for the ends X of the changelogs → seal an epoch → commit it → take what readers see → write the files
//! ```
//!
//! The commit proves that this process still owned the partitions after X had been read: nobody else had written below X what this
//! process does not have, and it has all of its own commits. So the snapshot has everything that is below X, and a restore may
//! begin there. A share asks and writes in a thread, and never waits for either; in a simulation both are done at once.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use arrow::array::Array;
use headwater_connectors::transport::{Admin, Isolation, TopicId, Transport, TransportError};
use headwater_dataflow::{Epoch, TaskId};
use headwater_formats::record::{OutBatch, TopicPartition};

use super::Root;
use super::shelf::{Dump, Shelf};
use crate::runtime::tasks::Tasks;

/// How long the files of a share may take while the query runs.
const WRITE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long they may take when the query ends; also how long those that are being written may still take then.
const LAST_WRITE_MAX: Duration = Duration::from_secs(15);
/// At the end a store is dumped if its changelog has a record for every so many keys: reading fewer takes less time than a dump.
const KEYS_FOR_A_RECORD: u64 = 10;

/// Keeps snapshots of the stores of a share.
pub(in super::super) struct Keeper {
    shelf: Shelf,
    transport: Arc<dyn Transport>,
    in_thread: bool,
    /// The stores, by their changelogs.
    stores: BTreeMap<TopicPartition, Kept>,
    phase: Phase,
    /// When the last dump began, in ms since the epoch.
    begun_ms: i64,
}

/// A store.
#[derive(Debug)]
struct Kept {
    task: TaskId,
    store: usize,
    /// Records of its changelog since its last snapshot.
    records: u64,
    /// As many of them are in the snapshot that is being written.
    dumped: u64,
}

/// The ends of changelogs at one time.
#[derive(Clone, Debug)]
pub(in super::super) struct Marks {
    ends: BTreeMap<TopicPartition, (TopicId, i64)>,
    time_ms: i64,
}

/// What happens next.
enum Phase {
    Waiting,
    /// The ends of the changelogs are being read.
    Asking(Begun),
    /// The ends are known: the next epoch that is sealed may be dumped.
    Marked(Begun, Marks),
    /// An epoch was sealed; it is dumped once it is committed.
    Sealed(Begun, Marks, Epoch),
    /// The files are being written.
    Writing(Begun),
}

/// A dump that was begun. Only one share of a process dumps at a time.
struct Begun {
    root: Arc<Root>,
    thread: Option<Thread>,
}

/// A thread that asks and writes. It ends when this is dropped, unless it is writing.
struct Thread {
    marks: Receiver<Option<Marks>>,
    dumps: Sender<Vec<Dump>>,
    written: Receiver<Vec<TopicPartition>>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.root.is_busy.store(false, Ordering::Release);
    }
}

impl Keeper {
    /// A keeper of these stores: the partition of the changelog of each, its task and its index there.
    pub(in super::super) fn new(
        shelf: Shelf,
        transport: &Arc<dyn Transport>,
        in_thread: bool,
        stores: impl Iterator<Item = (TopicPartition, TaskId, usize)>,
        now_ms: i64,
    ) -> Self {
        let kept = |(changelog, task, store)| (changelog, Kept { task, store, records: 0, dumped: 0 });
        let stores = stores.map(kept).collect();
        Self { shelf, transport: transport.clone(), in_thread, stores, phase: Phase::Waiting, begun_ms: now_ms }
    }

    /// Counts records that are written to a changelog.
    pub(in super::super) fn logged(&mut self, batch: &OutBatch) {
        let Some(partition) = batch.partitions.as_ref().and_then(|partitions| partitions.first()) else { return };
        self.count(&TopicPartition::new(batch.topic.clone(), *partition), batch.keys.len() as u64);
    }

    /// Counts records of a changelog that its last snapshot does not have.
    pub(in super::super) fn count(&mut self, changelog: &TopicPartition, records: u64) {
        if let Some(kept) = self.stores.get_mut(changelog) {
            kept.records += records;
        }
    }

    /// Call it when an epoch was sealed, before its commit begins: so the commit follows whatever is known by now.
    pub(in super::super) fn sealed(&mut self, epoch: Epoch) {
        self.hear();
        self.phase = match mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Marked(begun, marks) => Phase::Sealed(begun, marks, epoch),
            other => other,
        };
    }

    /// Call it when this epoch was committed, and no later one was sealed.
    pub(in super::super) fn committed(
        &mut self,
        epoch: Epoch,
        tasks: &mut Tasks,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        self.hear();
        match mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Sealed(begun, marks, sealed) if sealed <= epoch => self.dump(begun, &marks, tasks),
            Phase::Waiting => self.begin(tasks, now_ms),
            other => {
                self.phase = other;
                Ok(())
            }
        }
    }

    /// Begins to dump the stores whose changelogs have grown by more records than they have keys.
    fn begin(&mut self, tasks: &mut Tasks, now_ms: i64) -> Result<(), TransportError> {
        let Root { interval_ms, is_busy, .. } = &*self.shelf.root;
        if now_ms - self.begun_ms < *interval_ms || is_busy.load(Ordering::Relaxed) {
            return Ok(());
        }
        let due = self.due(tasks, |records, keys| records > keys)?;
        if due.is_empty() || self.shelf.root.is_busy.swap(true, Ordering::Acquire) {
            return Ok(());
        }
        self.begun_ms = now_ms;
        let root = self.shelf.root.clone();
        if !self.in_thread {
            let marks = ask(self.transport.admin(), &due, now_ms);
            self.phase = marks.map_or(Phase::Waiting, |marks| Phase::Marked(Begun { root, thread: None }, marks));
            return Ok(());
        }
        let begun = Begun { root, thread: Thread::start(self.shelf.clone(), self.transport.clone(), due, now_ms) };
        self.phase = if begun.thread.is_some() { Phase::Asking(begun) } else { Phase::Waiting };
        Ok(())
    }

    /// The stores for which `is_due` holds, given the records since their last snapshot and the number of keys. What they have
    /// now counts as dumped.
    fn due(
        &mut self,
        tasks: &mut Tasks,
        is_due: impl Fn(u64, u64) -> bool,
    ) -> Result<BTreeSet<TopicPartition>, TransportError> {
        let mut due = BTreeSet::new();
        for (changelog, kept) in self.stores.iter_mut().filter(|(_, kept)| kept.records > 0) {
            let keys = tasks.get(kept.task)?.view(kept.store).snapshot().len() as u64;
            if is_due(kept.records, keys) {
                kept.dumped = kept.records;
                due.insert(changelog.clone());
            }
        }
        Ok(due)
    }

    /// Notices what the thread has done.
    fn hear(&mut self) {
        self.phase = match mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Asking(begun) => match begun.thread.as_ref().map(|thread| thread.marks.try_recv()) {
                Some(Ok(Some(marks))) => Phase::Marked(begun, marks),
                Some(Err(TryRecvError::Empty)) => Phase::Asking(begun),
                _ => Phase::Waiting,
            },
            Phase::Writing(begun) => match begun.thread.as_ref().map(|thread| thread.written.try_recv()) {
                Some(Ok(written)) => self.wrote(&written),
                Some(Err(TryRecvError::Empty)) => Phase::Writing(begun),
                _ => Phase::Waiting,
            },
            other => other,
        };
    }

    fn wrote(&mut self, written: &[TopicPartition]) -> Phase {
        for changelog in written {
            if let Some(kept) = self.stores.get_mut(changelog) {
                kept.records -= kept.dumped;
            }
        }
        Phase::Waiting
    }

    fn dump(&mut self, begun: Begun, marks: &Marks, tasks: &mut Tasks) -> Result<(), TransportError> {
        let dumps = self.dumps(marks, tasks)?;
        self.phase = match &begun.thread {
            Some(thread) => match thread.dumps.send(dumps) {
                Ok(()) => Phase::Writing(begun),
                Err(_) => Phase::Waiting,
            },
            None => {
                let written = self.shelf.write(dumps, WRITE_MAX);
                self.wrote(&written)
            }
        };
        Ok(())
    }

    /// What readers see of the stores now.
    fn dumps(&self, marks: &Marks, tasks: &mut Tasks) -> Result<Vec<Dump>, TransportError> {
        let mut dumps = Vec::new();
        for (changelog, (id, offset)) in &marks.ends {
            let Some(kept) = self.stores.get(changelog) else { continue };
            let task = tasks.get(kept.task)?;
            // The stream times are in the changelog of the first store.
            let note = task.note().filter(|_| kept.store == 0).map(|(key, value)| (key.to_vec(), value.to_vec()));
            dumps.push(Dump {
                changelog: changelog.clone(),
                id: *id,
                offset: *offset,
                time_ms: marks.time_ms,
                snapshot: task.view(kept.store).snapshot(),
                note,
            });
        }
        Ok(dumps)
    }

    /// Begins the last dump: reads the ends of the changelogs that are worth it. `None` if there is nothing to dump.
    pub(in super::super) fn begin_last(
        &mut self,
        tasks: &mut Tasks,
        now_ms: i64,
    ) -> Result<Option<Marks>, TransportError> {
        if let Phase::Writing(begun) = mem::replace(&mut self.phase, Phase::Waiting)
            && let Some(thread) = &begun.thread
            && let Ok(written) = thread.written.recv_timeout(LAST_WRITE_MAX)
        {
            self.wrote(&written);
        }
        let due = self.due(tasks, |records, keys| records.saturating_mul(KEYS_FOR_A_RECORD) > keys)?;
        Ok(if due.is_empty() { None } else { ask(self.transport.admin(), &due, now_ms) })
    }

    /// Writes the last dump, after a commit that followed [`Self::begin_last`] and with no epoch in progress.
    pub(in super::super) fn dump_last(&mut self, marks: &Marks, tasks: &mut Tasks) -> Result<(), TransportError> {
        let dumps = self.dumps(marks, tasks)?;
        let written = self.shelf.write(dumps, LAST_WRITE_MAX);
        self.wrote(&written);
        Ok(())
    }
}

impl Thread {
    /// Starts a thread; `None` if that fails.
    fn start(shelf: Shelf, transport: Arc<dyn Transport>, due: BTreeSet<TopicPartition>, now_ms: i64) -> Option<Self> {
        let (marked, marks) = channel();
        let (dumps, to_dump) = channel();
        let (wrote, written) = channel();
        let work = move || {
            // Whoever does not wait any more has dropped the share.
            let _ = marked.send(ask(transport.admin(), &due, now_ms));
            drop(transport);
            if let Ok(dumps) = to_dump.recv() {
                let _ = wrote.send(shelf.write(dumps, WRITE_MAX));
            }
        };
        let started = std::thread::Builder::new().name("snapshot".to_owned()).spawn(work);
        started.inspect_err(|error| tracing::debug!(%error, "could not start a thread for a snapshot")).ok()?;
        Some(Self { marks, dumps, written })
    }
}

/// The last stable offsets of changelogs; `None` if the cluster does not say.
fn ask(admin: &dyn Admin, changelogs: &BTreeSet<TopicPartition>, now_ms: i64) -> Option<Marks> {
    let mut ends = BTreeMap::new();
    let topics: BTreeSet<&Arc<str>> = changelogs.iter().map(|changelog| &changelog.topic).collect();
    for topic in topics {
        let extent = admin.extent(topic, Isolation::ReadCommitted);
        let extent =
            extent.inspect_err(|error| tracing::debug!(%error, "could not read the end of a changelog")).ok()?;
        let id = extent.id?;
        for changelog in changelogs.iter().filter(|changelog| changelog.topic == *topic) {
            let mark = usize::try_from(changelog.partition).ok().and_then(|partition| extent.marks.get(partition))?;
            ends.insert(changelog.clone(), (id, mark.end));
        }
    }
    Some(Marks { ends, time_ms: now_ms })
}
