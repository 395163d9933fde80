//! The tasks of a share, one for each stage and partition, and the partitions that each of them reads.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::error::ArrowError;
use headwater_connectors::schemas::{self, Schemas};
use headwater_connectors::transport::TransportError;
use headwater_dataflow::{Chunk, Command, Compiled, Epoch, Event, Placement, Port, Task, TaskId, TaskPosition};
use headwater_formats::record::{RawBatch, TopicPartition};
use headwater_state::Storage;

use super::inputs::Inputs;
use super::job::Job;
use super::note::Note;
use super::share::fault;
use super::side_by_side::side_by_side;
use super::turns::{self, Turns};

/// Records of a changelog, with the task and the index of its store that they belong to.
pub(super) type StoreRecords = ((TaskId, usize), RawBatch);

/// The tasks of a share.
pub(super) struct Tasks {
    tasks: BTreeMap<TaskId, Task>,
    /// Most threads that have tasks work at the same time.
    threads: usize,
    /// The task that reads each partition, and at which port.
    readers: BTreeMap<TopicPartition, (TaskId, Port)>,
    /// The tasks that had processed rows at the last commit.
    started: BTreeSet<TaskId>,
    /// The exchanges whose rows the tasks hand over to each other, instead of reading them from their topics.
    in_memory: BTreeSet<Arc<str>>,
    /// Where their state is.
    storage: Storage,
    /// The schemas of the records that they read.
    schemas: Arc<dyn Schemas>,
}

impl Tasks {
    /// No tasks yet, and one thread for them.
    pub(super) fn none(schemas: Arc<dyn Schemas>) -> Self {
        let (tasks, readers) = (BTreeMap::new(), BTreeMap::new());
        let (started, in_memory, storage) = (BTreeSet::new(), BTreeSet::new(), Storage::default());
        Self { tasks, threads: 1, readers, started, in_memory, storage, schemas }
    }

    /// The tasks that read these partitions, with the stream times of the last commit and empty stores in `storage`.
    pub(super) fn open(
        job: &Job,
        inputs: &Inputs,
        placements: &BTreeMap<String, Placement>,
        notes: &BTreeMap<TopicPartition, Note>,
        (storage, schemas): (&Storage, Arc<dyn Schemas>),
    ) -> Result<Self, TransportError> {
        let mut opened = Self { threads: job.threads(), storage: storage.clone(), ..Self::none(schemas) };
        opened.add(&job.compiled, inputs, placements, notes.keys())?;
        for (partition, note) in notes {
            if let (Some(time_ms), Some((id, port))) = (note.time_ms, opened.readers.get(partition).copied()) {
                opened.started.insert(id);
                opened.get(id)?.handle(&Event::Resume(port, time_ms)).map_err(fault)?;
            }
        }
        Ok(opened)
    }

    /// Adds the tasks that read these partitions, unless they exist.
    pub(super) fn add<'p>(
        &mut self,
        compiled: &Compiled,
        inputs: &Inputs,
        placements: &BTreeMap<String, Placement>,
        partitions: impl Iterator<Item = &'p TopicPartition>,
    ) -> Result<(), TransportError> {
        let exchanges_rows = !self.in_memory.is_empty();
        for partition in partitions {
            let Some((id, port)) = inputs.reader(partition) else { continue };
            self.readers.insert(partition.clone(), (id, port));
            if let Entry::Vacant(vacant) = self.tasks.entry(id) {
                let task = compiled.task(id, placements, &self.storage).map_err(TransportError::internal)?;
                vacant.insert(task).exchange_rows(exchanges_rows);
            }
        }
        Ok(())
    }

    /// Most threads that have them work at the same time, and so most batches that are worth processing at once.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether a task reads a partition.
    pub(super) fn has_reader(&self, partition: &TopicPartition) -> bool {
        self.readers.contains_key(partition)
    }

    /// Whether the epoch should end, because its changes take much of the memory that state may have.
    pub(super) fn is_full(&self) -> bool {
        self.tasks.values().any(Task::is_full)
    }

    /// Moves state to disk that does not fit in memory, once readers see the commit before.
    pub(super) fn settle(&mut self) -> Result<(), TransportError> {
        self.each_with_state(Task::settle)
    }

    /// Moves state to disk if other queries need the memory. For tasks that are idle.
    pub(super) fn yield_memory(&mut self) -> Result<(), TransportError> {
        self.tasks.values_mut().try_for_each(Task::yield_memory).map_err(fault)
    }

    /// All tasks by their ids.
    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.tasks.keys().copied().collect()
    }

    /// The ids of all tasks, stage by stage.
    pub(super) fn by_stage(&self) -> Vec<Vec<TaskId>> {
        self.ids().chunk_by(|one, next| one.stage == next.stage).map(<[TaskId]>::to_vec).collect()
    }

    /// A task.
    pub(super) fn get(&mut self, id: TaskId) -> Result<&mut Task, TransportError> {
        self.tasks.get_mut(&id).ok_or_else(|| TransportError::internal(format!("there is no task {id:?}")))
    }

    /// Gives a task the schemas that it needs for a batch and does not have. Fails if the registry cannot be asked.
    pub(super) fn teach(&mut self, id: TaskId, port: Port, raw: &RawBatch) -> Result<(), TransportError> {
        let schemas = self.schemas.clone();
        let task = self.get(id)?;
        for schema in task.missing_schemas(port, raw) {
            let found = schemas::found(schemas.as_ref(), schema)?;
            task.handle(&Event::Schema(port, schema, found)).map_err(fault)?;
        }
        Ok(())
    }

    /// A task, to look at; `None` if it is not here.
    pub(super) fn look(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// The partitions that are read, each with the task that reads it and its port.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (&TopicPartition, TaskId, &Task, Port)> {
        let input = |(partition, (id, port)): (_, &(TaskId, Port))| Some((partition, *id, self.look(*id)?, *port));
        self.readers.iter().filter_map(input)
    }

    /// Restores records of changelogs, those of each store in their order. Several tasks are restored at once, by threads.
    pub(super) fn restore(&mut self, batches: Vec<StoreRecords>) -> Result<(), TransportError> {
        let mut of_tasks: BTreeMap<TaskId, Vec<(usize, RawBatch)>> = BTreeMap::new();
        for ((id, store), raw) in batches {
            of_tasks.entry(id).or_default().push((store, raw));
        }
        let of_task = |(id, task)| of_tasks.remove(id).map(|batches| (task, batches));
        let work: Vec<(&mut Task, _)> = self.tasks.iter_mut().filter_map(of_task).collect();
        side_by_side(work.into_iter(), self.threads, |(task, batches)| {
            batches.iter().try_for_each(|(store, raw)| task.handle(&Event::Restore(*store, raw)))
        })
    }

    /// Does something with each task that has state, several of them at once, by threads.
    fn each_with_state(
        &mut self,
        act: impl Fn(&mut Task) -> Result<(), ArrowError> + Sync,
    ) -> Result<(), TransportError> {
        let with_state: Vec<&mut Task> = self.tasks.values_mut().filter(|task| task.has_state()).collect();
        side_by_side(with_state.into_iter(), self.threads, act)
    }

    /// Whether a task had processed rows at the last commit. If it has stores, they had state.
    pub(super) fn has_started(&self, id: TaskId) -> bool {
        self.started.contains(&id)
    }

    /// The task that reads a partition, and at which port.
    pub(super) fn reader(&self, partition: &TopicPartition) -> Result<(TaskId, Port), TransportError> {
        let reader = self.readers.get(partition).copied();
        reader.ok_or_else(|| TransportError::internal(format!("no task reads {partition}")))
    }

    /// Gives rows of an exchange to the task that reads this partition of it, and returns that task, which is to process them.
    pub(super) fn receive(
        &mut self,
        exchange: &Arc<str>,
        partition: i32,
        rows: &Chunk,
    ) -> Result<TaskId, TransportError> {
        let (id, port) = self.reader(&TopicPartition::new(exchange.clone(), partition))?;
        self.get(id)?.handle(&Event::Rows(port, rows)).map_err(fault)?;
        Ok(id)
    }

    /// Has rows pass these exchanges in memory from now on; none for all through their topics.
    pub(super) fn exchange_in_memory(&mut self, exchanges: BTreeSet<Arc<str>>) {
        self.tasks.values_mut().for_each(|task| task.exchange_rows(!exchanges.is_empty()));
        self.in_memory = exchanges;
    }

    /// Whether rows pass the exchanges in memory, so that all tasks of the query are here.
    pub(super) fn is_whole(&self) -> bool {
        !self.in_memory.is_empty()
    }

    /// The partitions of sources that are read, each with its stream time in ms; `i64::MIN` before the first row.
    pub(super) fn source_times(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        let sources = self.inputs().filter(|(_, _, task, port)| !task.reads_exchange(*port));
        sources.map(|(partition, _, task, port)| (partition, task.stream_time_ms(port).unwrap_or(i64::MIN)))
    }

    /// Tells the tasks that get rows from others up to which stream time windows have to wait: see [`Task::hold`].
    pub(super) fn hold(&mut self, held_ms: impl Fn(TaskId) -> Option<i64>) {
        self.tasks.iter_mut().filter(|(_, task)| task.has_exchanges()).for_each(|(id, task)| task.hold(held_ms(*id)));
    }

    /// Tells the tasks that get rows from others that some of these may be behind: see [`Task::lag`].
    pub(super) fn lag(&mut self) {
        self.tasks.values_mut().filter(|task| task.has_exchanges()).for_each(Task::lag);
    }

    /// Tells all tasks that the streams of their joins have passed a stream time.
    pub(super) fn pass(&mut self, passed_ms: i64) {
        self.tasks.values_mut().for_each(|task| task.pass(passed_ms));
    }

    /// Whether the rows of a partition are read from its topic.
    pub(super) fn is_read(&self, partition: &TopicPartition) -> bool {
        !self.in_memory.contains(&partition.topic)
    }

    /// Has tasks take their turns; see [`turns::run`]. `epoch_rows` is the number of rows read since the last commit.
    pub(super) fn run(&mut self, turns: &mut Turns<'_>, epoch_rows: usize, now_ms: i64) -> Result<(), TransportError> {
        turns::run(self.tasks.iter_mut(), turns, self.threads, epoch_rows, now_ms)
    }

    /// The progress of tasks.
    pub(super) fn positions(
        &mut self,
        ids: impl Iterator<Item = TaskId>,
    ) -> Result<BTreeMap<TaskId, TaskPosition>, TransportError> {
        ids.map(|id| Ok((id, self.get(id)?.position()))).collect()
    }

    /// The next command of a task.
    pub(super) fn poll_command(&mut self, id: TaskId) -> Option<Command> {
        self.tasks.get_mut(&id)?.poll_command()
    }

    /// Tells the tasks with state that an epoch is committed.
    pub(super) fn committed(&mut self, epoch: Epoch) -> Result<(), TransportError> {
        self.each_with_state(|task| task.handle(&Event::Committed(epoch)))
    }

    /// The number of keys of each store and its memory in bytes, over all partitions here, by its changelog topic.
    pub(super) fn sizes(&self, compiled: &Compiled) -> BTreeMap<Arc<str>, (usize, usize)> {
        let mut sizes: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
        for (id, task) in &self.tasks {
            for (changelog, (keys, bytes)) in compiled.changelogs(id.stage).iter().zip(task.sizes()) {
                let of_store = sizes.entry(changelog.clone()).or_default();
                *of_store = (of_store.0 + keys, of_store.1 + bytes);
            }
        }
        sizes
    }

    /// The number of results that wait for their windows to close; `None` if there are never any, or not counted yet.
    pub(super) fn pending(&self) -> Option<usize> {
        let pending = self.tasks.values().filter_map(Task::pending);
        pending.reduce(|sum, more| sum + more)
    }

    /// Keeps the stream times of tasks, and whether windows have expired, in the notes of what they read.
    pub(super) fn note_times(&self, notes: &mut BTreeMap<TopicPartition, Note>) {
        let has_expired = self.tasks.values().any(Task::has_expired);
        for (partition, (id, port)) in &self.readers {
            if let (Some(task), Some(note)) = (self.tasks.get(id), notes.get_mut(partition)) {
                let time_ms = task.stream_time_ms(*port);
                let known = note.time_offset.filter(|_| note.time_ms == time_ms);
                note.time_offset = task.stream_time_offset(*port).or(known);
                note.time_ms = time_ms;
                note.has_expired |= has_expired;
            }
        }
    }
}
