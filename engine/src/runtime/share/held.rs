//! Which windows have to wait: those to which partitions of sources may still add rows that were not read yet.
//!
//! Before each commit a share asks where the partitions of its sources end. Those that have more records hold the windows that their
//! rows may belong to: these do not close, and do not expire, until the partitions have passed them or have been read to their ends.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, Isolation, TransportError, Watermarks};
use headwater_dataflow::TaskId;
use headwater_formats::record::TopicPartition;

use super::super::inputs::Inputs;
use super::super::job::Job;
use super::super::start::{Start, mark};
use super::super::tasks::Tasks;
use super::Share;

/// Has windows wait for partitions that may be behind, of which nothing is known between commits.
pub(super) fn begin(job: &Job, inputs: &Inputs, start: &Start, tasks: &mut Tasks) {
    if job.query.topology.has_windows() && may_lag(inputs, start) {
        tasks.lag();
    }
}

/// Whether the sources have several partitions, so that one may be behind others. If another process reads a source, they may.
fn may_lag(inputs: &Inputs, start: &Start) -> bool {
    let sources = inputs.topics().into_iter().filter(|topic| !inputs.is_exchange(topic));
    sources.map(|topic| start.partitions.get(&topic).copied().unwrap_or(i32::MAX)).fold(0, i32::saturating_add) > 1
}

impl Share {
    /// Tells the tasks with windows up to which stream time these have to wait: see `Task::hold`. It concerns those that get rows of
    /// several partitions, which come through exchanges.
    pub(super) fn hold_windows(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        if self.tasks.is_whole() {
            // Rows that are left in the topics of exchanges may belong to any window.
            let held_ms = if self.has_left_rows() {
                Some(i64::MIN)
            } else {
                let processed = |partition: &TopicPartition| self.next_offset(partition);
                slowest_unread(self.tasks.source_times(), processed, admin, Isolation::ReadCommitted)
            };
            self.tasks.hold(|_| held_ms);
            return Ok(());
        }
        if self.merge.is_none() {
            self.tell_progress()?;
            // What is known suffices if the cluster does not answer.
            if let Err(error) = self.elsewhere.ask(admin) {
                tracing::debug!(%error, "could not ask for the ends of the sources of windows");
            }
        }
        self.hold_elsewhere();
        Ok(())
    }

    /// Whether rows are left in the topics of exchanges, which rows pass in memory by now.
    pub(super) fn has_left_rows(&self) -> bool {
        self.unfinished.keys().any(|partition| self.exchanges.contains(&partition.topic))
    }

    /// Tells the tasks that read sources how far they were read, which they tell the others.
    fn tell_progress(&mut self) -> Result<(), TransportError> {
        let sources = self.tasks.inputs().filter(|(_, _, task, port)| !task.reads_exchange(*port));
        let reached: Vec<_> = sources.map(|(partition, id, ..)| (id, self.next_offset(partition))).collect();
        for (id, next) in reached {
            self.tasks.get(id)?.read_to(next);
        }
        Ok(())
    }

    /// Tells each task that reads exchanges what all processes have read of the sources behind them.
    fn hold_elsewhere(&mut self) {
        let elsewhere = self.merge.as_ref().map_or(&self.elsewhere, |merge| merge.elsewhere());
        let mut passed: BTreeMap<TaskId, i64> = BTreeMap::new();
        let waits = |topic: &str| elsewhere.has(topic) && !elsewhere.is_alone(topic);
        for (partition, id, task, port) in self.tasks.inputs().filter(|(partition, ..)| waits(&partition.topic)) {
            let slowest = passed.entry(id).or_insert(i64::MAX);
            *slowest = elsewhere.passed(&partition.topic, task, port).min(*slowest);
        }
        self.tasks.hold(|id| passed.get(&id).copied().filter(|passed_ms| *passed_ms < i64::MAX));
    }

    /// The next offset to read of a partition, as far as its records are processed.
    fn next_offset(&self, partition: &TopicPartition) -> i64 {
        let known = [&self.moved, &self.passed, &self.positioned].map(|offsets| offsets.get(partition).copied());
        known.into_iter().flatten().max().unwrap_or(0)
    }
}

/// The lowest stream time of a source's partition that has records which were not processed yet; `None` if there is no such partition.
/// `processed` is the offset after those that were. Nothing is asked if there is one partition alone, which is not behind others. If
/// the cluster does not answer, any partition may have more records.
pub(in super::super) fn slowest_unread<'t>(
    sources: impl Iterator<Item = (&'t TopicPartition, i64)>,
    processed: impl Fn(&TopicPartition) -> i64,
    admin: &dyn Admin,
    isolation: Isolation,
) -> Option<i64> {
    let sources: Vec<_> = sources.collect();
    if sources.len() < 2 {
        return None;
    }
    let mut ends: BTreeMap<&str, Vec<Watermarks>> = BTreeMap::new();
    let mut held_ms: Option<i64> = None;
    for (partition, time_ms) in sources {
        if held_ms.is_some_and(|held_ms| held_ms <= time_ms) {
            continue;
        }
        let asked = || admin.watermarks(&partition.topic, isolation).unwrap_or_default();
        let marks = ends.entry(&partition.topic).or_insert_with(asked);
        if mark(marks, partition).map_or(true, |marks| processed(partition) < marks.end) {
            held_ms = Some(time_ms);
        }
    }
    held_ms
}
