//! The tasks of a share, one for each stage and partition, and the partitions that each of them reads.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::TransportError;
use headwater_dataflow::{Chunk, Command, Compiled, Epoch, Event, Placement, Port, Task, TaskId};
use headwater_formats::record::TopicPartition;

use super::inputs::Inputs;
use super::note::Note;
use super::share::fault;

/// The tasks of a share.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: BTreeMap<TaskId, Task>,
    /// The task that reads each partition, and at which port.
    readers: BTreeMap<TopicPartition, (TaskId, Port)>,
    /// The tasks that had processed rows at the last commit.
    started: BTreeSet<TaskId>,
    /// The exchanges whose rows the tasks hand over to each other, instead of reading them from their topics.
    in_memory: BTreeSet<Arc<str>>,
}

impl Tasks {
    /// The tasks that read these partitions, with the stream times of the last commit and empty stores.
    pub(super) fn open(
        compiled: &Compiled,
        inputs: &Inputs,
        placements: &BTreeMap<String, Placement>,
        notes: &BTreeMap<TopicPartition, Note>,
    ) -> Result<Self, TransportError> {
        let mut opened = Self::default();
        opened.add(compiled, inputs, placements, notes.keys())?;
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
                let task = compiled.task(id, placements).map_err(TransportError::internal)?;
                vacant.insert(task).exchange_rows(exchanges_rows);
            }
        }
        Ok(())
    }

    /// Whether a task reads a partition.
    pub(super) fn has_reader(&self, partition: &TopicPartition) -> bool {
        self.readers.contains_key(partition)
    }

    /// All tasks by their ids.
    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.tasks.keys().copied().collect()
    }

    /// A task.
    pub(super) fn get(&mut self, id: TaskId) -> Result<&mut Task, TransportError> {
        self.tasks.get_mut(&id).ok_or_else(|| TransportError::internal(format!("there is no task {id:?}")))
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

    /// Whether the rows of a partition are read from its topic.
    pub(super) fn is_read(&self, partition: &TopicPartition) -> bool {
        !self.in_memory.contains(&partition.topic)
    }

    /// The next command of a task.
    pub(super) fn poll_command(&mut self, id: TaskId) -> Option<Command> {
        self.tasks.get_mut(&id)?.poll_command()
    }

    /// Tells all tasks that an epoch is committed.
    pub(super) fn committed(&mut self, epoch: Epoch) -> Result<(), TransportError> {
        self.tasks.values_mut().try_for_each(|task| task.handle(&Event::Committed(epoch))).map_err(fault)
    }

    /// Keeps the stream times of tasks, and whether windows have expired, in the notes of what they read.
    pub(super) fn note_times(&self, notes: &mut BTreeMap<TopicPartition, Note>) {
        let has_expired = self.tasks.values().any(Task::has_expired);
        for (partition, (id, port)) in &self.readers {
            if let (Some(task), Some(note)) = (self.tasks.get(id), notes.get_mut(partition)) {
                note.time_ms = task.stream_time_ms(*port);
                note.has_expired |= has_expired;
            }
        }
    }
}
