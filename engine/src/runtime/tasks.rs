//! The tasks of a share, one for each stage and partition, and the partitions that each of them reads.

use std::collections::BTreeMap;

use headwater_connectors::transport::TransportError;
use headwater_dataflow::{Command, Epoch, Event, Placement, Port, Task, TaskId};
use headwater_formats::record::TopicPartition;

use super::inputs::Inputs;
use super::job::Job;
use super::note::Note;
use super::share::fault;

/// The tasks of a share.
pub(super) struct Tasks {
    tasks: BTreeMap<TaskId, Task>,
    /// The task that reads each partition, and at which port.
    readers: BTreeMap<TopicPartition, (TaskId, Port)>,
}

impl Tasks {
    /// The tasks that read these partitions, with the stream times of the last commit and empty stores.
    pub(super) fn open(
        job: &Job,
        inputs: &Inputs,
        placements: &BTreeMap<String, Placement>,
        notes: &BTreeMap<TopicPartition, Note>,
    ) -> Result<Self, TransportError> {
        let reader = |partition: &TopicPartition| Some((partition.clone(), inputs.reader(partition)?));
        let readers: BTreeMap<_, _> = notes.keys().filter_map(reader).collect();
        let mut tasks = BTreeMap::new();
        for (id, _) in readers.values() {
            tasks.insert(*id, job.compiled.task(*id, placements).map_err(TransportError::internal)?);
        }
        let mut opened = Self { tasks, readers };
        for (partition, note) in notes {
            if let (Some(time_ms), Some((id, _))) = (note.time_ms, opened.readers.get(partition)) {
                let task = opened.tasks.get_mut(id).expect("each reader has its task");
                let time_ms = task.stream_time_ms().map_or(time_ms, |known| known.max(time_ms));
                task.handle(&Event::Resume(time_ms)).map_err(fault)?;
            }
        }
        Ok(opened)
    }

    /// All tasks by their ids.
    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.tasks.keys().copied().collect()
    }

    /// A task.
    pub(super) fn get(&mut self, id: TaskId) -> Result<&mut Task, TransportError> {
        self.tasks.get_mut(&id).ok_or_else(|| TransportError::internal(format!("there is no task {id:?}")))
    }

    /// The task that reads a partition, and at which port.
    pub(super) fn reader(&self, partition: &TopicPartition) -> Result<(TaskId, Port), TransportError> {
        let reader = self.readers.get(partition).copied();
        reader.ok_or_else(|| TransportError::internal(format!("no task reads {partition}")))
    }

    /// The next command of a task.
    pub(super) fn poll_command(&mut self, id: TaskId) -> Option<Command> {
        self.tasks.get_mut(&id)?.poll_command()
    }

    /// Tells all tasks that an epoch is committed.
    pub(super) fn committed(&mut self, epoch: Epoch) -> Result<(), TransportError> {
        self.tasks.values_mut().try_for_each(|task| task.handle(&Event::Committed(epoch))).map_err(fault)
    }

    /// Keeps the stream times of tasks with state, and whether windows have expired, in the notes of what they read.
    pub(super) fn note_times(&self, notes: &mut BTreeMap<TopicPartition, Note>) {
        for (partition, (id, _)) in &self.readers {
            let task = self.tasks.get(id).filter(|task| task.has_state());
            if let (Some(task), Some(note)) = (task, notes.get_mut(partition)) {
                note.time_ms = task.stream_time_ms();
                note.has_expired |= task.has_expired();
            }
        }
    }
}
